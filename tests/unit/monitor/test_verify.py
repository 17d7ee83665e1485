"""Each thing that may be wrong with a lake is found, named, and counted once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import orjson
import pytest

from loader import config
from loader.errors import UsageError
from loader.lake import layout
from loader.lake.commit_log import CommitRecord, DataFile
from loader.lake.memory import MemoryStore
from loader.lake.raw_files import encode
from loader.lake.registry import decode_record as decode_registry
from loader.model.events import EVENT_COLUMNS
from loader.monitor import findings
from loader.monitor.inventory import take_inventory
from loader.monitor.verify import Verification, verify
from tests.support.kafka import event
from tests.support.lake_writer import LakeWriter, cuts, raw_batch

TOPICS = config.Topics()
EVENTS = TOPICS.events.name


class Lake:
    """A whole lake: three batches of ten events in one partition, one in another, some merges."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        writer = LakeWriter(self.store, TOPICS)
        self.batches = [
            writer.events([row(n) for n in range(start, start + 10)]) for start in (0, 10, 20)
        ]
        self.other = writer.events([row(n) for n in range(5)], partition=4)
        writer.merges([(1, 2, 3), (4, 5, 6)])

    def key(self, record: CommitRecord) -> str:
        return layout.log_record(layout.LOG, record.topic, record.partition, record.first)

    def rewrite(self, record: CommitRecord, **changes: Any) -> None:
        """A record with other fields, at its own key."""
        self.store.put(self.key(record), replace(record, **changes).encode())

    def check(self, *, deep: bool = False, **options: Any) -> Verification:
        return verify(self.store, deep=deep, **options)

    def found(self, *, deep: bool = False) -> list[tuple[str, str]]:
        return [(f.kind, f.key) for f in self.check(deep=deep).findings.listed]


def row(n: int) -> dict[str, Any]:
    return {**event(n), "type": "pageview"}


@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_lake_is_whole(deep: bool) -> None:
    found = Lake().check(deep=deep)
    assert (found.ok, found.findings.listed, found.orphans.files) == (True, [], 0)
    events, other, merges = found.partitions
    assert (events.records, events.first, events.next, events.rows, events.files) == (
        (3, 0, 30, 30, 3)
    )
    assert (other.place.partition, other.rows) == (4, 5)
    assert (merges.place.root, merges.rows, merges.files) == (layout.REGISTRY, 2, 0)


def test_a_missing_file() -> None:
    lake = Lake()
    (file,) = lake.batches[1].files
    lake.store.delete([file.key])
    assert lake.found() == lake.found(deep=True) == [("missing_file", file.key)]
    found = lake.check()
    assert not found.ok
    assert lake.key(lake.batches[1]) in found.findings.listed[0].what
    assert [p["ok"] for p in found.document()["partitions"]] == [False, True, True]


def test_a_file_cut_short() -> None:
    lake = Lake()
    (file,) = lake.batches[0].files
    lake.store.put(file.key, lake.store.get(file.key)[:-1])
    assert lake.found() == lake.found(deep=True) == [("wrong_size", file.key)]


def test_an_altered_byte_is_seen_by_a_deep_check_only() -> None:
    lake = Lake()
    (file,) = lake.batches[2].files
    body = bytearray(lake.store.get(file.key))
    body[len(body) // 2] ^= 1
    lake.store.put(file.key, bytes(body))
    assert lake.found() == []
    assert lake.found(deep=True) == [("altered_file", file.key)]


def test_a_missing_record_breaks_the_chain_and_the_rest_is_still_checked() -> None:
    lake = Lake()
    lake.store.delete([lake.key(lake.batches[1]), lake.batches[2].files[0].key])
    found = lake.check()
    assert [(f.kind, f.key) for f in found.findings.listed] == [
        ("broken_chain", lake.key(lake.batches[2])),
        ("missing_file", lake.batches[2].files[0].key),
    ]
    assert "Offsets 10 to 19 have no record" in found.findings.listed[0].what
    # What the lost record named, nobody names now.
    assert found.orphans.examples == [lake.batches[1].files[0].key]


def test_records_that_overlap() -> None:
    lake = Lake()
    lake.rewrite(lake.batches[0], next=12)
    assert ("broken_chain", lake.key(lake.batches[1])) in lake.found()


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"garbage", b'{"version":99}', b'{"version":1,"topic":"x"}'],
)
def test_what_is_no_record(body: bytes) -> None:
    lake = Lake()
    lake.store.put(lake.key(lake.batches[1]), body)
    assert lake.found() == [("bad_record", lake.key(lake.batches[1]))]


def test_a_record_of_another_place() -> None:
    lake = Lake()
    lake.store.put(lake.key(lake.batches[1]), lake.other.encode())
    assert lake.found() == [("bad_record", lake.key(lake.batches[1]))]


def test_a_record_that_covers_nothing() -> None:
    lake = Lake()
    lake.rewrite(lake.batches[1], next=10, files=(), read=0, written=0)
    (found,) = lake.check().findings.listed
    assert (found.kind, found.key) == ("bad_record", lake.key(lake.batches[1]))
    assert "covers no offset" in found.what


def test_objects_that_do_not_belong_into_the_log() -> None:
    lake = Lake()
    lake.store.put(f"{layout.LOG}{EVENTS}/0/notes.txt", b"?")
    lake.store.put(f"{layout.LOG}{EVENTS}/backup/0.json", b"?")
    assert sorted(key for _, key in lake.found()) == [
        f"{layout.LOG}{EVENTS}/0/notes.txt",
        f"{layout.LOG}{EVENTS}/backup/",
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dead_lettered": 3}, "are not the 10 messages read"),
        ({"read": 12, "dead_lettered": 2}, "12 messages were read from 10 offsets"),
        ({"written": 9, "read": 9}, "hold 10 rows, it says 9"),
        ({"dead_letter_reasons": {"bad_time": 1}}, "count 1 dead letters, it says 0"),
    ],
)
def test_counts_that_do_not_add_up(changes: dict[str, Any], words: str) -> None:
    lake = Lake()
    lake.rewrite(lake.batches[0], **changes)
    found = lake.check().findings.listed
    assert {(f.kind, f.key) for f in found} == {("wrong_count", lake.key(lake.batches[0]))}
    assert any(words in f.what for f in found)


def test_a_topic_made_anew_in_mid_chain() -> None:
    lake = Lake()
    lake.rewrite(lake.batches[2], topic_id="another")
    assert lake.found() == [("broken_chain", lake.key(lake.batches[2]))]


def test_a_file_that_two_records_name() -> None:
    lake = Lake()
    lake.rewrite(lake.batches[1], files=lake.batches[0].files)
    key = lake.batches[0].files[0].key
    found = lake.check()
    assert [(f.kind, f.key) for f in found.findings.listed] == [("named_twice", key)]
    # Its rows are of other offsets than the second record's.
    assert ("wrong_content", key) in lake.found(deep=True)


def test_orphans_are_counted_and_no_fault() -> None:
    lake = Lake()
    orphan = f"{layout.RAW}{EVENTS}/date=2023-11-14/bucket=mixed/0-10-20-00ff.parquet"
    lake.store.put(orphan, b"12345")
    found = lake.check()
    assert found.ok
    assert (found.orphans.files, found.orphans.bytes) == (1, 5)
    assert found.orphans.examples == [orphan]


def test_a_file_behind_the_chains_end_is_in_writing_for_an_hour() -> None:
    lake = Lake()
    lake.store.put(f"{layout.RAW}{EVENTS}/date=mixed/bucket=mixed/0-30-40-00ff.parquet", b"1")
    soon, later = lake.check(), lake.check(now=time.time() + 3700)
    assert (soon.orphans.files, soon.orphans.in_writing) == (0, 1)
    assert (later.orphans.files, later.orphans.in_writing) == (1, 0)


def other_rows(
    lake: Lake, rows: list[dict[str, Any]], partition: int, first: int, *, turned: bool = False
) -> None:
    """The second batch's file with other rows, and a record that claims the same as before."""
    record = lake.batches[1]
    batch = raw_batch(EVENT_COLUMNS, rows, EVENTS, partition, first)
    (part,) = cuts(batch, 2)
    order = part.rows[::-1] if turned else part.rows
    _, encoded = encode(batch.take(order.tolist()), part, EVENTS, 0, 10, 20)
    body = encoded.to_pybytes()
    (old,) = record.files
    lake.store.put(old.key, body)
    file = replace(old, bytes=len(body), sha256=hashlib.sha256(body).hexdigest())
    lake.rewrite(record, files=(file,))


TEN = [row(n) for n in range(10, 20)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lake: other_rows(lake, TEN[:9], 0, 10), "holds 9 rows; the record says 10"),
        (lambda lake: other_rows(lake, TEN, 0, 5), "offsets 5 to 14, outside [10, 20)"),
        (lambda lake: other_rows(lake, TEN, 0, 11), "offsets 11 to 20, outside [10, 20)"),
        (lambda lake: other_rows(lake, TEN, 7, 10), "rows are of partition 7"),
        (lambda lake: other_rows(lake, [*TEN[:9], row(50)], 0, 10), "Its times are"),
        (lambda lake: other_rows(lake, TEN, 0, 10, turned=True), "not sorted by bucket and time"),
    ],
)
def test_rows_that_are_not_the_records(change: Callable[[Lake], None], words: str) -> None:
    lake = Lake()
    change(lake)
    assert lake.check().ok
    found = lake.check(deep=True).findings.listed
    assert {f.kind for f in found} == {"wrong_content"}
    assert any(words in f.what for f in found), found


def with_file(lake: Lake, **changes: Any) -> None:
    record = lake.batches[1]
    file = DataFile(**{**asdict(record.files[0]), **changes})
    lake.rewrite(record, files=(file,))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"date": "2001-01-01"}, "other dates than 2001-01-01"),
        ({"buckets": (0,)}, "the record says [0]"),
        ({"min_time": 1}, "the record says 1 to"),
    ],
)
def test_claims_that_the_rows_do_not_meet(changes: dict[str, Any], words: str) -> None:
    lake = Lake()
    with_file(lake, **changes)
    found = lake.check(deep=True).findings.listed
    assert [f.kind for f in found] == ["wrong_content"]
    assert words in found[0].what


def test_an_offset_with_two_rows() -> None:
    lake = Lake()
    record = lake.batches[1]
    (file,) = record.files
    copy = replace(file, key=file.key.replace(".parquet", "2.parquet"))
    lake.store.put(copy.key, lake.store.get(file.key))
    lake.rewrite(record, files=(file, copy), read=20, written=20, next=30)
    found = lake.check(deep=True).findings.listed
    assert any("10 offsets have several rows" in f.what for f in found)


def test_registry_messages_out_of_order() -> None:
    lake = Lake()
    key = layout.log_record(layout.REGISTRY, TOPICS.user_migrations.name, 0, 0)
    record = decode_registry(lake.store.get(key))
    lake.store.put(key, replace(record, messages=record.messages[::-1]).encode())
    assert lake.found() == [("wrong_count", key)]


def test_refused_control_messages_are_dead_letters() -> None:
    lake = Lake()
    key = layout.log_record(layout.REGISTRY, TOPICS.user_migrations.name, 0, 0)
    record = decode_registry(lake.store.get(key))
    bad = replace(record.messages[1], accepted=False)
    lake.store.put(key, replace(record, messages=(record.messages[0], bad)).encode())
    merges = take_inventory(lake.store, topic=TOPICS.user_migrations.name).partitions[0]
    assert (merges.read, merges.rows, merges.dead_letters) == (2, 1, 1)


def test_one_topic_alone() -> None:
    lake = Lake()
    lake.store.delete([lake.batches[0].files[0].key])
    found = lake.check(topic=TOPICS.user_migrations.name)
    assert found.ok
    assert [p.place.topic for p in found.partitions] == [TOPICS.user_migrations.name]
    with pytest.raises(UsageError, match="has no topic 'nonsense'") as unknown:
        lake.check(topic="nonsense")
    assert EVENTS in unknown.value.hint


def test_no_lake_at_all() -> None:
    with pytest.raises(UsageError, match="holds no lake yet"):
        verify(MemoryStore())


def test_findings_are_bounded_and_all_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "MAX_LISTED", 2)
    lake = Lake()
    lake.store.delete([record.files[0].key for record in lake.batches])
    found = lake.check()
    assert (found.findings.total, len(found.findings.listed)) == (3, 2)


def test_progress_counts_what_was_looked_at() -> None:
    last: dict[str, int] = {}
    Lake().check(deep=True, progress=last.__setitem__)
    assert last == {"records": 5, "files read": 4, "files listed": 4}


def test_the_inventory_sums_up_each_chain() -> None:
    lake = Lake()
    lake.rewrite(
        lake.batches[2],
        next=32,
        read=12,
        dead_lettered=2,
        dead_letter_reasons={"bad_time": 2},
        created="2026-02-03T04:05:06+00:00",
    )
    document = take_inventory(lake.store).document()
    events = document["partitions"][0]
    size = sum(file.bytes for record in lake.batches for file in record.files)
    assert events == {
        "log": "log",
        "topic": EVENTS,
        "partition": 0,
        "records": 3,
        "first": 0,
        "next": 32,
        "read": 32,
        "rows": 30,
        "dead_letters": 2,
        "files": 3,
        "bytes": size,
        "last_record": "2026-02-03T04:05:06+00:00",
        "ok": True,
    }
    assert [p["topic"] for p in document["partitions"]] == [
        EVENTS,
        EVENTS,
        TOPICS.user_migrations.name,
    ]
    assert orjson.loads(orjson.dumps(document)) == document
    only = take_inventory(lake.store, topic=EVENTS, partition=4)
    assert [(s.place.partition, s.rows) for s in only.partitions] == [(4, 5)]
