"""The C library under the Kafka client, for the one thing that costs most: taking messages over.

``Consumer.consume`` makes four Python objects of each message. The library itself hands over addresses
(rdkafka.h: ``rd_kafka_consume_batch_queue``), which costs less than half. All of it but one thing is the
library's public interface: where the client keeps the library's handle is known for the versions of it
that were looked at, and with any other one there is no direct way (docs/adr/0017).
"""

from __future__ import annotations

import ctypes
import sys
import sysconfig
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_int32, c_size_t, c_ssize_t, c_void_p
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from confluent_kafka import Consumer

from loader.logs import log

_CLIENT: Final = "confluent-kafka"
#: Versions of the client in whose objects the handle comes first (confluent_kafka.h: ``Handle``).
KNOWN_CLIENTS: Final = frozenset({"2.16.0", "2.16.1"})

_TYPES: Final = {
    "rd_kafka_name": ([c_void_p], c_char_p),
    "rd_kafka_topic_name": ([c_void_p], c_char_p),
    "rd_kafka_queue_new": ([c_void_p], c_void_p),
    "rd_kafka_queue_get_partition": ([c_void_p, c_char_p, c_int32], c_void_p),
    "rd_kafka_queue_forward": ([c_void_p, c_void_p], None),
    "rd_kafka_queue_destroy": ([c_void_p], None),
    "rd_kafka_consume_batch_queue": ([c_void_p, c_int, c_void_p, c_size_t], c_ssize_t),
    "rd_kafka_message_timestamp": ([c_void_p, c_void_p], ctypes.c_int64),
    "rd_kafka_message_headers": ([c_void_p, POINTER(c_void_p)], c_int),
    "rd_kafka_message_errstr": ([c_void_p], c_char_p),
    "rd_kafka_message_destroy": ([c_void_p], None),
    "rd_kafka_header_get_all": (
        [c_void_p, c_size_t, POINTER(c_char_p), POINTER(c_void_p), POINTER(c_size_t)],
        c_int,
    ),
}


@cache
def library() -> ctypes.CDLL | None:
    """The library that the client has loaded; None where it cannot be told or is linked into it."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        paths = {line.split(None, 5)[5] for line in lines if "/librdkafka" in line}
        (path,) = paths
        found = ctypes.CDLL(path)
        for name, (arguments, result) in _TYPES.items():
            function = getattr(found, name)
            function.argtypes, function.restype = arguments, result
    except (OSError, ValueError, AttributeError):
        return None
    return found


def address(function: str) -> int:
    """Of one of the library's functions."""
    return ctypes.cast(getattr(library(), function), c_void_p).value or 0


def handle(consumer: Consumer) -> int | None:
    """The library's handle of a consumer; None where it is not known how to find it."""
    found = library()
    usual = (
        sys.implementation.name == "cpython"
        and not sysconfig.get_config_var("Py_GIL_DISABLED")
        and not hasattr(sys, "gettotalrefcount")
    )
    if found is None or not usual or version(_CLIENT) not in KNOWN_CLIENTS:
        return None
    value = c_void_p.from_address(id(consumer) + object.__basicsize__).value
    name = found.rd_kafka_name(value) if value else b""
    return value if b"#consumer-" in name else None


class MessageQueue:
    """A queue that partitions' messages go to instead of that of their consumer.

    Everything else (rebalances, errors of the group) still comes by ``Consumer.consume``. Used by one
    thread, which closes it before the consumer: the library waits for what is still in it.

    Args:
        handle: the consumer's (`handle`).
        limit: messages of one `receive` at most.
    """

    def __init__(self, handle: int, limit: int) -> None:
        found = library()
        assert found is not None  # noqa: S101 - there is a handle
        self._library = found
        self._handle = handle
        self._queue: int | None = found.rd_kafka_queue_new(handle)
        self._limit = limit

    def route(self, topic: str, partition: int) -> None:
        """Have a partition's messages come here, those too that wait already. Repeating it is harmless.

        The end of an assignment ends this (rdkafka_partition.c: ``rd_kafka_toppar_fetch_stop``).
        """
        queue = self._library.rd_kafka_queue_get_partition(self._handle, topic.encode(), partition)
        self._library.rd_kafka_queue_forward(queue, self._queue)
        self._library.rd_kafka_queue_destroy(queue)

    def receive(self, timeout: float) -> npt.NDArray[np.uint64]:
        """Addresses of messages, which are the caller's to destroy.

        Args:
            timeout: seconds to wait for the first one.
        """
        addresses = np.empty(self._limit, np.uint64)
        count = self._library.rd_kafka_consume_batch_queue(
            self._queue, int(timeout * 1000), addresses.ctypes.data, self._limit
        )
        return addresses[: max(count, 0)]

    def topic(self, topic: int) -> str:
        """Name of the topic with a handle."""
        return str(self._library.rd_kafka_topic_name(topic).decode())

    def error_text(self, message: int) -> str:
        """What the library says of a message that is an error."""
        return (self._library.rd_kafka_message_errstr(message) or b"").decode(errors="replace")

    def headers(self, message: int) -> Sequence[tuple[str, bytes | None]]:
        """A message's headers, in their order."""
        headers, name = c_void_p(), c_char_p()
        value, size = c_void_p(), c_size_t()
        if self._library.rd_kafka_message_headers(message, byref(headers)):
            return []
        found: list[tuple[str, bytes | None]] = []
        while not self._library.rd_kafka_header_get_all(
            headers, len(found), byref(name), byref(value), byref(size)
        ):
            # An empty value has an address all the same; null has none.
            held = None if value.value is None else ctypes.string_at(value.value, size.value)
            found.append(((name.value or b"").decode(errors="replace"), held))
        return found

    def close(self) -> None:
        """Throw away what is left; what comes later is thrown away at once."""
        if self._queue is not None:
            self._library.rd_kafka_queue_destroy(self._queue)
            self._queue = None


def open_queue(consumer: Consumer, limit: int) -> MessageQueue | None:
    """A queue of a consumer; None where there is no direct way to its messages."""
    found = handle(consumer)
    if found is None:
        log.info(
            "messages are taken one by one, which is slower: this Kafka client is not a known one",
            client=version(_CLIENT),
        )
        return None
    return MessageQueue(found, limit)
