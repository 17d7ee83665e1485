"""Writer schemas from a schema registry, by Confluent's protocol.

A registry that cannot be reached is no fault of a message: the caller waits. One that says that it has
no schema of an id is believed for half a minute. What an id means never changes, so it is asked once.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from loader import config
from loader.codec.schemas import SchemaSource, ShippedSchemas
from loader.errors import Transient, Unreachable
from loader.logs import retried

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient
    from confluent_kafka.schema_registry.error import SchemaRegistryError

#: Seconds for which an unknown id stays unknown, and how many are kept.
UNKNOWN_SECONDS: Final = 30.0
_UNKNOWN: Final = 10_000

_NOT_FOUND: Final = 404
_REFUSED: Final = (401, 403)
_COME_BACK: Final = (408, 429, 500, 502, 503, 504)
#: The registry's own codes of "not found"; a 404 without one comes from something else.
_NO_SUCH: Final = (40401, 40402, 40403)
_AVRO: Final = "AVRO"


def schema_source(settings: config.Settings) -> SchemaSource:
    """The configured registry, else the schemas that come with the loader."""
    registry = settings.schema_registry
    return ShippedSchemas() if registry.url is None else RegistrySchemas(registry)


class RegistrySchemas:
    """The schemas of a registry. May be used by several threads.

    Args:
        settings: where it is.
        clock: monotonic seconds.
    """

    def __init__(
        self, settings: config.SchemaRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._client: SchemaRegistryClient | None = None
        self._texts: dict[int, str] = {}
        self._unknown: dict[int, float] = {}
        self._away: Unreachable | None = None

    def writer_schema(self, schema_id: int) -> str | None:
        """The schema as JSON text, or None for an id that the registry does not know.

        While the registry is known to be away, one thread asks for it, once a call; others are told so at
        once, and can do what needs no schema.

        Raises:
            Unreachable: the registry stayed away, refused us or is none, after bounded retries.
        """
        text = self._texts.get(schema_id)
        if text is not None:
            return text
        if self._is_unknown(schema_id):
            return None
        away = self._away
        if not self._lock.acquire(blocking=away is None):
            assert away is not None  # noqa: S101 - else the lock would have been waited for
            raise Unreachable(away.message, hint=away.hint)
        try:
            return self._looked_up(schema_id)
        finally:
            self._lock.release()

    def _looked_up(self, schema_id: int) -> str | None:
        """The same by the one thread that may ask; the lock is held."""
        if schema_id in self._texts:
            return self._texts[schema_id]
        if self._is_unknown(schema_id):
            return None
        try:
            text = self._fetched(schema_id)
        except Unreachable as error:
            self._away = error
            raise
        self._away = None
        if text is not None:
            self._texts[schema_id] = text
            return text
        if len(self._unknown) >= _UNKNOWN:
            self._unknown.clear()
        self._unknown[schema_id] = self._clock() + UNKNOWN_SECONDS
        return None

    def _is_unknown(self, schema_id: int) -> bool:
        """Whether the registry said so, and not long ago."""
        now = self._clock()
        return self._unknown.get(schema_id, now) > now

    def _fetched(self, schema_id: int) -> str | None:
        try:
            # Whoever waits for it comes again; each turn need not have five attempts of its own.
            once = self._away is not None
            answer = self._ask(schema_id) if once else retried(lambda: self._ask(schema_id))
        except Unreachable:
            raise
        except Transient as fault:
            raise Unreachable(
                f"The schema registry at {self._settings.url} stayed away: {fault}",
                hint="Messages wait for it; none is refused.",
            ) from None
        if isinstance(answer, str):
            return answer
        status, code = answer.http_status_code, answer.error_code
        if status == _NOT_FOUND and code in _NO_SUCH:
            return None
        if status in _REFUSED:
            raise Unreachable(
                f"The schema registry at {self._settings.url} refuses us (HTTP {status}).",
                hint="Correct schema_registry.username and password.",
            )
        raise Unreachable(
            f"{self._settings.url} does not answer as a schema registry (HTTP {status}).",
            hint="Correct schema_registry.url.",
        )

    def _ask(self, schema_id: int) -> str | SchemaRegistryError:
        """The schema, or an answer that will not be another one soon.

        Raises:
            Transient: no answer, or one that says to come back.
        """
        # Imported late: most topics are read without a registry, and it takes a while.
        import httpx2  # noqa: PLC0415
        from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415

        try:
            schema = self._connected().get_schema(schema_id)
        except SchemaRegistryError as fault:
            if fault.http_status_code in _COME_BACK:
                raise Transient(f"HTTP {fault.http_status_code}") from None
            return fault
        except httpx2.TransportError as fault:
            raise Transient(type(fault).__name__) from None
        except (AttributeError, LookupError, TypeError, ValueError):
            raise Unreachable(
                f"{self._settings.url} does not answer as a schema registry.",
                hint="Correct schema_registry.url.",
            ) from None
        kind = schema.schema_type or _AVRO
        # A text that is no Avro schema refuses the messages, with this name in the reason.
        text = schema.schema_str if kind == _AVRO else json.dumps(f"of the type {kind}")
        return text or ""

    def _connected(self) -> SchemaRegistryClient:
        if self._client is None:
            from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415

            settings = self._settings
            # Retries are ours, so that each has its line in the log.
            options: dict[str, object] = {
                "url": settings.url,
                "timeout": settings.timeout,
                "max.retries": 0,
            }
            if settings.username is not None:
                password = settings.password.get_secret_value() if settings.password else ""
                options["basic.auth.user.info"] = f"{settings.username}:{password}"
            self._client = SchemaRegistryClient(options)
        return self._client
