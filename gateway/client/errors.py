"""What can come of asking a hub: nobody there, no hub of ours, busy, or one of its problems (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gateway.core.errors import ColdchainError

RETRY_AFTER_MAX_S = 300.0
"""Longest that a Retry-After is believed: what is told at once is not put off for an hour by a faulty proxy."""
_BUSY = frozenset({408, 429, 502, 503, 504})
_SHOWN_MAX = 500


class Fault(BaseModel):
    """One field and what is wrong with it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    field: str = Field(max_length=_SHOWN_MAX)
    reason: str = Field(max_length=_SHOWN_MAX)


class Problem(BaseModel):
    """A problem as the hub states it; members that are not known are left out, as RFC 9457 asks."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    type: str = "about:blank"
    title: str = ""
    detail: str = ""
    field: str | None = None
    errors: tuple[Fault, ...] = ()


class HubError(ColdchainError):
    """Asking a hub did not lead to an answer that helps."""


class UnreachableError(HubError):
    """No answer: no network, no name, no trust, or not in time. Asking again may help."""


class NoHubError(HubError):
    """What answers is no hub of ours, or one that this version does not understand."""


class ProblemError(HubError):
    """The hub states a problem; asking the same again leads to the same."""

    def __init__(self, status: int, problem: Problem) -> None:
        self.status = status
        self.problem = problem
        self.detail = (problem.detail or problem.title or "no reason given")[:_SHOWN_MAX]
        super().__init__(f"{status}: {self.detail}")


class NotKnownError(ProblemError):
    """401: the token is missing, ended, or taken back."""


class ForbiddenError(ProblemError):
    """403: whoever asks may not."""


class NotFoundError(ProblemError):
    """404: there is nothing of that code."""


class ConflictError(ProblemError):
    """409: it contradicts what is stored."""


class NotValidError(ProblemError):
    """422: what was sent is not valid. `field` names what, "" if the hub does not say; `reason` says why."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(status, problem)
        self.field = problem.field or ""
        self.reason = self.detail.removeprefix(f"{self.field}: ")


class BusyError(ProblemError):
    """The hub, or what stands before it, cannot answer now: asking again helps, after `retry_after_s` real seconds."""

    def __init__(self, status: int, problem: Problem, retry_after_s: float) -> None:
        super().__init__(status, problem)
        self.retry_after_s = retry_after_s


_KINDS: dict[int, type[ProblemError]] = {
    401: NotKnownError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    422: NotValidError,
}


def error_of(status: int, retry_after: str, body: bytes) -> HubError:
    """Return the error that an answer of 400 or more is. `retry_after` is what the header says, "" without it."""
    try:
        problem = Problem.model_validate_json(body)
    except ValidationError:
        problem = Problem()
    if status in _BUSY:
        return BusyError(status, problem, _seconds(retry_after))
    if not problem.title and not problem.detail:
        return NoHubError(f"it answers {status}")
    return _KINDS.get(status, ProblemError)(status, problem)


def _seconds(retry_after: str) -> float:
    """Read a Retry-After in seconds; a date, which the hub never writes, counts as none."""
    text = retry_after.strip()
    is_number = text.isascii() and text.isdigit() and len(text) < len("1000000")
    return min(float(text), RETRY_AFTER_MAX_S) if is_number else 0.0
