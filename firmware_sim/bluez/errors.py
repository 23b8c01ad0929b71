"""Errors that are sent to a client as a D-Bus error reply."""


class BluezError(Exception):
    """A call failed; the client gets this error as its reply.

    ``name`` is the full D-Bus error name, or only the last word of one below ``org.bluez.Error``.
    """

    def __init__(self, name: str, text: str = "") -> None:
        super().__init__(name, text)
        self.name = name if "." in name else f"org.bluez.Error.{name}"
        self.text = text


def unknown_object(path: str | None) -> BluezError:
    """Return the error for a call on a path that has no object."""
    return BluezError("org.freedesktop.DBus.Error.UnknownObject", f"no object at {path}")


def unknown_method(interface: str | None, member: str | None) -> BluezError:
    """Return the error for a call of a method that its object does not have."""
    return BluezError("org.freedesktop.DBus.Error.UnknownMethod", f"no method {member} on interface {interface}")


def invalid_arguments(text: str) -> BluezError:
    """Return the error for arguments that the method cannot take."""
    return BluezError("org.freedesktop.DBus.Error.InvalidArgs", text)
