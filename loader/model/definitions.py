"""Definitions of labelled events as messages: one message read, all messages folded.

This is the module that others import; what a labelled event is stands in
`loader.model.labelled_events`, how its document is read in `loader.model.definition_parser`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import orjson

from loader.errors import UsageError
from loader.model.definition_parser import DEFINITION_ID, parse_definition
from loader.model.labelled_events import Definition, Filter, Op, Source, Value, to_document
from loader.model.tables import RESERVED_TABLES

__all__ = [
    "DEFINITION_ID",
    "Definition",
    "Filter",
    "Op",
    "Source",
    "Value",
    "decode_definition",
    "fold_definitions",
    "name_apart",
    "parse_definition",
    "to_document",
]


def fold_definitions(
    messages: Iterable[tuple[bytes, bytes | None]],
) -> dict[str, Definition]:
    """The definitions that stand after ``messages``, in the order of their offsets, by id.

    The last message of a key wins, a null value removes. Where two of them claim one table name,
    the smallest id keeps it and each other one gets ``_`` and a hash of its id behind its name: a
    rule about the set alone, so the order of messages of different keys does not matter.

    Raises:
        UsageError: a value is no definition; messages come from the registry, which holds none.
    """
    last = dict(messages)
    standing = [decode_definition(key, value) for key, value in last.items() if value is not None]
    return name_apart({d.id: d for d in sorted(standing, key=lambda d: d.id)})


def decode_definition(key: bytes | None, value: bytes) -> Definition:
    """Read one message of the definitions topic: JSON, its key the document's id.

    Raises:
        UsageError: not JSON, not a definition, or under another key.
    """
    shown = (key or b"").decode(errors="replace")
    where = f"definitions topic, key {shown!r}"
    try:
        document = orjson.loads(value)
    except ValueError as error:
        raise UsageError(f"{where}: not JSON: {error}.") from None
    definition = parse_definition(document, where)
    if definition.id != shown:
        raise UsageError(f"{where}: id: {definition.id!r} stands under another key.")
    return definition


def name_apart(definitions: dict[str, Definition]) -> dict[str, Definition]:
    """Give each of ``definitions`` (ascending by id) a table name of its own."""
    taken = {d.table_name for d in definitions.values()} | RESERVED_TABLES
    owners: set[str] = set()
    named: dict[str, Definition] = {}
    for id_, definition in definitions.items():
        chosen = definition
        if definition.table_name in owners:
            digest = hashlib.sha256(id_.encode()).hexdigest()
            chosen = next(
                candidate
                for digits in range(8, len(digest) + 1)
                if (candidate := replace(definition, suffix=digest[:digits])).table_name
                not in taken
            )
            taken.add(chosen.table_name)
        owners.add(chosen.table_name)
        named[id_] = chosen
    return named
