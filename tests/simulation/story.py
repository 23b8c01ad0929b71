"""The story of one run: what happened when, for whoever must understand a failing seed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256


@dataclass
class Story:
    """Lines with their virtual time."""

    now_s: Callable[[], float] = lambda: 0.0
    lines: list[str] = field(default_factory=list)

    def tell(self, who: str, what: str) -> None:
        seconds = self.now_s()
        days, rest = divmod(int(seconds), 86_400)
        clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}.{int(seconds * 1000) % 1000:03}"
        self.lines.extend(f"{days}d {clock} {who:<8} {line}" for line in what.splitlines())

    @property
    def fingerprint(self) -> str:
        """The same for the same story."""
        return sha256("\n".join(self.lines).encode()).hexdigest()[:16]


class StoryHandler(logging.Handler):
    """What the product logs is part of the story."""

    def __init__(self, story: Story) -> None:
        super().__init__(logging.INFO)
        self._story = story

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += f" ({record.exc_info[1]!r})"
        self._story.tell(record.name.removeprefix("gateway."), f"{record.levelname.lower()}: {text}")
