"""Ways back after a form: only ever to this hub."""

from __future__ import annotations

from urllib.parse import urlsplit


def to_own_path(given: str) -> str:
    """Return a path of this hub; anything that a browser could take for another site becomes the start."""
    parts = urlsplit(given)
    is_own = not parts.scheme and not parts.netloc and given.startswith("/") and not given.startswith(("//", "/\\"))
    return given if is_own and given.isprintable() and "\\" not in given else "/"
