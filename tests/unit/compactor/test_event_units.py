from __future__ import annotations

import pickle
import random

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loader.compactor import copy_files, event_units
from loader.compactor.event_units import (
    EventUnit,
    TableOutput,
    TableTask,
    group_files,
    run_event_unit,
)
from loader.compactor.staging import stage
from loader.compactor.user_maps import write_user_map
from loader.config import Topics
from loader.errors import NeedsOperator
from loader.lake.commit_log import DataFile
from loader.lake.memory import MemoryStore
from loader.model.migrations import Migration, UserMap
from loader.model.tables import PAGEVIEWS, SESSIONS
from tests.support import traffic
from tests.support.lake_writer import LakeWriter
from tests.support.truth import Truth, comparable

TASKS = (TableTask("sessions", SESSIONS), TableTask("pageviews", PAGEVIEWS))


def files_of(store: MemoryStore, outputs: tuple[TableOutput, ...], key: str) -> pa.Table:
    (output,) = (o for o in outputs if o.key == key)
    tables = [pq.read_table(pa.BufferReader(store.get(f.key))) for f in output.files]
    for table, file in zip(tables, output.files, strict=True):
        assert (table.num_rows, len(store.get(file.key))) == (file.rows, file.bytes)
    return pa.concat_tables(tables)


def lake_with(rows: int, users: int = 9) -> tuple[MemoryStore, Truth, tuple[DataFile, ...]]:
    store, truth = MemoryStore(), Truth()
    writer = LakeWriter(store, Topics())
    events = traffic.events(random.Random(5), rows, users)
    truth.events = [(0, n, row) for n, row in enumerate(events)]
    return store, truth, writer.events(events).files


def without_lineage(table: pa.Table) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = table.drop_columns(["_partition", "_offset"]).to_pylist()
    return rows


def test_rows_equal_the_truth_in_time_order_and_ready_for_copy() -> None:
    store, truth, files = lake_with(300)
    outputs = run_event_unit(EventUnit("0", "sync", files, TASKS, None), store)
    pageviews = files_of(store, outputs, "pageviews")
    assert comparable(without_lineage(pageviews)) == comparable(truth.pageviews())
    assert comparable(without_lineage(files_of(store, outputs, "sessions"))) == comparable(
        truth.sessions()
    )
    times = pageviews.column("time").to_pylist()
    assert times == sorted(times)
    assert pageviews.schema.field("time").type == pa.timestamp("us")
    assert all(v for output in outputs for v in output.cut.values())
    assert {"path", "title"} <= set(outputs[1].cut)
    footer = pq.ParquetFile(pa.BufferReader(store.get(outputs[1].files[0].key)))
    assert footer.metadata.row_group(0).column(0).compression == "ZSTD"


def test_merged_users_are_one_and_their_copies_too() -> None:
    store, truth, files = lake_with(200, users=4)
    merges = [(2, 1, traffic.START), (4, 3, traffic.START)]
    truth.merges = merges
    first = truth.events[0][2]
    twin = first | {"user_id": 2 if first["user_id"] != 2 else 1, "time": first["time"] - 9}
    truth.events.append((1, 0, twin))
    writer = LakeWriter(store, Topics())
    files += writer.events([twin], partition=1).files
    users = write_user_map(store, "sync", UserMap.fold([Migration(*merge) for merge in merges]))
    outputs = run_event_unit(EventUnit("0", "sync", files, TASKS, users), store)
    for key, expected in (("sessions", truth.sessions()), ("pageviews", truth.pageviews())):
        assert comparable(without_lineage(files_of(store, outputs, key))) == comparable(expected)


def test_running_a_unit_twice_writes_the_same_objects() -> None:
    store, _, files = lake_with(100)
    unit = pickle.loads(pickle.dumps(EventUnit("0", "sync", files, TASKS, None)))  # noqa: S301
    first = run_event_unit(unit, store)
    bodies = [store.get(file.key) for output in first for file in output.files]
    assert run_event_unit(unit, store) == first
    assert [store.get(file.key) for output in first for file in output.files] == bodies


def test_wide_and_long_tables_are_split_and_lose_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store, truth, files = lake_with(300)
    monkeypatch.setattr(event_units, "GROUP_CELLS", 500)
    monkeypatch.setattr(copy_files, "FILE_BYTES", 20_000)
    outputs = run_event_unit(EventUnit("0", "sync", files, TASKS, None), store)
    assert len(outputs[1].files) > 1
    assert comparable(without_lineage(files_of(store, outputs, "pageviews"))) == comparable(
        truth.pageviews()
    )


def pageview(number: int, **properties: object) -> dict[str, object]:
    return {
        "event_id": number,
        "user_id": 1,
        "session_id": 1,
        "time": traffic.START + number,
        "type": "pageview",
        "properties": properties,
    }


def test_a_manifest_names_its_files_with_their_sizes_and_has_one_column_order() -> None:
    store = MemoryStore()
    writer = LakeWriter(store, Topics())
    batches = [
        [pageview(1, plan="a")],
        [pageview(2, colour="b"), pageview(3)],
        [pageview(4, plan="c")],
    ]
    outputs = [
        run_event_unit(EventUnit(str(n), "sync", writer.events(rows).files, TASKS, None), store)[1]
        for n, rows in enumerate(batches)
    ]
    staged = stage(store, "sync", PAGEVIEWS, outputs)
    assert [column.name for column in staged.custom] == ["colour", "plan"]
    assert [(m.rows, m.columns[-3:]) for m in staged.manifests] == [
        (2, ("colour", "_partition", "_offset")),
        (2, ("plan", "_partition", "_offset")),
    ]
    named = []
    for manifest in staged.manifests:
        for entry in orjson.loads(store.get(manifest.key))["entries"]:
            key = entry["url"].removeprefix(f"{store.url}/")
            assert entry["mandatory"] is True
            assert entry["meta"] == {"content_length": len(store.get(key))}
            schema = pq.read_schema(pa.BufferReader(store.get(key)))
            assert tuple(schema.names) == manifest.columns
            named.append(key)
    assert sorted(named) == sorted(file.key for output in outputs for file in output.files)


def test_groups_hold_every_file_once_and_stay_small() -> None:
    def file(n: int, rows: int, bucket: int) -> DataFile:
        return DataFile(f"k{n}", 1, rows, "", 0, 0, "2026-01-01", (bucket,))

    files = [file(n, 40, n % 3) for n in range(10)] + [file(99, 500, 1)]
    groups = group_files(files, 100)
    assert sorted(f.key for group in groups for f in group) == sorted(f.key for f in files)
    assert all(len(group) == 1 or sum(f.rows for f in group) <= 100 for group in groups)
    assert group_files([], 100) == []


def test_a_file_of_another_digest_stops_it() -> None:
    store, _, files = lake_with(20)
    store.put(files[0].key, store.get(files[0].key)[:-1] + b"x")
    with pytest.raises(NeedsOperator, match="was altered"):
        run_event_unit(EventUnit("0", "sync", files, TASKS, None), store)


def test_nothing_matches() -> None:
    store = MemoryStore()
    click = {"event_id": 1, "user_id": 1, "session_id": 1, "time": 5, "type": "click"}
    files = LakeWriter(store, Topics()).events([click]).files
    outputs = run_event_unit(EventUnit("0", "sync", files, TASKS, None), store)
    assert [(o.rows, o.files) for o in outputs] == [(0, ()), (0, ())]
    assert stage(store, "sync", PAGEVIEWS, outputs[1:]).manifests == ()
