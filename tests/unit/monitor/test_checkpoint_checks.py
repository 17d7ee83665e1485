"""Each thing that may be wrong with a checkpoint is found, and a whole one is not in the way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from loader import config
from loader.lake import layout
from loader.lake.chain import Chains
from loader.lake.checkpoints import Checkpoint, Checkpoints, Span, decode_checkpoint
from loader.lake.commit_log import commit_log, decode_record
from loader.lake.memory import MemoryStore
from loader.monitor.findings import Finding
from loader.monitor.inventory import take_inventory
from loader.monitor.verify import verify
from tests.support.kafka import event
from tests.support.lake_writer import LakeWriter

EVENTS = config.Topics().events.name
MERGES = config.Topics().user_migrations.name


class Lake:
    """Eight batches of two events and four merges; checkpoints of three batches, [0, 6) and [6, 12)."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        writer = LakeWriter(self.store, config.Topics())
        for start in range(0, 16, 2):
            rows = [{**event(n), "type": "pageview"} for n in (start, start + 1)]
            writer.events(rows)
        for n in range(4):
            writer.merges([(n, n + 10, 1)])
        self.log = Chains(self.store, layout.LOG, decode_record, fold_records=3)
        while self.log.fold(EVENTS, 0):
            pass

    @property
    def spans(self) -> list[Span]:
        return Checkpoints(self.store, layout.LOG).spans(EVENTS, 0)

    def checkpoint(self, n: int) -> Checkpoint:
        return decode_checkpoint(self.store.get(self.spans[n].key))

    def key(self, first: int) -> str:
        return layout.log_record(layout.LOG, EVENTS, 0, first)

    def check(self, *, deep: bool = False, **options: Any) -> list[Finding]:
        return verify(self.store, deep=deep, **options).findings.listed

    def found(self, *, deep: bool = False) -> list[tuple[str, str]]:
        return [(finding.kind, finding.key) for finding in self.check(deep=deep)]


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("topic", [None, EVENTS, MERGES])
def test_whole_checkpoints_are_whole_and_are_no_chains(deep: bool, topic: str | None) -> None:
    lake = Lake()
    assert [(s.first, s.next) for s in lake.spans] == [(0, 6), (6, 12)]
    verification = verify(lake.store, deep=deep, topic=topic)
    assert verification.findings.listed == []
    assert verification.orphans.files == 0
    expected = {None: [8, 4], EVENTS: [8], MERGES: [4]}[topic]
    assert [summary.records for summary in verification.partitions] == expected
    assert [s.records for s in take_inventory(lake.store, topic=topic).partitions] == expected


def test_checkpoints_of_the_registry_are_checked_too() -> None:
    lake = Lake()
    first = layout.log_record(layout.REGISTRY, MERGES, 0, 0)
    body = lake.store.get(first)
    made = Checkpoint(layout.REGISTRY, MERGES, 0, 0, 1, ((0, body),))
    lake.store.put(made.key, made.encode())
    assert lake.found(deep=True) == []
    lake.store.put(made.key, replace(made, records=((0, body + b" "),)).encode())
    assert lake.found(deep=True) == [("bad_checkpoint", made.key)]


def test_damage_is_seen_by_a_deep_check_only() -> None:
    lake = Lake()
    key = lake.spans[1].key
    lake.store.put(key, lake.store.get(key)[:-3])
    assert lake.found() == []
    (finding,) = lake.check(deep=True)
    assert (finding.kind, finding.key) == ("bad_checkpoint", key)
    assert "damaged" in finding.what
    assert "Delete it" in finding.hint


def test_another_checkpoint_at_its_key() -> None:
    lake = Lake()
    lake.store.put(lake.spans[0].key, lake.store.get(lake.spans[1].key))
    (finding,) = lake.check(deep=True)
    assert (finding.kind, finding.key) == ("bad_checkpoint", lake.spans[0].key)
    assert lake.spans[1].key in finding.what


def test_a_record_that_is_not_the_logs() -> None:
    """One byte of the record was altered, to something that is a record still."""
    lake = Lake()
    altered = lake.store.get(lake.key(8)).replace(b'"writer":"test"', b'"writer":"tesT"')
    lake.store.put(lake.key(8), altered)
    assert lake.found() == []
    (finding,) = lake.check(deep=True)
    assert (finding.kind, finding.key) == ("bad_checkpoint", lake.spans[1].key)
    assert "record of offset 8 is not the log's" in finding.what


def test_a_record_that_the_log_has_lost_can_be_had_from_the_checkpoint() -> None:
    lake = Lake()
    body = lake.store.get(lake.key(2))
    lake.store.delete([lake.key(2)])
    assert [kind for kind, _ in lake.found()] == ["broken_chain"]
    chain, finding = lake.check(deep=True)
    assert (chain.kind, chain.key) == ("broken_chain", lake.key(4))
    assert (finding.kind, finding.key) == ("bad_checkpoint", lake.spans[0].key)
    assert "record of offset 2 is not in the log" in finding.what
    assert "Restore" in finding.hint
    lake.store.put(lake.key(2), dict(lake.checkpoint(0).records)[2])
    assert lake.found(deep=True) == []
    assert lake.store.get(lake.key(2)) == body


def test_a_record_that_the_checkpoint_lacks_and_one_more() -> None:
    lake = Lake()
    whole = lake.checkpoint(1)
    lacking = replace(whole, records=(whole.records[0],))
    lake.store.put(whole.key, lacking.encode())
    (finding,) = lake.check(deep=True)
    assert "record of offset 8 is not in it (and 1 more)" in finding.what


@pytest.mark.parametrize(("first", "next_"), [(1, 6), (0, 5), (12, 17), (100, 200)])
def test_a_checkpoint_between_records_or_beyond_them(first: int, next_: int) -> None:
    lake = Lake()
    stray = replace(lake.checkpoint(0), first=first, next=next_)
    lake.store.put(stray.key, stray.encode())
    (finding,) = lake.check()
    assert (finding.kind, finding.key) == ("bad_checkpoint", stray.key)
    assert str(next_ if first in {0, 12} else first) in finding.what


def test_what_the_log_lost_at_its_end() -> None:
    """The records behind the newest checkpoint are gone: no reader goes on, and each is named."""
    lake = Lake()
    lake.store.delete([lake.key(12), lake.key(14)])
    (finding,) = (f for f in lake.check() if f.kind == "bad_checkpoint")
    assert finding.key == lake.spans[1].key
    assert "offset 12" in finding.what


def test_checkpoints_of_a_chain_that_is_gone() -> None:
    lake = Lake()
    keys = [info.key for info in lake.store.scan(layout.log_chain(layout.LOG, EVENTS, 0))]
    lake.store.delete(keys)
    found = [f for f in lake.found() if f[0] == "bad_checkpoint"]
    assert found == [("bad_checkpoint", span.key) for span in lake.spans]


def test_objects_that_do_not_belong_among_checkpoints() -> None:
    lake = Lake()
    folder = layout.checkpoint_folder(layout.LOG, EVENTS, 0)
    lake.store.put(f"{folder}notes.txt", b"?")
    lake.store.put(f"{layout.CHECKPOINTS}{layout.LOG}{EVENTS}/backup/x", b"?")
    assert sorted(lake.found()) == [
        ("unknown_object", f"{folder}notes.txt"),
        ("unknown_object", f"{layout.CHECKPOINTS}{layout.LOG}{EVENTS}/backup/"),
    ]
    assert len(list(commit_log(lake.store).records(EVENTS, 0))) == 8


def test_overlapping_checkpoints_are_no_fault() -> None:
    lake = Lake()
    longer = Checkpoint(
        layout.LOG,
        EVENTS,
        0,
        4,
        10,
        tuple((first, lake.store.get(lake.key(first))) for first in (4, 6, 8)),
    )
    lake.store.put(longer.key, longer.encode())
    assert lake.found(deep=True) == []
