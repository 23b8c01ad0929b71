"""Match rules: which signals a client of the bus asked for."""

import re
from dataclasses import dataclass

from dbus_fast import Message

from firmware_sim.bluez.errors import invalid_arguments

_PART = re.compile(r"\s*(\w+)=(?:'([^']*)'|([^,']*))\s*(?:,|$)")


@dataclass(frozen=True)
class MatchRule:
    """One rule of AddMatch; what is None matches everything.

    Of the arguments only the first can be matched, which is all that clients of BlueZ use.
    """

    interface: str | None = None
    member: str | None = None
    path: str | None = None
    path_namespace: str | None = None
    sender: str | None = None
    type: str | None = None
    arg0: str | None = None
    arg0path: str | None = None
    other: tuple[tuple[str, str], ...] = ()

    def accepts(self, message: Message, aliases: frozenset[str]) -> bool:
        """Tell whether the signal is wanted; ``aliases`` are the names under which its sender is known."""
        if self.other or self.type not in (None, "signal"):
            return False
        return (
            self.interface in (None, message.interface)
            and self.member in (None, message.member)
            and self.path in (None, message.path)
            and (self.sender is None or self.sender in aliases)
            and (self.path_namespace is None or is_below(message.path or "/", self.path_namespace))
            and self._accepts_argument(message)
        )

    def _accepts_argument(self, message: Message) -> bool:
        if self.arg0 is None and self.arg0path is None:
            return True
        first = message.body[0] if message.body and isinstance(message.body[0], str) else None
        if first is None:
            return False
        if self.arg0 is not None and first != self.arg0:
            return False
        return self.arg0path is None or _are_related(first, self.arg0path)


def parse_rule(text: str) -> MatchRule:
    """Read a rule such as ``type='signal',interface='a.b',arg0path='/c/'``.

    A key that is not known here makes a rule that matches nothing. Raises ``BluezError`` for malformed text.
    """
    values: dict[str, str] = {}
    position = 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise invalid_arguments(f"malformed match rule: {text}")
        values[part[1]] = part[2] if part[2] is not None else part[3]
        position = part.end()
    return MatchRule(
        interface=values.pop("interface", None),
        member=values.pop("member", None),
        path=values.pop("path", None),
        path_namespace=values.pop("path_namespace", None),
        sender=values.pop("sender", None),
        type=values.pop("type", None),
        arg0=values.pop("arg0", None),
        arg0path=values.pop("arg0path", None),
        other=tuple(sorted(values.items())),
    )


def is_below(path: str, namespace: str) -> bool:
    """Tell whether ``path`` is ``namespace`` or lies under it."""
    return path == namespace or path.startswith(namespace.rstrip("/") + "/")


def _are_related(argument: str, rule: str) -> bool:
    """Tell whether two paths are equal or one, ending in a slash, is a prefix of the other (D-Bus, arg0path)."""
    return (
        argument == rule
        or (rule.endswith("/") and argument.startswith(rule))
        or (argument.endswith("/") and rule.startswith(argument))
    )
