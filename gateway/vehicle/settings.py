"""Settings of the vehicle's process."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from gateway.clock import ClockSettings
from gateway.core.configuration import Code
from gateway.language import Language
from gateway.mqtt import MqttSettings
from gateway.settings import Settings


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def is_loopback(host: str) -> bool:
    """Say whether a host's name or address is this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class HubSettings(_Section):
    """Where breaches are flagged and where the gateway enrols. The code is needed once, at the first start."""

    url: str = "http://127.0.0.1:8080"
    enrolment_code: SecretStr | None = None
    ca_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is not http://host[:port] or https://host[:port]")
        return url.rstrip("/")


class RadioSettings(_Section):
    """The Bluetooth adapters.

    adapters           names such as "hci0"; empty: every one that BlueZ has, also those plugged in later
    scanning           "active" asks each device for its scan response; "passive" only listens (BlueZ needs its
                       experimental flag for that); "auto" listens where BlueZ allows it
    silence_s          real seconds without hearing anything at all, foreign devices included, after which an adapter
                       counts as mute and is set right step by step
    connections        loggers that may be connected at once; a controller serves 5 to 10, and each link takes time
                       from listening
    restart_bluetooth  the last step: "systemd" asks it over D-Bus (polkit decides), "never", or a command as a list
    """

    adapters: tuple[Annotated[str, Field(pattern=r"^hci\d+$")], ...] = ()
    scanning: Literal["active", "passive", "auto"] = "auto"
    silence_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    connections: Annotated[int, Field(ge=1, le=5)] = 2
    restart_bluetooth: Literal["systemd", "never"] | Annotated[tuple[str, ...], Field(min_length=1)] = "systemd"


class RecordingSettings(_Section):
    """How often the record is written, in domain seconds.

    interval_s  one reading of each logger in so long, and every crossing of a limit beside it. At a minute 50 loggers
                publish 1.3 MB a day; at 30 s 2.6 MB, for nothing that a limit would show
    """

    interval_s: Annotated[int, Field(ge=1, le=3600)] = 60
    seal_interval_s: Annotated[int, Field(ge=1, le=3600)] = 30
    health_interval_s: Annotated[int, Field(ge=10, le=86400)] = 300


class OutboxSettings(_Section):
    """How much of the log stays on the card.

    2 GiB hold a year of 50 loggers offline: a reading a minute, 21 bytes each on the disk (measured), are 0.55 GB.
    """

    max_bytes: Annotated[int, Field(ge=1 << 20)] = 2 << 30
    keep_acknowledged_h: Annotated[int, Field(ge=0)] = 7 * 24


class UplinkSettings(_Section):
    """How the log travels. Times are real seconds.

    window_bytes  sent and not yet acknowledged by the hub, at most; 256 KiB are 2 s of a 1 Mbit/s link
    stall_s       without progress for so long the window is sent again; doubles up to stall_max_s
    """

    window_bytes: Annotated[int, Field(ge=1024)] = 256 * 1024
    stall_s: Annotated[float, Field(gt=0)] = 5.0
    stall_max_s: Annotated[float, Field(gt=0)] = 300.0


class DriverSettings(_Section):
    """Where the vehicle's screen and the state are served; port 0 chooses a free one.

    pin       asked of every device but the vehicle's own machine; needed where `host` is not loopback
    names     by which browsers may call it, beside its addresses and localhost
    language  of the screen, where a browser asks for none
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    pin: Annotated[SecretStr, Field(min_length=6, max_length=64)] | None = None
    names: Annotated[tuple[str, ...], Field(max_length=10)] = ()
    language: Language = Language.NB

    @model_validator(mode="after")
    def _is_closed(self) -> Self:
        if self.pin is None and not is_loopback(self.host):
            raise ValueError("pin is needed where host is not loopback: whoever is near would reach the screen")
        return self


class GpsdSettings(_Section):
    """A GPS receiver behind gpsd. Without `address` there is none.

    address   host and port of gpsd, "127.0.0.1:2947"; its time is used where NTP does not reach
    position  whether stops are recorded: registered sites by name, others as "stop 1", "stop 2"; coordinates are kept
              nowhere. Off unless it is asked for: where a vehicle stops can tell who the patient is
    """

    address: str = ""
    position: bool = False

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.position and not self.address:
            raise ValueError("position needs address")
        if self.address and self.host_and_port is None:
            raise ValueError(f"address: {self.address!r} is not host:port")
        return self

    @property
    def host_and_port(self) -> tuple[str, int] | None:
        """The address in two parts, None if there is none."""
        host, _, port = self.address.rpartition(":")
        is_port = port.isascii() and port.isdigit() and 0 < int(port) <= 65535  # noqa: PLR2004  the ports that there are
        return (host.strip("[]"), int(port)) if host and is_port else None


class VehicleSettings(Settings):
    """Everything that the vehicle's process is told. `gateway` is its name at the hub."""

    gateway: Code
    data_dir: Path
    clock: ClockSettings = ClockSettings()
    broker: MqttSettings = MqttSettings()
    hub: HubSettings = HubSettings()
    radio: RadioSettings = RadioSettings()
    recording: RecordingSettings = RecordingSettings()
    outbox: OutboxSettings = OutboxSettings()
    uplink: UplinkSettings = UplinkSettings()
    driver: DriverSettings = DriverSettings()
    gpsd: GpsdSettings = GpsdSettings()

    @field_validator("gateway")
    @classmethod
    def _fits_a_topic(cls, name: str) -> str:
        if "/" in name or "+" in name:
            raise ValueError(f"{name!r} has / or +, which MQTT topics reserve")
        return name
