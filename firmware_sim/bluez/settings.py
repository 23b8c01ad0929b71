"""What may differ from one real BlueZ to the next."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How this BlueZ behaves. The delays are real seconds and zero by default, so that tests are quick."""

    adapter: str = "hci0"
    adapter_address: str = "00:1A:7D:DA:71:13"
    rssi_delta_db: int = 8
    """An advertisement that differs only in signal strength is signalled from this change on.

    8 as in BlueZ 5.82; 0 signals each one, as 5.66 does.
    """
    forget_after_s: float = 30.0
    """A device that is neither heard nor connected for so long loses its objects (TemporaryTimeout)."""
    connect_delay_s: float = 0.0
    """From Connect to the link; about 1.1 s was measured on real BlueZ."""
    discover_delay_s: float = 0.0
    """From the link to ServicesResolved."""
    disconnect_delay_s: float = 0.0
    """From Disconnect to the end of the link; 2.0 s was measured on real BlueZ."""
    connect_timeout_s: float = 20.0
    """A device out of range fails to connect after this time (the kernel's limit for an LE connection)."""
    mtu: int = 247
    """ATT MTU after the exchange; a notification carries at most three bytes less."""
    experimental: bool = True
    """``bluetoothd -E``: without it there is no advertisement monitor, so no passive scan."""
