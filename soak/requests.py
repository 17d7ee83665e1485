"""What a request is, told from its first bytes: enough to strike at a chosen one."""

from __future__ import annotations

import re
from typing import Final

DATA: Final = "data"
RECORD: Final = "record"
LIST: Final = "list"
READ: Final = "read"
LETTER: Final = "letter"
COMMIT: Final = "commit"
JOIN: Final = "join"
FETCH: Final = "fetch"
OTHER: Final = "other"

_S3: Final = re.compile(rb"(GET|PUT|POST|DELETE|HEAD) (\S+) HTTP/1\.1")
#: Kafka's protocol guide, "Api Keys".
_KAFKA: Final = {0: LETTER, 1: FETCH, 8: COMMIT, 11: JOIN, 14: JOIN, 68: JOIN}


def s3_request(head: bytes) -> str:
    """The kind of an S3 request of which ``head`` is the beginning."""
    match = _S3.match(head)
    if match is None:
        return OTHER
    method, path = match[1], match[2]
    if method == b"PUT":
        if b"/log/" in path:
            return RECORD
        return DATA if b"/raw/" in path else OTHER
    if method == b"GET":
        return LIST if b"list-type=2" in path else READ
    return OTHER


def kafka_request(head: bytes) -> str:
    """The kind of a Kafka request: four bytes of length, then two of its API key."""
    return _KAFKA.get(int.from_bytes(head[4:6], "big"), OTHER) if len(head) >= 6 else OTHER
