"""What can be asked of a hub, as values: each call knows its address, its body, and how its answer is read. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.client.errors import NoHubError, error_of
from gateway.core.assignments import Swap
from gateway.core.batches import ConsignmentBatch, ConsignmentsDone, SetUp, SetUpDone
from gateway.core.configuration import Box, Consignment, Logger, reveal
from gateway.core.flags import BreachFlag

BASE = "/api/v1"
_FIRST_ERROR, _FIRST_SUCCESS, _FIRST_REDIRECT = 400, 200, 300
T = TypeVar("T")


class _Answer(BaseModel):
    """Answers may grow: what this version does not know is left out."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Accepted(_Answer):
    """Under which identity the hub keeps a flagged breach."""

    id: int
    key: str


class Enrolled(_Answer):
    """The hub's public key, to pin (hexadecimal), and the gateway's token."""

    hub_public_key: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{64}$")]
    token: Annotated[str, Field(min_length=1, max_length=1000)]


class HubTime(_Answer):
    """Of the hub's state, its time: UTC in milliseconds."""

    now_ms: int


class KnownGateway(_Answer):
    """Of what the hub knows of a gateway, whether its key counts."""

    name: str
    enrolled: bool


class Swapped(_Answer):
    """Both loggers after a swap."""

    left: Logger
    came: Logger


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One question. `body` is JSON, "" for none; `answer` reads what is answered."""

    method: str
    path: str
    answer: TypeAdapter[T]
    body: str = ""

    @property
    def headers(self) -> dict[str, str]:
        """What goes with it, but for the token."""
        accepted = {"Accept": "application/json, application/problem+json"}
        return {**accepted, "Content-Type": "application/json"} if self.body else accepted

    def read(self, status: int, retry_after: str, body: bytes) -> T:
        """Return the answer; raises a HubError for a problem, and for what no hub answers."""
        if status >= _FIRST_ERROR:
            raise error_of(status, retry_after, body)
        if not _FIRST_SUCCESS <= status < _FIRST_REDIRECT:
            raise NoHubError(f"it answers {status}")
        try:
            return self.answer.validate_json(body)
        except ValidationError as error:
            raise NoHubError(f"its answer is not what a hub answers: {error.errors()[0]['msg']}") from error


def enrol(gateway: str, code: str, public_key: bytes) -> Call[Enrolled]:
    """Enrol a gateway by its one-time code. The same code with the same key may be sent again."""
    body = _Enrolment(gateway=gateway, code=code, public_key=public_key.hex())
    return Call("POST", f"{BASE}/enrolments", TypeAdapter(Enrolled), body.model_dump_json())


class _Enrolment(BaseModel):
    gateway: str
    code: str
    public_key: str


def flag_breach(flag: BreachFlag) -> Call[Accepted]:
    """Flag a breach. Idempotent by its key: it may be sent again until it is answered."""
    return Call("POST", f"{BASE}/breaches", TypeAdapter(Accepted), flag.model_dump_json())


def show_time() -> Call[HubTime]:
    """Ask for the hub's time."""
    return Call("GET", f"{BASE}/status", TypeAdapter(HubTime))


def list_gateways() -> Call[list[KnownGateway]]:
    """List the gateways that were ever enrolled."""
    return Call("GET", f"{BASE}/gateways", TypeAdapter(list[KnownGateway]))


def list_boxes() -> Call[list[Box]]:
    """List the registered boxes."""
    return Call("GET", f"{BASE}/boxes", TypeAdapter(list[Box]))


def put_box(box: Box) -> Call[Box]:
    """Register a box, or change it."""
    return Call("PUT", f"{BASE}/boxes/{_part(box.code)}", TypeAdapter(Box), box.model_dump_json())


def list_logger_states(states: TypeAdapter[T]) -> Call[T]:
    """List the loggers with what was heard of them last, read as the caller knows them."""
    return Call("GET", f"{BASE}/loggers/states", states)


def put_logger(logger: Logger, reason: str = "") -> Call[Logger]:
    """Enrol a logger, or change it; its key goes with it."""
    asked = f"?{urlencode({'reason': reason}, quote_via=quote)}" if reason else ""
    path = f"{BASE}/loggers/{_part(logger.address)}{asked}"
    return Call("PUT", path, TypeAdapter(Logger), reveal(logger))


def swap_loggers(address: str, swap: Swap) -> Call[Swapped]:
    """Let another logger take one's place in its box."""
    return Call("POST", f"{BASE}/loggers/{_part(address)}/swap", TypeAdapter(Swapped), swap.model_dump_json())


def set_up(wanted: SetUp, *, dry_run: bool = False) -> Call[SetUpDone]:
    """Register boxes and loggers and ask for one-time codes, all of it or nothing; keys go with their loggers."""
    path = f"{BASE}/registry{_dry(dry_run)}"
    return Call("POST", path, TypeAdapter(SetUpDone), reveal(wanted, stated_only=True))


def add_consignments(batch: ConsignmentBatch, *, dry_run: bool = False) -> Call[ConsignmentsDone]:
    """Register consignments, all of them or none."""
    path = f"{BASE}/consignments/batch{_dry(dry_run)}"
    return Call("POST", path, TypeAdapter(ConsignmentsDone), batch.model_dump_json(exclude_unset=True))


def _dry(dry_run: bool) -> str:  # noqa: FBT001  a word of the address
    return "?dry_run=true" if dry_run else ""


def put_consignment(consignment: Consignment) -> Call[Consignment]:
    """Register a consignment, or a new version of it."""
    path = f"{BASE}/consignments/{_part(consignment.code)}"
    return Call("PUT", path, TypeAdapter(Consignment), consignment.model_dump_json())


def _part(code: str) -> str:
    return quote(code, safe="")
