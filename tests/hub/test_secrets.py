from gateway.core.configuration import Box, Logger, LoggerKind, reveal
from gateway.hub.database import schema
from gateway.hub.database.store import Store
from gateway.hub.registry.configurations import Configurations
from gateway.hub.registry.registry import Registry

KEY = "231d39c1d7cc1ab1aee224cd096db932"
LOGGER = Logger.model_validate({"address": "A4:C1:38:00:00:01", "kind": "bthome", "box": "BOX-1", "bindkey": KEY})


def test_a_bindkey_reaches_the_vehicle_and_nobody_else(store: Store) -> None:
    registry = Registry(store, lambda: 1_767_225_600_000)
    registry.put_box(Box(code="BOX-2"), "test")
    registry.put_logger(LOGGER, "test")
    registry.put_logger(LOGGER.model_copy(update={"box": "BOX-2"}), "test")
    with store.write() as connection:
        connection.execute(schema.gateways.insert().values(name="VAN-1", created_at_ms=0))
    configurations = Configurations(store, lambda: 1_767_225_600_000)
    (configuration,) = configurations.refresh()
    assert KEY in reveal(configuration)
    (logger,) = configurations.refresh()[0].loggers
    assert configurations.refresh()[0].version == configuration.version, "nothing has changed"
    assert (logger.kind, logger.bindkey) == (LoggerKind.BTHOME, LOGGER.bindkey)
    with store.read() as connection:
        trail = str(connection.execute(schema.audit.select()).all())
    assert LOGGER.address in trail
    assert KEY not in trail
    (listed,) = registry.loggers()
    assert KEY not in listed.model_dump_json()
