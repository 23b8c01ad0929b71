"""Method calls that are to go wrong."""

from dataclasses import dataclass

from dbus_fast import Message

from firmware_sim.bluez.errors import BluezError


@dataclass
class Fault:
    """The next ``times`` calls of ``member`` fail with ``error``, or are never answered where that is None.

    ``times=None`` is for ever. ``path`` limits it to one object.
    """

    member: str
    error: BluezError | None
    path: str | None = None
    times: int | None = 1

    def hits(self, message: Message) -> bool:
        """Tell whether this call goes wrong, and count it."""
        if message.member != self.member or self.path not in (None, message.path) or self.times == 0:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class FaultPlan:
    """Faults in the order in which they were planned; the first one that fits a call takes it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Plan a fault."""
        self._faults.append(fault)

    def clear(self) -> None:
        """Let everything go well again."""
        self._faults.clear()

    def take(self, message: Message) -> Fault | None:
        """Return the fault that this call runs into, None when it goes well."""
        return next((fault for fault in self._faults if fault.hits(message)), None)
