"""Drafts of profiles: text as TOML or JSON, from a field or a file, with every fault by line and field."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from gateway import profiles as library
from gateway.core.errors import InputError
from gateway.core.profiles import Profile
from gateway.hub.database.rows import refuse_identities
from gateway.hub.registry.registry import Registry
from gateway.hub.web.setup.sheets import Sheet
from gateway.language import Speech
from gateway.language.faults import say_fault
from gateway.language.mistakes import EMPTY, IDENTITY
from gateway.language.speech import N_

TEXT_MAX = 64 * 1024
"""The library's longest profile has 4 KiB."""
FAULTS_MAX = 50
TOO_LARGE = N_("It is larger than {kib} KiB: no profile is.")
NOT_UTF8 = N_("The file is not UTF-8 text.")
APPROVED = N_("Approving is an act of its own: leave status and approval out.")
OLD = N_("There is a version {version} already: write a higher one.")


@dataclass(frozen=True, slots=True)
class DraftFault:
    """Something wrong with a draft. `reason` is of the catalogue, or as the reader of profiles says it."""

    line: str
    field: str
    reason: str
    version: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft as typed; `profile` is None where there are faults."""

    text: str
    profile: Profile | None
    faults: Sequence[DraftFault]

    def say_faults(self, speech: Speech) -> list[tuple[str, str, str]]:
        """Return line, field and reason of each fault."""
        return [(one.line, one.field, _say(one, speech)) for one in self.faults]


def read_draft(sheet: Sheet, registry: Registry) -> Draft:
    """Return the draft that a form holds, from its file if there is one. Nothing is stored."""
    data = sheet.files.get("file") or sheet.text("text").encode()
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return _refuse(sheet.text("text"), NOT_UTF8)
    if not text.strip():
        return _refuse("", EMPTY)
    if len(data) > TEXT_MAX:
        return _refuse("", TOO_LARGE)
    faults = _faults_of_json(text) if _is_json(text) else _faults_of_toml(text)
    if faults:
        return Draft(text, None, faults[:FAULTS_MAX])
    profile = Profile.model_validate_json(text) if _is_json(text) else library.read_profile(text, "")
    return _check(text, profile, registry)


def _check(text: str, profile: Profile, registry: Registry) -> Draft:
    try:
        refuse_identities(profile)
    except InputError as error:
        return _refuse(text, IDENTITY, error.field)
    if profile.status == "approved" or profile.approval is not None:
        return _refuse(text, APPROVED, "status")
    newest = registry.profile(profile.id)
    if newest is not None and newest.version >= profile.version:
        return Draft(text, None, [DraftFault("", "version", OLD, newest.version)])
    return Draft(text, profile, ())


def _is_json(text: str) -> bool:
    return text.lstrip().startswith("{")


def _faults_of_toml(text: str) -> list[DraftFault]:
    found = library.find_text_faults(text, "")
    return [DraftFault(fault.where.lstrip(":"), fault.field, fault.reason) for fault in found]


def _faults_of_json(text: str) -> list[DraftFault]:
    try:
        Profile.model_validate_json(text)
    except ValidationError as error:
        return [
            DraftFault("", ".".join(map(str, fault["loc"])), fault["msg"].removeprefix("Value error, "))
            for fault in error.errors(include_url=False, include_input=False)
        ]
    return []


def _refuse(text: str, reason: str, field: str = "") -> Draft:
    return Draft(text, None, [DraftFault("", field, reason)])


def _say(fault: DraftFault, speech: Speech) -> str:
    words = say_fault(fault.reason, speech) or speech.gettext(fault.reason)
    if fault.reason in (TOO_LARGE, OLD):
        return words.format(kib=TEXT_MAX // 1024, version=fault.version)
    return words
