"""What became of a refused message, by the lake alone."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.config import Topics
from loader.deadletters.letters import Catalogue, Letter, Origin, Place, State
from loader.deadletters.standing import Standing
from loader.errors import NeedsOperator
from loader.lake.commit_log import CommitRecord, DataFile, commit_log
from loader.lake.memory import MemoryStore

TOPICS = Topics()
TOPIC = TOPICS.events.name


def commit(store: MemoryStore, first: int, next_: int, rows: list[int]) -> str:
    """A record whose messages at ``rows`` were accepted; the key of its file."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"_offset": pa.array(rows, pa.int64())}), sink)
    body = sink.getvalue().to_pybytes()
    key = f"raw/{TOPIC}/{first}.parquet"
    store.put(key, body)
    digest = hashlib.sha256(body).hexdigest()
    file = DataFile(key, len(body), len(rows), digest, 0, 0, "2026-01-01", (0,))
    record = CommitRecord(
        topic=TOPIC,
        partition=0,
        first=first,
        next=next_,
        topic_id="id",
        batch=f"{first}",
        writer="w",
        created="",
        files=(file,) if rows else (),
        read=next_ - first,
        written=len(rows),
        dead_lettered=next_ - first - len(rows),
        dead_letter_reasons={},
        schema_ids=(0,),
        unknown_fields={},
        min_arrival=0,
        max_arrival=0,
    )
    commit_log(store).append(record)
    return key


def catalogue(*offsets: int, complete: bool = True) -> Catalogue:
    made = Catalogue()
    for number, offset in enumerate(offsets):
        made.add(Letter(Origin(TOPIC, 0, offset), Place(0, number), "r", "", 0, 0, 0))
    made.complete = complete
    return made


def state(store: MemoryStore, offset: int, letters: Catalogue) -> State:
    return Standing(store, TOPICS).state(Origin(TOPIC, 0, offset), letters)


def test_a_message_counts_once_a_record_covers_it() -> None:
    store = MemoryStore()
    assert state(store, 7, catalogue(7)) is State.PENDING
    commit(store, 5, 10, [5, 6, 8, 9])
    commit(store, 10, 12, [])
    letters = catalogue(7, 10, 11, 12)
    standing = Standing(store, TOPICS)
    found = [standing.state(Origin(TOPIC, 0, n), letters) for n in (4, 7, 10, 11, 12)]
    assert found == ["pending", "counted", "counted", "counted", "pending"]
    assert standing.state(Origin(TOPIC, 1, 7), letters) is State.PENDING
    assert standing.state(Origin("another", 0, 7), letters) is State.UNKNOWN


def test_where_all_letters_are_known_and_the_counts_agree_no_file_is_read() -> None:
    store = MemoryStore()
    store.delete([commit(store, 0, 5, [0, 1, 2, 4])])
    assert state(store, 3, catalogue(3)) is State.COUNTED


def test_a_letter_too_many_is_found_out_by_the_rows() -> None:
    store = MemoryStore()
    commit(store, 0, 5, [0, 1, 2, 4])
    assert state(store, 3, catalogue(3, 4)) is State.COUNTED
    assert state(store, 4, catalogue(3, 4)) is State.LOADED


def test_counts_that_agree_prove_nothing_where_letters_may_be_lost() -> None:
    """The letter that counts expired, one that does not stand for it remains."""
    store = MemoryStore()
    commit(store, 0, 5, [0, 1, 2, 4])
    assert state(store, 4, catalogue(4, complete=False)) is State.LOADED


def test_a_missing_file_is_named() -> None:
    store = MemoryStore()
    key = commit(store, 0, 5, [0, 1, 2, 4])
    store.delete([key])
    with pytest.raises(NeedsOperator, match=key):
        state(store, 3, catalogue(3, 4))
