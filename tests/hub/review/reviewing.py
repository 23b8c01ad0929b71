"""People and breaches for the tests of reviews."""

from __future__ import annotations

from gateway.core.configuration import Box, Consignment
from gateway.hub.access.callers import Caller, Way, make_caller
from gateway.hub.access.roles import Role
from gateway.hub.breaches.keeping import read_covered, reconcile
from gateway.hub.database.store import Store
from gateway.hub.judgement.verdict_history import save_judgement
from gateway.hub.registry.registry import Registry
from gateway.hub.review.desk import ReviewDesk
from tests.hub.samples import NOW_MS, breach, judgement
from tests.hub.vans import iso


def person(role: Role, name: str = "") -> Caller:
    return make_caller(name or role.value, frozenset({role}), Way.SESSION, printed_name=f"The {role}")


DOCTOR, QUALITY, PHARMACIST = person(Role.LABORATORY_DOCTOR), person(Role.QUALITY), person(Role.PHARMACIST)
RECEIVER, NURSE, DRIVER = person(Role.RECEIVER), person(Role.NURSE), person(Role.DRIVER)


class Ward:
    """A store with a consignment of one item, and breaches of it."""

    def __init__(self, store: Store, kind: str = "sample") -> None:
        self.store, self.now = store, NOW_MS
        self.registry = Registry(store, lambda: self.now)
        self.desk = ReviewDesk(store, lambda: self.now)
        self.registry.put_box(Box(code="BOX-1"), "test")
        document = {
            "code": "C-1",
            "items": [{"code": "T-1", "kind": kind, "examinations": [{"code": "K", "profile": "potassium"}]}],
            "carriage": [{"box": "BOX-1", "begins": iso(0)}],
        }
        self.registry.put_consignment(Consignment.model_validate(document), "nurse")

    def judge(self, *minutes: tuple[float, float | None], received: bool = False) -> None:
        found = judgement(*(breach(*stretch) for stretch in minutes))
        with self.store.write() as connection:
            save_judgement(connection, found, self.now, received=received)
            reconcile(connection, found, read_covered(connection, "C-1"), self.now)

    def close(self, breach_id: int = 1) -> None:
        self.desk.acknowledge(breach_id, DOCTOR)
        self.desk.begin(breach_id, QUALITY)
        self.desk.conclude(breach_id, QUALITY, "box_open", "trained")
        self.desk.close(breach_id, QUALITY)
