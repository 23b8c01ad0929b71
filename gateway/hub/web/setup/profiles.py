"""Profiles: read in words, written as new versions, tried on past trips, approved by who answers for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from gateway import profiles as library
from gateway.core.errors import InputError
from gateway.core.gs1 import SCAN_MAX
from gateway.core.profiles import Approval, Profile
from gateway.hub.access.callers import Caller, Way
from gateway.hub.api.access import ApprovingProfiles, HubRooms, ReadingProfiles, WritingProfiles
from gateway.hub.api.signers import confirm_signer, ways_to_sign
from gateway.hub.review.competence import approver_of
from gateway.hub.rooms import Rooms
from gateway.hub.times import to_datetime
from gateway.hub.views.rehearsals import TRIPS_MAX, Rehearsed, find_latest, rehearse
from gateway.hub.web.languages import Reader
from gateway.hub.web.setup.drafts import TEXT_MAX, Draft, read_draft
from gateway.hub.web.setup.parts import show
from gateway.hub.web.setup.sheets import FORM, Fields, Filled, Sheet, sheet_of
from gateway.language import Speech
from gateway.language.profiles import say_profile, sort_profiles
from gateway.language.reasons import say_reason
from gateway.language.speech import N_
from gateway.profiles.description import differences

HERE = "/setup/profiles"
TRIPS_AT_FIRST = 5
OWNER_MAX = 200
STATUS: dict[str, str] = {"example": N_("example: not approved"), "approved": N_("approved locally")}
NOT_YOURS = N_(
    "This profile is approved by somebody else: those of samples by the laboratory doctor, those of medicines by the"
    " pharmacist."
)
CHANGED = N_("Nothing was stored: there is another version meanwhile. Look again.")
NOT_PROVEN = N_("This is not your password, or the account rests; or log in again for this.")

_EMPTY = sheet_of()

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)


@dataclass(frozen=True, slots=True)
class Trial:
    """What past trips would have been judged. `changed` counts the verdicts that would be others."""

    rehearsed: Sequence[tuple[Rehearsed, Sequence[str], Sequence[str]]]
    changed: int


@router.get(HERE)
def list_profiles(
    rooms: HubRooms,
    caller: ReadingProfiles,
    reader: Reader,
    q: Annotated[str, Query(max_length=SCAN_MAX)] = "",
    status: Annotated[Literal["", "example", "approved"], Query()] = "",
) -> HTMLResponse:
    """List the newest version of each profile."""
    wanted = q.strip().casefold()
    found = [
        one
        for one in sort_profiles(rooms.registry.profiles(), reader)
        if wanted in f"{one.id} {one.title} {reader.gettext(one.title)} {one.examination}".casefold()
        and status in ("", one.status)
    ]
    statuses = [(name, reader.gettext(words)) for name, words in STATUS.items()]
    return show("profiles.html", rooms, caller, reader, HERE, found=found, q=q, wanted=status, statuses=statuses)


@router.get(f"{HERE}/one")
def show_profile(
    request: Request,
    rooms: HubRooms,
    caller: ReadingProfiles,
    reader: Reader,
    id_: Annotated[str, Query(alias="id", max_length=64)],
    version: Annotated[int | None, Query(ge=1)] = None,
    done: Annotated[str, Query(max_length=16)] = "",
) -> HTMLResponse:
    """Show a version of a profile in words, and its other versions."""
    return _show(request, rooms, caller, reader, id_, version, done=done)


@router.post(f"{HERE}/approve", response_model=None)
def approve(
    request: Request, rooms: HubRooms, caller: ApprovingProfiles, reader: Reader, sheet: Filled
) -> HTMLResponse | RedirectResponse:
    """Approve the newest version: it becomes the next one. Whoever has logged in shows once more who they are."""
    fields = Fields(sheet, reader)
    name, version = sheet.text("id"), fields.whole("version", 1, 10**6, needed=True)
    profile = rooms.registry.profile(name)
    if profile is None:
        raise HTTPException(404, "no profile of that name is registered")
    owner = fields.text("owner", longest=OWNER_MAX, needed=True)
    role = approver_of(caller, profile.kind)
    if role is None:
        fields.refuse(FORM, NOT_YOURS)
    if fields.is_sound and version is not None:
        try:
            confirm_signer(request, rooms, caller, _purpose(name, version), sheet.text("password"))
        except HTTPException:
            fields.refuse("password", NOT_PROVEN)
    if fields.is_sound and role is not None and version is not None:
        approval = Approval.model_validate(
            {"by": caller.printed_name, "role": role.value, "at": to_datetime(rooms.clock.now_ms()), "version": version}
        )
        try:
            approved = rooms.registry.approve_profile(name, version, approval, owner, caller.name)
        except InputError:
            fields.refuse(FORM, CHANGED)
        else:
            rooms.bells.ring_all()
            asked = {"id": name, "version": approved.version, "done": "approved"}
            return RedirectResponse(f"{HERE}/one?{urlencode(asked)}", 303)
    return _show(request, rooms, caller, reader, name, sheet=fields.sheet)


@router.get(f"{HERE}/edit")
def show_draft(
    rooms: HubRooms,
    caller: WritingProfiles,
    reader: Reader,
    id_: Annotated[str, Query(alias="id", max_length=64)],
) -> HTMLResponse:
    """Show a profile as text, with the next number, to be changed."""
    newest = rooms.registry.profile(id_)
    if newest is None:
        raise HTTPException(404, "no profile of that name is registered")
    return _show_draft(
        rooms, caller, reader, newest, sheet_of(text=_next_text(rooms, newest), count=str(TRIPS_AT_FIRST))
    )


@router.post(f"{HERE}/edit", response_model=None)
def try_draft(
    rooms: HubRooms, caller: WritingProfiles, reader: Reader, sheet: Filled
) -> HTMLResponse | RedirectResponse:
    """Check a draft and show what past trips would have been judged by it; with `save`, register it."""
    base = rooms.registry.profile(sheet.text("base"))
    if base is None:
        raise HTTPException(404, "no profile of that name is registered")
    fields = Fields(sheet, reader)
    draft = read_draft(sheet, rooms.registry)
    codes = fields.codes("trips")[:TRIPS_MAX]
    count = fields.whole("count", 1, TRIPS_MAX)
    typed = Sheet({**sheet.values, "text": (draft.text,)}, fields.sheet.faults)
    if draft.profile is None or not fields.is_sound:
        return _show_draft(rooms, caller, reader, base, typed, draft=draft, status=422)
    if sheet.text("save"):
        rooms.registry.put_profile(draft.profile, caller.name)
        rooms.bells.ring_all()
        return RedirectResponse(f"{HERE}/one?{urlencode({'id': draft.profile.id, 'done': 'saved'})}", 303)
    wanted = codes or find_latest(rooms.store, base.id, count or TRIPS_AT_FIRST)
    trial = _try(rooms, base, draft.profile, wanted, reader)
    return _show_draft(rooms, caller, reader, base, typed, draft=draft, trial=trial)


def _try(rooms: Rooms, base: Profile, draft: Profile, codes: Sequence[str], speech: Speech) -> Trial:
    found = [*rehearse(rooms.configurations, rooms.archive, draft, base.id, codes, rooms.clock.now_ms())]
    said = [
        (
            one,
            [say_reason(reason, speech) for reason in one.before.reasons],
            [say_reason(reason, speech) for reason in one.after.reasons],
        )
        for one in found
    ]
    return Trial(said, sum(one.differs for one in found))


def _purpose(name: str, version: int) -> str:
    """Return what a proof at the sign-on is for: this version of this profile."""
    return f"profile:{name}:{version}"


def _next_text(rooms: Rooms, newest: Profile) -> str:
    """Return the newest version as text with the next number, as an example; the library's with its comments."""
    versions = rooms.registry.profile_versions(newest.id)
    is_library = newest.id in library.names() and versions[0][1] is None
    if is_library:
        return library.with_version(library.text_of(newest.id), newest.version + 1)
    draft = newest.model_copy(update={"version": newest.version + 1, "status": "example", "approval": None})
    return library.write_toml(draft)


def _show(
    request: Request,
    rooms: Rooms,
    caller: Caller,
    speech: Speech,
    name: str,
    version: int | None = None,
    *,
    sheet: Sheet = _EMPTY,
    done: str = "",
) -> HTMLResponse:
    versions = rooms.registry.profile_versions(name)
    shown = next((one for one, _ in versions if version in (None, one.version)), None)
    if shown is None:
        raise HTTPException(404, "no profile of that name and version is registered")
    before = next((one for one, _ in versions if one.version < shown.version), None)
    newest = versions[0][0]
    may_approve = approver_of(caller, shown.kind) is not None
    is_open = shown == newest and shown.status != "approved" and caller.way is Way.SESSION
    purpose, here = _purpose(name, shown.version), f"{HERE}/one?{urlencode({'id': name})}"
    return show(
        "profile.html",
        rooms,
        caller,
        speech,
        here,
        status=422 if sheet.faults else 200,
        profile=shown,
        sections=say_profile(shown, speech),
        versions=versions,
        changes=[] if before is None else [*differences(before, shown)],
        before=before,
        status_words=speech.gettext(STATUS[shown.status]),
        statuses={name: speech.gettext(words) for name, words in STATUS.items()},
        can_approve=is_open and may_approve,
        ways=ways_to_sign(request, rooms, caller, purpose),
        again=f"/sign-in-again?{urlencode({'for': purpose, 'next': here})}",
        sheet=sheet,
        done=done,
    )


def _show_draft(
    rooms: Rooms,
    caller: Caller,
    speech: Speech,
    base: Profile,
    sheet: Sheet,
    *,
    draft: Draft | None = None,
    trial: Trial | None = None,
    status: int = 200,
) -> HTMLResponse:
    profile = None if draft is None else draft.profile
    return show(
        "profile_draft.html",
        rooms,
        caller,
        speech,
        f"{HERE}/edit?{urlencode({'id': base.id})}",
        status=status,
        base=base,
        sheet=sheet,
        draft=draft,
        trial=trial,
        changes=[] if profile is None else [*differences(base, profile)],
        sections=[] if profile is None else say_profile(profile, speech),
        faults=[] if draft is None else draft.say_faults(speech),
        trips_max=TRIPS_MAX,
        text_max=TEXT_MAX,
    )
