"""Writer schemas from a registry over real HTTP: there, away, slow, and in the wrong place."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import stamina

from loader import config
from loader.codec.contract import Reason
from loader.codec.control import ControlReader
from loader.codec.decoders import decoder
from loader.codec.encode import encode_avro
from loader.codec.registry import UNKNOWN_SECONDS, RegistrySchemas, schema_source
from loader.codec.schemas import ShippedSchemas, frame
from loader.errors import Unreachable
from tests.support.schema_registry import SchemaRegistry, schema_registry

EVENT = ShippedSchemas().writer_schema(1) or ""
MIGRATION = ShippedSchemas().writer_schema(3) or ""
SENT = {"event_id": 1, "user_id": 2, "session_id": 3, "time": 4, "type": "click"}


@pytest.fixture
def registry() -> Iterator[SchemaRegistry]:
    with schema_registry() as served:
        served.schemas[4711] = EVENT
        yield served


@pytest.fixture(autouse=True)
def two_attempts() -> Iterator[None]:
    """Retries without the waits."""
    with stamina.set_testing(True, attempts=2):
        yield


def source(registry: SchemaRegistry, **more: object) -> RegistrySchemas:
    return RegistrySchemas(config.SchemaRegistry.model_validate({"url": registry.url, **more}))


def value(schema_id: int = 4711) -> bytes:
    return encode_avro(SENT, schema_id=schema_id, schema=EVENT)


def test_an_id_is_asked_for_once(registry: SchemaRegistry) -> None:
    schemas = source(registry)
    for _ in range(3):
        decoded = decoder("events", "avro", schemas).decode([value(), value()])
        assert decoded.schema_ids.tolist() == [4711, 4711]
        assert decoded.reference_rows == 0
    assert registry.asked == ["/schemas/ids/4711"]


def test_the_configured_registry_goes_before_the_shipped_schemas(registry: SchemaRegistry) -> None:
    settings = config.Settings.model_validate({"schema_registry": {"url": registry.url}})
    schemas = schema_source(settings)
    assert schemas.writer_schema(4711) == EVENT
    assert schemas.writer_schema(1) is None
    assert schema_source(config.Settings()).writer_schema(1) == EVENT


def test_control_messages_take_their_schemas_from_it_too(registry: SchemaRegistry) -> None:
    registry.schemas[9] = MIGRATION
    sent = {"from_user_id": 1, "to_user_id": 2, "time": 3}
    message = encode_avro(sent, schema_id=9, schema=MIGRATION)
    assert ControlReader("avro", source(registry)).user_migration(message).to_user_id == 2


def test_an_unknown_id_is_believed_for_a_while(registry: SchemaRegistry) -> None:
    now = 100.0
    settings = config.SchemaRegistry(url=registry.url)
    schemas = RegistrySchemas(settings, clock=lambda: now)
    made = decoder("events", "avro", schemas)
    for _ in range(3):
        refused = made.decode([value(5), value(4711), value(5)]).rejected
        assert [r.reason for r in refused] == [Reason.UNKNOWN_SCHEMA] * 2
    assert registry.asked.count("/schemas/ids/5") == 1
    registry.schemas[5] = EVENT
    now += UNKNOWN_SECONDS
    assert made.decode([value(5)]).rejected == ()


def test_away_at_start_refuses_no_message_and_goes_on_when_it_is_there() -> None:
    with schema_registry() as served:
        port = served.port
    schemas = source(served)
    made = decoder("events", "avro", schemas)
    for _ in range(2):
        with pytest.raises(
            Unreachable, match=rf"schema registry at http://127.0.0.1:{port} stayed away"
        ):
            made.decode([value()])
    with schema_registry(port) as back:
        back.schemas[4711] = EVENT
        assert made.decode([value()]).rejected == ()


def test_away_in_mid_flight_known_ids_are_still_read(registry: SchemaRegistry) -> None:
    made = decoder("events", "avro", source(registry))
    assert made.decode([value()]).rejected == ()
    port = registry.port
    registry.close()
    assert made.decode([value()]).rejected == ()
    with pytest.raises(Unreachable):
        made.decode([value(), value(8)])
    with schema_registry(port) as back:
        back.schemas[8] = EVENT
        assert made.decode([value(), value(8)]).schema_ids.tolist() == [4711, 8]


def test_while_it_is_away_one_asks_and_nobody_waits_for_the_answer(
    registry: SchemaRegistry,
) -> None:
    schemas = source(registry)
    assert schemas.writer_schema(404) is None
    registry.asked.clear()
    registry.status = 503
    with pytest.raises(Unreachable):
        schemas.writer_schema(5)
    assert len(registry.asked) == 2
    registry.requested.clear()
    registry.held.set()
    with ThreadPoolExecutor(1) as asking:
        asked = asking.submit(schemas.writer_schema, 5)
        assert registry.requested.wait(30)
        # The one request under way is not answered, and this is told at once nevertheless.
        with pytest.raises(Unreachable, match="stayed away"):
            schemas.writer_schema(6)
        # Nor does an id wait that it was known not to have before it went away.
        assert schemas.writer_schema(404) is None
        assert not asked.done()
        registry.released.set()
        with pytest.raises(Unreachable):
            asked.result(30)
    assert len(registry.asked) == 3
    registry.status = None
    assert schemas.writer_schema(4711) == EVENT
    registry.status = 503
    with pytest.raises(Unreachable):
        schemas.writer_schema(5)
    assert len(registry.asked) == 6


def test_a_slow_one_counts_as_away(registry: SchemaRegistry) -> None:
    registry.held.set()
    with pytest.raises(Unreachable, match="stayed away: ReadTimeout"):
        source(registry, timeout="200ms").writer_schema(4711)
    assert len(registry.asked) == 2


@pytest.mark.parametrize("status", [500, 503, 429])
def test_an_overloaded_one_counts_as_away(registry: SchemaRegistry, status: int) -> None:
    registry.status = status
    schemas = source(registry)
    with pytest.raises(Unreachable, match=f"stayed away: HTTP {status}"):
        schemas.writer_schema(4711)
    registry.status = None
    assert schemas.writer_schema(4711) == EVENT


@pytest.mark.parametrize(
    ("given", "works"), [("se:cret", True), ("wrong-pass", False), (None, False)]
)
def test_credentials_are_sent_and_never_shown(
    registry: SchemaRegistry, given: str | None, works: bool
) -> None:
    registry.login = "loader:se:cret"
    login = {} if given is None else {"username": "loader", "password": given}
    schemas = source(registry, **login)
    if works:
        assert schemas.writer_schema(4711) == EVENT
        return
    with pytest.raises(Unreachable, match="refuses us") as caught:
        schemas.writer_schema(4711)
    assert "schema_registry.username" in str(caught.value)
    assert "wrong-pass" not in str(caught.value)
    assert registry.asked == ["/schemas/ids/4711"]


@pytest.mark.parametrize("status", [200, 404, 400])
def test_a_server_that_is_no_registry_refuses_no_message(
    registry: SchemaRegistry, status: int
) -> None:
    registry.status = status
    with pytest.raises(Unreachable, match="does not answer as a schema registry"):
        decoder("events", "avro", source(registry)).decode([value()])


def test_messages_of_another_schema_language_are_refused(registry: SchemaRegistry) -> None:
    registry.schemas[6], registry.types[6] = '{"type":"string"}', "JSON"
    refused = decoder("events", "avro", source(registry)).decode([frame(6, b"\2a")]).rejected
    assert [r.reason for r in refused] == [Reason.UNKNOWN_SCHEMA]
    assert "JSON" in refused[0].error
