"""The registry: loggers, boxes, profiles and consignments.

Every change is an audited act in one transaction, and marks what must be judged anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from pydantic import ValidationError
from sqlalchemy import Connection, insert, or_, select

from gateway import profiles as library
from gateway.core.assignments import Swap, Tenure, assign, swap_of, tenures_of
from gateway.core.configuration import Box, BoxState, Consignment, Logger, Site
from gateway.core.errors import InputError
from gateway.core.exposure import to_ms
from gateway.core.identifiers import refuse_identity_number
from gateway.core.profiles import Approval, Model, Profile
from gateway.core.standby import ALERTING, PREFIX, is_vigil
from gateway.hub import schema
from gateway.hub.audit import Act, begin_act, record_act
from gateway.hub.dirty import mark_consignments, mark_tenures
from gateway.hub.events import tell
from gateway.hub.inbox import settle_registered
from gateway.hub.projection.marks import Subject, mark
from gateway.hub.rows import (
    Registered,
    boxes_of,
    examinations_of,
    read_boxes,
    read_boxes_in_use,
    read_codes_in,
    read_codes_under_way,
    read_document,
    read_logger,
    read_loggers,
    read_profile,
    read_profile_versions,
    read_registered,
    read_registered_profile,
    read_sites,
    refuse_identities,
    save_items,
    save_logger,
    to_registered,
)
from gateway.hub.store import Store, replace_row
from gateway.hub.times import to_datetime
from gateway.hub.vigils import follow_boxes

LISTED_MAX = 500


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

        Raises InputError for a moment that contradicts the history. See `gateway.core.assignments.assign`.
        """
        with self._store.write() as connection:
            begin_act(connection)
            old = read_logger(connection, logger.address)
            if old is not None and logger.bindkey is None and logger.kind is old.kind:
                logger = logger.model_copy(update={"bindkey": old.bindkey})  # nobody reads it, so nobody sends it back
            new = assign(old, logger, to_datetime(self._now_ms()))
            self._save_loggers(connection, who, "register", [(old, new)], reason)
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
            self._save_loggers(connection, who, "swap", [(old, left), (known, came)], swap.told)
            return left, came

    def put_box(self, box: Box, who: str) -> None:
        """Register a box, or change it."""
        with self._store.write() as connection:
            begin_act(connection)
            old = read_document(connection, schema.boxes, box.code)
            replace_row(connection, schema.boxes, code=box.code, document=box.model_dump_json())
            self._record(connection, who, "register", f"box {box.code}", old, box)
            ended = follow_boxes(connection, [box.code], self._now_ms())
            mark_consignments(connection, [*read_codes_in(connection, box.code), *ended], self._now_ms())

    def put_site(self, site: Site, who: str) -> None:
        """Register a place of the organisation, or change it."""
        with self._store.write() as connection:
            begin_act(connection)
            old = read_document(connection, schema.sites, site.name)
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

    def add_consignments(self, consignments: Sequence[Consignment], who: str) -> int:
        """Register consignments, all of them or none; return how many are new.

        What is registered already and says the same stays as it is. Raises InputError, `consignments[place].field`, for
        the first that cannot be taken: it says something else than what is registered, or names what is unknown.
        """
        added = 0
        with self._store.write() as connection:
            begin_act(connection)
            for place, consignment in enumerate(consignments):
                known = read_registered(connection, consignment.code)
                try:
                    if known is None:
                        self._put(connection, consignment, who)
                        added += 1
                    else:
                        _refuse_other(known.consignment, consignment)
                except InputError as error:
                    raise InputError(f"consignments[{place}].{error.field}", error.reason) from error
        return added

    def follow_vehicle(self, connection: Connection, consignment: Consignment, who: str) -> None:
        """Register what a vehicle's log tells of a consignment, within the caller's act. Raises InputError."""
        refuse_identities(consignment)
        self._check_references(connection, consignment)
        known = read_registered(connection, consignment.code)
        if known is None or known.consignment != consignment:
            self._save(connection, consignment, known, who, "register")

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
            return self._save(connection, received, known, who, "receive")

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
            newest = dict.fromkeys(library.names())
            newest |= dict.fromkeys(connection.execute(select(schema.profiles.c.id).distinct()).scalars())
            return [profile for name in sorted(newest) if (profile := read_profile(connection, name)) is not None]

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
        """Return what a scanned code stands for: a consignment, the one that an item or a box is in; newest first."""
        with self._store.read() as connection:
            table, items, carriages = schema.consignments, schema.consignment_items, schema.carriages
            rows = connection.execute(
                select(table)
                .where(
                    or_(
                        table.c.code == code,
                        table.c.code.in_(select(items.c.consignment).where(items.c.item == code)),
                        table.c.code.in_(select(carriages.c.consignment).where(carriages.c.box == code)),
                    )
                )
                .order_by((table.c.code != code), table.c.registered_at_ms.desc())
                .limit(10)
            )
            return [to_registered(row.document, row.version, row.registered_at_ms) for row in rows]

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
        if is_vigil(consignment.code):
            raise InputError("code", f"codes that begin with {PREFIX} are the hub's own")
        self._check_references(connection, consignment)
        known = read_registered(connection, consignment.code)
        if known is not None and consignment.received_at is None:
            consignment = consignment.model_copy(update={"received_at": known.consignment.received_at})
        if known is not None and known.consignment == consignment:
            return known
        return self._save(connection, consignment, known, who, "register")

    def _save_loggers(
        self,
        connection: Connection,
        who: str,
        act: str,
        changes: Sequence[tuple[Logger | None, Logger]],
        reason: str,
    ) -> None:
        """Keep what became of loggers, and mark what was carried where something is different now."""
        refuse_identity_number("reason", reason)
        different: set[Tenure] = set()
        for old, new in changes:
            save_logger(connection, new)
            self._record(connection, who, act, f"logger {new.address}", old, new, reason)
            different |= set(tenures_of(new)).symmetric_difference([] if old is None else tenures_of(old))
        mark_tenures(connection, different, self._now_ms())

    def _save(
        self, connection: Connection, consignment: Consignment, known: Registered | None, who: str, act: str
    ) -> Registered:
        now_ms = self._now_ms()
        version = 1 if known is None else known.version + 1
        registered_at_ms = now_ms if known is None else known.registered_at_ms
        carried = [carriage for item in consignment.items for carriage in consignment.carriage_of(item)]
        received_ms = None if consignment.received_at is None else to_ms(consignment.received_at)
        replace_row(
            connection,
            schema.consignments,
            code=consignment.code,
            version=version,
            document=consignment.model_dump_json(),
            begins_ms=min((to_ms(carriage.begins) for carriage in carried), default=None),
            received_at_ms=received_ms,
            registered_at_ms=registered_at_ms,
            receiver=consignment.receiver,
            vehicle=consignment.vehicle,
            planned_ms=None if consignment.planned_arrival is None else to_ms(consignment.planned_arrival),
        )
        save_items(connection, consignment, received_ms)
        old = None if known is None else known.consignment
        self._record(connection, who, act, f"consignment {consignment.code}", old, consignment)
        boxes = boxes_of(consignment) | (set() if old is None else boxes_of(old))
        arrives = old is not None and old.received_at is None and consignment.received_at is not None
        self._move_boxes(connection, boxes, consignment, who, arrives=arrives)
        settle_registered(connection, consignment, who, now_ms)
        ended = follow_boxes(connection, boxes, now_ms)
        mark_consignments(connection, [consignment.code, *ended], now_ms)
        mark(connection, Subject.CONSIGNMENT, [consignment.code])
        tell(connection, "consignment", {"consignment": consignment.code, "version": version, "act": act}, now_ms)
        return Registered(consignment, version, registered_at_ms)

    def _move_boxes(
        self, connection: Connection, codes: set[str], consignment: Consignment, who: str, *, arrives: bool
    ) -> None:
        """Let the boxes' states follow: what is registered in a box has loaded it, and its receipt has received it."""
        waiting = read_boxes_in_use(connection, codes, self._now_ms())
        for code in sorted(codes):
            document = read_document(connection, schema.boxes, code)
            box = None if document is None else Box.model_validate_json(document)
            if code in waiting:
                state = BoxState.LOADED
            elif arrives and box is not None and box.state in ALERTING:
                state = BoxState.RECEIVED
            else:
                continue
            if box is not None and box.state is not state:
                moved = box.model_copy(update={"state": state})
                replace_row(connection, schema.boxes, code=code, document=moved.model_dump_json())
                self._record(connection, who, "move", f"box {code}", box, moved, f"consignment {consignment.code}")

    def _check_references(self, connection: Connection, consignment: Consignment) -> None:
        for field, examination in examinations_of(consignment):
            for name in (examination.profile, *(switch.profile for switch in examination.switches)):
                if read_profile(connection, name) is None:
                    raise InputError(f"{field}.profile", f"no profile {name}")
        known = set(connection.execute(select(schema.boxes.c.code)).scalars())
        unknown = sorted(boxes_of(consignment) - known)
        if unknown:
            raise InputError("carriage", f"no box {unknown[0]} is registered")

    def _record(
        self,
        connection: Connection,
        who: str,
        act: str,
        subject: str,
        old: str | Model | None,
        new: Model,
        reason: str = "",
    ) -> None:
        refuse_identities(new)
        before = old.model_dump_json() if isinstance(old, Model) else old
        record_act(connection, Act(who, act, subject, before, new.model_dump_json(), reason), self._now_ms())
