"""The registry: loggers, boxes, profiles and consignments.

Every change is an audited act in one transaction, and marks what must be judged anew.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import Connection, insert, select

from gateway import profiles as library
from gateway.core.assignments import Swap, swap_of
from gateway.core.batches import Outcome, SetUp, SetUpDone
from gateway.core.configuration import Box, Consignment, Logger, Site
from gateway.core.errors import InputError
from gateway.core.identifiers import refuse_identity_number
from gateway.core.profiles import Approval, Model, Profile
from gateway.hub.audit.acts import begin_act, record_acts
from gateway.hub.database import schema
from gateway.hub.database.rows import (
    Registered,
    find_registered,
    read_all_registered,
    read_boxes,
    read_codes_under_way,
    read_document,
    read_logger,
    read_loggers,
    read_profile,
    read_profile_names,
    read_profile_versions,
    read_registered,
    read_registered_profile,
    read_sites,
    read_some_boxes,
    read_some_loggers,
    refuse_identities,
    to_registered,
)
from gateway.hub.database.store import Store, replace_row
from gateway.hub.registry.enrolment import check_gateway, issue_codes
from gateway.hub.registry.faults import Faults
from gateway.hub.registry.registrations import (
    Deed,
    check_consignment,
    check_references,
    keep_boxes,
    keep_consignments,
    keep_loggers,
    place_logger,
    read_references,
)
from gateway.hub.signals.dirty import mark_consignments
from gateway.hub.times import to_datetime

LISTED_MAX = 500


def _outcome(old: Model | None, new: Model) -> Outcome:
    if old is None:
        return Outcome.NEW
    return Outcome.SAME if old == new else Outcome.CHANGED


def _place_box(known: Box | None, box: Box) -> Box:
    """Return a box in the state that it has, unless another is stated; raises InputError."""
    refuse_identities(box)
    if known is None or "state" in box.model_fields_set:
        return box
    return box.model_copy(update={"state": known.state})


def is_alike(known: Consignment, given: Consignment) -> bool:
    """Whether two say the same but for what only the way of a consignment tells: whether it has arrived, and late."""
    on_its_way = {"received_at": None, "registered_late": False}
    return known.model_copy(update=on_its_way) == given.model_copy(update=on_its_way)


def _refuse_other(known: Consignment, given: Consignment) -> None:
    if not is_alike(known, given):
        raise InputError("code", f"{given.code} is registered already, and says something else")


class Registry:
    """Reads and acts. Blocking: call it from a thread."""

    def __init__(self, store: Store, now_ms: Callable[[], int]) -> None:
        self._store = store
        self._now_ms = now_ms

    # --- acts

    def put_logger(self, logger: Logger, who: str, reason: str = "") -> Logger:
        """Enrol a logger, move it, or change what is known of it; return it with its history.

        What says the same again is no act. Raises InputError for a moment that contradicts the history. See
        `gateway.core.assignments.assign`.
        """
        with self._store.write() as connection:
            begin_act(connection)
            old = read_logger(connection, logger.address)
            new = place_logger(old, logger, to_datetime(self._now_ms()))
            if new != old:
                keep_loggers(connection, [(old, new)], self._deed(who, reason=reason))
            return new

    def swap_loggers(self, address: str, swap: Swap, who: str) -> tuple[Logger, Logger]:
        """Let one logger take the place of another in its box; return the one that left and the one that came.

        One that is not enrolled yet is taken to be of the other's kind. Raises InputError naming what is wrong.
        """
        with self._store.write() as connection:
            begin_act(connection)
            old, known = read_logger(connection, address), read_logger(connection, swap.new)
            if old is None:
                raise InputError("old", f"{address} is not enrolled")
            left, came = swap_of(old, known, swap, to_datetime(self._now_ms()))
            keep_loggers(connection, [(old, left), (known, came)], self._deed(who, "swap", swap.told))
            return left, came

    def put_box(self, box: Box, who: str) -> None:
        """Register a box, or change it; what says the same again is no act."""
        with self._store.write() as connection:
            begin_act(connection)
            old = read_some_boxes(connection, [box.code]).get(box.code)
            if old != box:
                keep_boxes(connection, [(old, box)], self._deed(who))

    def put_site(self, site: Site, who: str) -> None:
        """Register a place of the organisation, or change it; what says the same again is no act."""
        with self._store.write() as connection:
            begin_act(connection)
            old = read_document(connection, schema.sites, site.name)
            if old is not None and Site.model_validate_json(old) == site:
                return
            replace_row(connection, schema.sites, name=site.name, document=site.model_dump_json())
            self._record(connection, who, "register", f"site {site.name}", old, site)

    def put_profile(self, profile: Profile, who: str) -> None:
        """Add a version of a profile; raises InputError if that version says something else already."""
        with self._store.write() as connection:
            begin_act(connection)
            newest = read_registered_profile(connection, profile.id)
            if newest is not None and newest.version >= profile.version:
                if newest == profile:
                    return
                raise InputError("version", f"profile {profile.id} has version {newest.version}: write a higher one")
            self._add_version(connection, profile, newest, who, "register")

    def approve_profile(self, name: str, version: int, approval: Approval, owner: str, who: str) -> Profile:
        """Add the newest version of a profile once more, approved: the next number, the same figures, and an owner.

        Raises InputError where it is approved already, where `version` is not the newest, or for an approval by the
        wrong role.
        """
        with self._store.write() as connection:
            begin_act(connection)
            newest = read_profile(connection, name)
            if newest is None:
                raise InputError("id", f"no profile {name}")
            if newest.version != version:
                raise InputError("version", f"profile {name} has version {newest.version} meanwhile")
            if newest.status == "approved":
                raise InputError("version", f"version {version} of profile {name} is approved already")
            stated = {"version": version + 1, "owner": owner, "status": "approved"}
            document = newest.model_dump(mode="json") | stated
            document["approval"] = approval.model_copy(update={"version": version + 1}).model_dump(mode="json")
            try:
                approved = Profile.model_validate(document)
            except ValidationError as error:
                raise InputError("approval", error.errors()[0]["msg"].removeprefix("Value error, ")) from error
            self._add_version(connection, approved, newest, who, "approve")
            return approved

    def put_consignment(self, consignment: Consignment, who: str) -> Registered:
        """Register a consignment, or a new version of it; raises InputError for an unknown profile or box.

        What was received stays received, also where the new version does not know of it.
        """
        with self._store.write() as connection:
            begin_act(connection)
            return self._put(connection, consignment, who)

    def add_consignments(
        self, consignments: Sequence[Consignment], who: str, *, dry_run: bool = False
    ) -> Collection[str]:
        """Register consignments, all of them or none; return the codes of the new ones.

        What is registered already and says the same stays as it is. Raises FaultsError, `consignments[place].field`,
        for those that cannot be taken: one says something else than what is registered, or names what is unknown.
        With `dry_run` it is only checked.
        """
        with self._begin(is_act=not dry_run) as connection:
            known = read_all_registered(connection, [one.code for one in consignments])
            references, faults = read_references(connection, consignments), Faults()
            for place, one in enumerate(consignments):
                with faults.at(f"consignments[{place}]"):
                    if one.code in known:
                        _refuse_other(known[one.code].consignment, one)
                    else:
                        check_consignment(one, references)
            faults.refuse_any()
            added = [(None, one) for one in consignments if one.code not in known]
            if added and not dry_run:
                keep_consignments(connection, added, self._deed(who))
        return [one.code for _, one in added]

    def set_up(self, wanted: SetUp, who: str, *, dry_run: bool = False) -> SetUpDone:
        """Register boxes and loggers and issue one-time codes, all of it or nothing; say what came of each.

        What is registered already and says the same stays as it is, and so does the state of a box for which none is
        stated. Raises FaultsError naming place and field. With `dry_run` it is only checked, and there are no codes.
        """
        with self._begin(is_act=not dry_run) as connection:
            boxes, loggers = self._check_set_up(connection, wanted)
            codes: dict[str, str] = {}
            if not dry_run:
                deed = self._deed(who, reason=wanted.reason)
                keep_boxes(connection, [(old, box) for old, box in boxes if old != box], deed)
                keep_loggers(connection, [(old, logger) for old, logger in loggers if old != logger], deed)
                codes = issue_codes(connection, wanted.codes_for, who, deed.now_ms)
        return SetUpDone(
            dry_run=dry_run,
            boxes={box.code: _outcome(old, box) for old, box in boxes},
            loggers={logger.address: _outcome(old, logger) for old, logger in loggers},
            codes=codes,
        )

    def follow_vehicle(self, connection: Connection, consignment: Consignment, who: str) -> None:
        """Register what a vehicle's log tells of a consignment, within the caller's act. Raises InputError."""
        refuse_identities(consignment)
        check_references(consignment, read_references(connection, [consignment]))
        known = read_registered(connection, consignment.code)
        if known is None or known.consignment != consignment:
            keep_consignments(connection, [(known, consignment)], self._deed(who))

    def receive(self, code: str, at: datetime, who: str) -> Registered:
        """Note that a consignment has arrived. Again: what was noted first stays. Raises InputError if unknown."""
        with self._store.write() as connection:
            begin_act(connection)
            known = read_registered(connection, code)
            if known is None:
                raise InputError("code", f"no consignment {code}")
            if known.consignment.received_at is not None:
                return known
            received = known.consignment.model_copy(update={"received_at": at})
            return keep_consignments(connection, [(known, received)], self._deed(who, "receive"))[0]

    # --- reads

    def loggers(self) -> list[Logger]:
        """Return every logger."""
        with self._store.read() as connection:
            return read_loggers(connection)

    def boxes(self) -> list[Box]:
        """Return every box."""
        with self._store.read() as connection:
            return read_boxes(connection)

    def sites(self) -> list[Site]:
        """Return every site."""
        with self._store.read() as connection:
            return read_sites(connection)

    def profiles(self) -> list[Profile]:
        """Return the newest version of each profile: registered ones, and the library's others."""
        with self._store.read() as connection:
            names = sorted(read_profile_names(connection))
            return [profile for name in names if (profile := read_profile(connection, name)) is not None]

    def profile(self, name: str) -> Profile | None:
        """Return the newest version of a profile, None if there is none of that name."""
        with self._store.read() as connection:
            return read_profile(connection, name)

    def profile_versions(self, name: str) -> list[tuple[Profile, int | None]]:
        """Return the versions of a profile, newest first, each with when it was registered; the library's with None."""
        with self._store.read() as connection:
            versions: list[tuple[Profile, int | None]] = [*read_profile_versions(connection, name)]
        if name in library.names() and all(one.version != library.load(name).version for one, _ in versions):
            versions.append((library.load(name), None))
        return versions

    def consignment(self, code: str) -> Registered | None:
        """Return a consignment, None if there is none of that code."""
        with self._store.read() as connection:
            return read_registered(connection, code)

    def consignments(self, limit: int = LISTED_MAX) -> list[Registered]:
        """Return the consignments registered last, newest first."""
        with self._store.read() as connection:
            table = schema.consignments
            rows = connection.execute(
                select(table).order_by(table.c.registered_at_ms.desc(), table.c.code).limit(min(limit, LISTED_MAX))
            )
            return [to_registered(row.document, row.version, row.registered_at_ms) for row in rows]

    def find(self, code: str) -> list[Registered]:
        """Return what a scanned code stands for; see `find_registered`."""
        with self._store.read() as connection:
            return find_registered(connection, code)

    def under_way(self) -> list[str]:
        """Return the codes of the consignments that have set out and are not received."""
        with self._store.read() as connection:
            return read_codes_under_way(connection, self._now_ms())

    # --- parts of acts

    def _add_version(
        self, connection: Connection, profile: Profile, before: Profile | None, who: str, act: str
    ) -> None:
        now_ms = self._now_ms()
        connection.execute(
            insert(schema.profiles).values(
                id=profile.id, version=profile.version, document=profile.model_dump_json(), added_at_ms=now_ms
            )
        )
        self._record(connection, who, act, f"profile {profile.id}", before, profile)
        # A correction concerns what is still on its way; finished trips are judged anew on request.
        mark_consignments(connection, read_codes_under_way(connection), now_ms)

    def _put(self, connection: Connection, consignment: Consignment, who: str) -> Registered:
        check_consignment(consignment, read_references(connection, [consignment]))
        known = read_registered(connection, consignment.code)
        if known is not None and consignment.received_at is None:
            consignment = consignment.model_copy(update={"received_at": known.consignment.received_at})
        if known is not None and known.consignment == consignment:
            return known
        return keep_consignments(connection, [(known, consignment)], self._deed(who))[0]

    def _check_set_up(
        self, connection: Connection, wanted: SetUp
    ) -> tuple[list[tuple[Box | None, Box]], list[tuple[Logger | None, Logger]]]:
        """Return each box and logger as it is, None if it is not, and as it would be; raises FaultsError."""
        faults, now = Faults(), to_datetime(self._now_ms())
        known_boxes = read_some_boxes(connection, [box.code for box in wanted.boxes])
        known_loggers = read_some_loggers(connection, [logger.address for logger in wanted.loggers])
        boxes: list[tuple[Box | None, Box]] = []
        loggers: list[tuple[Logger | None, Logger]] = []
        for place, box in enumerate(wanted.boxes):
            with faults.at(f"boxes[{place}]"):
                known_box = known_boxes.get(box.code)
                boxes.append((known_box, _place_box(known_box, box)))
        for place, logger in enumerate(wanted.loggers):
            with faults.at(f"loggers[{place}]"):
                known = known_loggers.get(logger.address)
                loggers.append((known, place_logger(known, logger, now)))
        for place, gateway in enumerate(wanted.codes_for):
            with faults.at(f"codes_for[{place}]", ""):
                check_gateway(gateway)
        with faults.at("reason", ""):
            refuse_identity_number("reason", wanted.reason)
        faults.refuse_any()
        return boxes, loggers

    @contextmanager
    def _begin(self, *, is_act: bool) -> Iterator[Connection]:
        """Begin an act, or a look."""
        if not is_act:
            with self._store.read() as connection:
                yield connection
            return
        with self._store.write() as connection:
            begin_act(connection)
            yield connection

    def _deed(self, who: str, act: str = "register", reason: str = "") -> Deed:
        return Deed(who, act, self._now_ms(), reason)

    def _record(
        self, connection: Connection, who: str, act: str, subject: str, old: str | Model | None, new: Model
    ) -> None:
        deed = self._deed(who, act)
        record_acts(connection, [deed.on(subject, old, new)], deed.now_ms)
