"""``lake.json``: made once, checked for ever."""

from __future__ import annotations

import orjson
import pytest

from loader.errors import NeedsOperator, UsageError
from loader.lake import layout
from loader.lake.memory import MemoryStore
from loader.lake.metadata import open_lake, read_metadata


def test_the_first_to_open_a_lake_fixes_its_buckets() -> None:
    store = MemoryStore()
    made = open_lake(store, buckets=4, lake_id="a", created="t")
    assert open_lake(store, buckets=4, lake_id="b", created="u") == made
    assert read_metadata(store) == made


def test_another_number_of_buckets_is_refused_with_the_right_one() -> None:
    store = MemoryStore()
    open_lake(store, buckets=4, lake_id="a", created="t")
    with pytest.raises(UsageError, match=r"has 4 buckets, the configuration says 8.*buckets = 4"):
        open_lake(store, buckets=8, lake_id="b", created="u")


def test_a_lake_of_another_format_is_refused() -> None:
    store = MemoryStore()
    store.put(layout.METADATA, orjson.dumps({"format_version": 99, "buckets": 8}))
    with pytest.raises(NeedsOperator, match=r"format version 99, this loader writes version 1"):
        open_lake(store, buckets=8, lake_id="a", created="t")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"hello"])
def test_a_stranger_at_lake_json_is_refused(body: bytes) -> None:
    store = MemoryStore()
    store.put(layout.METADATA, body)
    with pytest.raises(NeedsOperator, match="is not a lake's metadata"):
        read_metadata(store)
