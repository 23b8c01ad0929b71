"""What the code and the templates say, and what the catalogue has."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import gateway
from gateway.core.profiles import Profile
from gateway.profiles.library import load_all

ROOT = Path(gateway.__file__).parent
DAY = ROOT.parent / "firmware_sim" / "scenarios" / "day.toml"
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2")]
KEYWORDS = {"_": None, "N_": None, "gettext": None, "ngettext": (1, 2)}

Message = str | tuple[str, ...]


def said() -> dict[Message, str]:
    found = extract_from_dir(ROOT, METHODS, {"**/templates/**.html": {"silent": "false"}}, KEYWORDS)
    return {message: f"{file}:{line}" for file, line, message, _, _ in found} | said_by_the_library()


def said_by_the_library() -> dict[Message, str]:
    """What pages say of the example profiles and of the demonstration's, which are data and not code."""
    demonstrated = tomllib.loads(DAY.read_text(encoding="utf-8"))["profiles"]
    profiles = [*load_all(), *(Profile.model_validate(document) for document in demonstrated)]
    return {
        text: f"profile {profile.id}"
        for profile in profiles
        for text in (profile.title, profile.owner, *profile.handling)
    }


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with (ROOT / "language" / "nb.po").open("rb") as file:
        return read_po(file, locale="nb", abort_invalid=True)


def test_everything_said_is_in_the_catalogue(catalogue: Catalog) -> None:
    known = {message.id for message in catalogue if message.id}
    missing = {text: place for text, place in said().items() if text not in known}
    assert len(said()) > 80
    assert missing == {}, "\n".join(f"{place} {text!r}" for text, place in missing.items())


def test_the_catalogue_says_nothing_that_nobody_asks_for(catalogue: Catalog) -> None:
    asked = set(said())
    assert [message.id for message in catalogue if message.id and message.id not in asked] == []


def _texts(text: object) -> Iterator[str]:
    yield from (text,) if isinstance(text, str) else text  # type: ignore[misc]  a plural's forms


def test_translations_are_whole_and_use_the_same_parameters(catalogue: Catalog) -> None:
    for message in catalogue:
        if not message.id:
            continue
        assert not message.fuzzy, message.id
        wanted = {name for text in _texts(message.id) for _, name, _, _ in Formatter().parse(text) if name}
        for text in _texts(message.string):
            assert text, message.id
            assert {name for _, name, _, _ in Formatter().parse(text) if name} == wanted, message.id
