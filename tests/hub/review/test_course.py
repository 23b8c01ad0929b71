"""What people did with a consignment: acts of its boxes and items, as corrected, and those at the hub."""

from __future__ import annotations

from gateway.core.records import CustodyEvent, Registration, Withdrawal
from gateway.hub.database.rows import read_registered
from gateway.hub.database.store import Store
from gateway.hub.replication.custody import note_custody
from gateway.hub.web.quality.course import read_acts
from gateway.language import Language, speech_of
from tests.hub.review.reviewing import Ward
from tests.hub.samples import MINUTE_MS
from tests.hub.vans import START_MS


def act(minute: int, what: str, box: str = "BOX-1", id_: str = "", **more: str) -> CustodyEvent:
    return CustodyEvent(START_MS + minute * MINUTE_MS, True, what, box, id=id_, **more)


def test_acts_in_order_without_what_was_undone_or_is_others(store: Store) -> None:
    Ward(store)
    with store.write() as connection:
        told = (
            act(20, "handed_over", holder="BADGE-7", place="Lab", id_="a"),
            act(1, "loaded"),
            act(2, "loaded", id_="b"),
            Withdrawal(START_MS + 3 * MINUTE_MS, True, "b"),
            act(4, "loaded", box="BOX-2"),
            act(5, "received", box="", item="T-9"),
            act(6, "handed_over", consignment="C-2"),
            Registration(START_MS, True, "r", "C-1", "BOX-1", "T-1", "sample", (("K", "potassium"),), START_MS),
            act(1000, "loaded"),
        )
        note_custody(connection, "van-1", told)
        note_custody(connection, "van-2", [act(7, "unloaded")])
    with store.read() as connection:
        known = read_registered(connection, "C-1")
        assert known is not None
        span = (START_MS, START_MS + 30 * MINUTE_MS)
        found = read_acts(connection, known.consignment, ["BOX-1"], ["van-1"], span, speech_of(Language.EN))
    assert [(one.what, one.of, one.holder, one.place) for one in found if one.place != "at the hub"] == [
        ("Packed", "T-1 → BOX-1", "unidentified", "van-1"),
        ("Loaded", "BOX-1", "unidentified", "van-1"),
        ("Handed over", "BOX-1", "BADGE-7", "van-1, Lab"),
    ]
    assert [(one.what, one.holder) for one in found if one.place == "at the hub"] == [("Registered", "nurse")]
