"""``lake.json``: what a lake says about itself. Written once, never guessed from the environment."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import orjson

from loader.errors import NeedsOperator, UsageError
from loader.lake import layout
from loader.lake.store import ObjectStore


@dataclass(frozen=True, slots=True)
class LakeMetadata:
    """A lake's fixed facts.

    Attributes:
        format_version: version of the layout and of every format in the lake.
        buckets: number of user buckets, 1 to 256; a row's bucket follows from it for ever.
        lake_id: random; tells two lakes under one URL apart.
        created: ISO 8601, UTC.
    """

    format_version: int
    buckets: int
    lake_id: str
    created: str


def read_metadata(store: ObjectStore) -> LakeMetadata | None:
    """The lake's metadata; None where nothing stands at ``lake.json``.

    Raises:
        NeedsOperator: the lake is of another format version, or ``lake.json`` is not one.
    """
    try:
        body = store.get(layout.METADATA)
    except KeyError:
        return None
    where = f"{store.url}/{layout.METADATA}"
    try:
        fields: dict[str, Any] = orjson.loads(body)
        version = fields["format_version"]
    except (ValueError, KeyError, TypeError):
        raise NeedsOperator(
            f"{where} is not a lake's metadata.",
            hint="Point lake.url at a lake or an empty prefix.",
        ) from None
    if version != layout.FORMAT_VERSION:
        raise NeedsOperator(
            f"{where}: the lake has format version {version}, this loader writes version "
            f"{layout.FORMAT_VERSION}.",
            hint="Run the loader that wrote it, or a newer one.",
        )
    return LakeMetadata(**fields)


def open_lake(store: ObjectStore, *, buckets: int, lake_id: str, created: str) -> LakeMetadata:
    """The metadata of the lake, created with ``buckets`` where there is none yet.

    Raises:
        UsageError: the lake stands and has another number of buckets.
        NeedsOperator: the lake is not one that this loader can write.
    """
    found = read_metadata(store)
    if found is None:
        mine = LakeMetadata(layout.FORMAT_VERSION, buckets, lake_id, created)
        if store.put_if_absent(layout.METADATA, orjson.dumps(asdict(mine))):
            return mine
        found = read_metadata(store)
        assert found is not None, "another writer's lake.json stands there"  # noqa: S101
    if found.buckets != buckets:
        raise UsageError(
            f"{store.url} has {found.buckets} buckets, the configuration says {buckets}.",
            hint=f"Set lake.buckets = {found.buckets}: it is fixed for the life of a lake.",
        )
    return found
