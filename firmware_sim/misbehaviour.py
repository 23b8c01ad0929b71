"""What a logger does wrong on the air and in its log; each as it was seen in the field.

The fields are hooks that a test sets at any time; a scenario sets them by its ``faults``.
"""

import asyncio
import dataclasses
from dataclasses import dataclass

from firmware_sim.peripheral import Characteristic, Job, Port, Send

FLIPPED_BIT = 0x10


@dataclass(frozen=True)
class BadLog:
    """What is wrong with a download; frames are counted from 0."""

    truncates_after: int | None = None
    """This many frames are sent, then none, and no end either."""
    corrupts_frame: int | None = None
    """One bit of this frame is turned."""
    loses_frame: int | None = None
    """This frame is never sent, the ones after it are."""
    disconnects_after: int | None = None
    """The link is lost after this many frames."""


@dataclass
class Misbehaviour:
    """What is wrong with one logger now."""

    is_frozen: bool = False
    """It repeats an old advertisement while it goes on measuring: its counter stands still."""
    is_foreign: bool = False
    """It also sends something else than its format under the same company identifier or UUID."""
    bad_log: BadLog = dataclasses.field(default_factory=BadLog)
    bad_downloads: int | None = None
    """How many more downloads ``bad_log`` spoils; None is all of them."""

    def take_bad_log(self) -> BadLog:
        """Return what is wrong with the download that begins now, and count it."""
        if self.bad_downloads is None:
            return self.bad_log
        if self.bad_downloads == 0:
            return BadLog()
        self.bad_downloads -= 1
        return self.bad_log


class Download:
    """Sends the frames of one log at a time over a characteristic, and spoils them as its misbehaviour says."""

    def __init__(self, characteristic: Characteristic, misbehaviour: Misbehaviour) -> None:
        self._characteristic = characteristic
        self._misbehaviour = misbehaviour
        self._task: asyncio.Task[None] | None = None
        self.port: Port | None = None

    @property
    def is_busy(self) -> bool:
        """Tell whether a log is being sent."""
        return self._task is not None

    def start(self, job: Job) -> bool:
        """Run a job that sends frames; False, and nothing happens, while another one is busy."""
        if self._task is not None:
            return False
        send = _spoil(self._characteristic.send, self._misbehaviour.take_bad_log(), self.port)
        self._task = asyncio.create_task(job(send), name="log download")
        self._task.add_done_callback(self._finish)
        return True

    async def stop(self) -> None:
        """End what is being sent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def cancel(self) -> None:
        """End what is being sent, without waiting: the link is gone."""
        if self._task is not None:
            self._task.cancel()

    def _finish(self, _task: asyncio.Task[None]) -> None:
        self._task = None


def _spoil(send: Send, bad: BadLog, port: Port | None) -> Send:
    sent = 0

    async def spoiled(frame: bytes) -> bool:
        nonlocal sent
        index = sent
        sent += 1
        if bad.truncates_after is not None and index >= bad.truncates_after:
            return False
        if bad.disconnects_after is not None and index >= bad.disconnects_after:
            if port is not None:
                port.drop_link()
            return False
        if index == bad.loses_frame:
            return True
        if index == bad.corrupts_frame:
            middle = len(frame) // 2
            frame = frame[:middle] + bytes((frame[middle] ^ FLIPPED_BIT,)) + frame[middle + 1 :]
        return await send(frame)

    return spoiled
