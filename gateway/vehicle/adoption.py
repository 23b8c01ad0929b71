"""Which configuration is in force: the newest that the pinned hub key has signed. It survives restarts."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pydantic import ValidationError

from gateway.core.configuration import Configuration
from gateway.core.errors import EnvelopeError
from gateway.core.messages import open_envelope
from gateway.core.segments import Check
from gateway.core.topics import CONFIG

log = logging.getLogger(__name__)


def open_configuration(gateway: str, envelope: bytes, check: Check) -> Configuration:
    """Read a signed configuration for this gateway; raises EnvelopeError naming what is wrong."""
    payload = open_envelope(CONFIG, gateway, envelope, check)
    try:
        configuration = Configuration.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise EnvelopeError(f"config: {field}: {first['msg']}") from error
    if configuration.gateway != gateway:
        raise EnvelopeError(f"config: it is for {configuration.gateway}, this is {gateway}")
    return configuration


class Adoption:
    """Holds the configuration in force. `on_adopted` are told of each new one."""

    def __init__(self, gateway: str, check: Check) -> None:
        self.configuration: Configuration | None = None
        self.rejected = 0
        """Messages on the config topic that were malformed, forged or for somebody else."""
        self.on_adopted: list[Callable[[Configuration], None]] = []
        self._gateway = gateway
        self._check = check

    @property
    def version(self) -> int:
        """Of the configuration in force; 0 before the first."""
        return 0 if self.configuration is None else self.configuration.version

    def consider(self, envelope: bytes, check: Check | None = None) -> bool:
        """Adopt what is newer than what is in force; returns whether it was. Keeping it is the caller's business.

        `check` stands in for the pinned key, for what was kept from earlier.
        """
        try:
            offered = open_configuration(self._gateway, envelope, check or self._check)
        except EnvelopeError as error:
            self.rejected += 1
            log.warning("a configuration was rejected: %s", error)
            return False
        if offered.version <= self.version:
            return False
        self.configuration = offered
        log.info(
            "configuration %d: %d loggers, %d boxes, %d consignments",
            offered.version,
            len(offered.loggers),
            len(offered.boxes),
            len(offered.consignments),
        )
        for tell in self.on_adopted:
            tell(offered)
        return True
