"""Records in a segment other than observations: events, faults, corrections, health.

These are the wire types themselves (msgspec, tagged, arrays in MessagePack), so that what is sealed is what
is read. Fields are only ever added at the end, with a default. Times are UTC in milliseconds.
"""

from __future__ import annotations

import msgspec


class Record(msgspec.Struct, frozen=True, array_like=True, tag=True, forbid_unknown_fields=False):
    """Anything that happened at a moment. `clock_trusted` tells the quality of `at_ms`."""

    at_ms: int
    clock_trusted: bool


class CustodyEvent(Record, frozen=True, tag="custody"):
    """A box, consignment or item was loaded, unloaded, handed over or received.

    `act` is one of loaded, unloaded, handed_over, received, opened, closed. `holder` is a badge code or
    "unidentified". Codes only, never names. `id` is what a withdrawal names.
    """

    act: str
    box: str
    consignment: str = ""
    item: str = ""
    holder: str = "unidentified"
    place: str = ""
    id: str = ""


class Registration(Record, frozen=True, tag="registration"):
    """An item was registered at the vehicle: it lies in `box` since `packed_at_ms`.

    A later one with the same `id` replaces it.

    examinations   pairs of an examination's code and its profile
    collected_at_ms  when it was taken; of what is not collected: None
    low_c, high_c  what the time before packing is declared to have been; None: nothing is declared
    """

    id: str
    consignment: str
    box: str
    item: str
    kind: str
    examinations: tuple[tuple[str, str], ...]
    packed_at_ms: int
    collected_at_ms: int | None = None
    low_c: float | None = None
    high_c: float | None = None
    holder: str = "unidentified"


class Withdrawal(Record, frozen=True, tag="withdrawal"):
    """The act `id` of this gateway did not happen: it was undone."""

    id: str
    holder: str = "unidentified"


class ClockCorrection(Record, frozen=True, tag="clock"):
    """Something happened to the gateway's clock: at `monotonic_ms` of this boot UTC is `at_ms`.

    before_ms  what UTC was thought to be at that moment; of "began": no moment of this boot is earlier (0: not known)
    source     "began", "became trusted", "stepped", "lost trust", or "step not followed"
    error_ms   bound on the error of `at_ms`; says nothing while the clock is not trusted
    reference  who vouches for the time: "ntp", "chrony", "gps", "declared"; empty while nobody does
    """

    monotonic_ms: int
    before_ms: int
    source: str
    error_ms: int = 0
    reference: str = ""


class DeviceFault(Record, frozen=True, tag="fault"):
    """A logger (or, with an empty `logger`, the gateway) showed a fault. `code` is stable, `detail` is numbers."""

    logger: str
    code: str
    detail: dict[str, int] = {}


class MemoryRead(Record, frozen=True, tag="memory_read"):
    """A stretch of a logger's memory was asked for; `complete` only if the logger's end mark arrived."""

    logger: str
    from_ms: int
    to_ms: int
    records: int
    new_records: int
    complete: bool


class Stop(Record, frozen=True, tag="stop"):
    """The vehicle arrived at a place, or left it: a registered site by its name, any other as "stop n".

    There is no coordinate, on purpose: where a vehicle stops can tell who the patient is.
    """

    act: str
    place: str
    is_site: bool
    monotonic_ms: int


class KeyChange(Record, frozen=True, tag="key"):
    """A signing key hands over to another one; see `gateway.core.succession`. `at_ms` is when.

    old, new    public keys, 32 bytes each
    token_hash  of a gateway: SHA-256 of the token that goes with the new key; of the hub: empty
    signature   of the old key's owner
    """

    old: bytes
    new: bytes
    token_hash: bytes
    signature: bytes


class Resealed(Record, frozen=True, tag="resealed"):
    """What this segment holds was sealed before, at another place that the hub never gets. `at_ms` is when first."""

    epoch: bytes
    offset: int


class Health(Record, frozen=True, tag="health"):
    """The gateway's own counters, by name."""

    counters: dict[str, int]


AnyRecord = (
    CustodyEvent
    | Registration
    | Withdrawal
    | ClockCorrection
    | DeviceFault
    | MemoryRead
    | Stop
    | KeyChange
    | Resealed
    | Health
)
