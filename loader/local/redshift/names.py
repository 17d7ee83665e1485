"""Identifiers: folding, the 127-byte rule, and a short stand-in for what PostgreSQL cannot hold.

Redshift folds ASCII letters to lower case even inside double quotes and keeps 127 bytes (AWS docs:
Names and identifiers). PostgreSQL keeps 63 bytes, so a longer name becomes its first 54 bytes, an
underscore and eight hex digits of its hash; :class:`LongNames` turns it back on the way out.
"""

from __future__ import annotations

import hashlib
import re

REDSHIFT_MAX = 127
POSTGRES_MAX = 63
_HEAD = POSTGRES_MAX - 9
_SHORT = re.compile(r"_[0-9a-f]{8}\b")


def cut_bytes(text: str, size: int) -> str:
    """The longest prefix of at most ``size`` bytes of UTF-8 that cuts no letter."""
    raw = text.encode("utf-8", "surrogateescape")
    if len(raw) <= size:
        return text
    while size and raw[size] & 0xC0 == 0x80:
        size -= 1
    return raw[:size].decode("utf-8", "surrogateescape")


def is_long(name: str) -> bool:
    """Whether PostgreSQL would cut the name."""
    return len(name.encode("utf-8", "surrogateescape")) > POSTGRES_MAX


def shorten(name: str) -> str:
    """The name PostgreSQL knows the object by. Deterministic; short names are unchanged."""
    name = cut_bytes(name, REDSHIFT_MAX)
    if not is_long(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{cut_bytes(name, _HEAD)}_{digest}"


class LongNames:
    """The long names one stand-in has met, by their short form."""

    def __init__(self) -> None:
        self._long: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._long)

    def add(self, long: str) -> bool:
        """Remember a name; says whether it was new."""
        short = shorten(long)
        new = short not in self._long
        self._long[short] = cut_bytes(long, REDSHIFT_MAX)
        return new

    def restore(self, name: str) -> str:
        """The name the client gave."""
        return self._long.get(name, name)

    def restore_text(self, text: str) -> str:
        """Put the long names back into a message."""
        if not self._long or not _SHORT.search(text):
            return text
        for short, long in self._long.items():
            text = text.replace(short, long)
        return text
