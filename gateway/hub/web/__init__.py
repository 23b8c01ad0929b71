"""Pages for people: the bench."""

from __future__ import annotations

from fastapi import FastAPI


def install_pages(app: FastAPI) -> None:
    """Add the pages to an application."""
    del app
