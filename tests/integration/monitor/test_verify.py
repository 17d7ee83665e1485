"""`lake ls` and `lake verify` on a lake that the consumer wrote, on a real S3 server."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

import orjson

from loader.config import Settings
from loader.consumer import app
from loader.lake import layout
from loader.lake.chain import Chains
from loader.lake.checkpoints import Checkpoints
from loader.lake.commit_log import decode_record
from loader.lake.s3 import S3Store
from loader.monitor.verify import verify
from tests.support.cli import heap_loader
from tests.support.kafka import event, produce
from tests.support.lake import records


def fill(settings: Settings) -> S3Store:
    """Three records in one partition, a dead letter in the second."""
    servers, topic = settings.kafka.bootstrap_servers, settings.topics.events.name
    for start in (0, 50, 100):
        produce(servers, topic, [event(n) for n in range(start, start + 49)], partition=0)
        produce(servers, topic, [b"{" if start == 50 else event(start + 49)], partition=0)
        app.run(settings, until_caught_up=True, stop=threading.Event())
    return S3Store.open(settings.lake)


def run(config_file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return heap_loader("--config", str(config_file), "lake", *arguments, cwd=config_file.parent)


def document(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def test_what_the_consumer_writes_is_whole(settings: Settings, config_file: Path) -> None:
    store = fill(settings)
    found = verify(store, deep=True)
    assert (found.findings.listed, found.orphans.files, found.orphans.in_writing) == ([], 0, 0)
    done = run(config_file, "ls", "--json")
    assert done.returncode == 0, done.stderr
    (partition,) = document(done)["partitions"]
    assert (partition["records"], partition["first"], partition["next"]) == (3, 0, 150)
    assert (partition["read"], partition["rows"], partition["dead_letters"]) == (150, 149, 1)
    done = run(config_file, "verify", "--deep")
    assert done.returncode == 0, done.stderr
    assert "The lake is whole" in done.stdout


def test_each_damage_is_named_and_the_command_exits_3(
    settings: Settings, config_file: Path
) -> None:
    store = fill(settings)
    first, second, third = records(store, settings.topics.events.name)
    altered, missing = first.files[0].key, third.files[0].key
    body = bytearray(store.get(altered))
    body[100] ^= 0x10
    store.put(altered, bytes(body))
    store.delete([missing])
    orphan = f"{layout.RAW}{first.topic}/date=mixed/bucket=mixed/0-10-20-abcd.parquet"
    store.put(orphan, b"nobody names this")
    shallow = run(config_file, "verify", "--json")
    assert shallow.returncode == 3
    report = document(shallow)
    assert [(f["kind"], f["key"]) for f in report["findings"]] == [("missing_file", missing)]
    assert (report["orphans"]["files"], report["orphans"]["examples"]) == (1, [orphan])
    log = layout.log_record(layout.LOG, second.topic, 0, second.first)
    store.delete([log])
    deep = run(config_file, "verify", "--deep", "--json", "--topic", second.topic)
    assert deep.returncode == 3
    assert {f["kind"] for f in document(deep)["findings"]} == {
        "missing_file",
        "altered_file",
        "broken_chain",
    }
    assert document(deep)["ok"] is False
    shown = run(config_file, "verify", "--deep")
    assert shown.returncode == 3
    assert altered in shown.stdout
    assert "Restore" in shown.stdout
    assert "3 findings" in shown.stderr
    assert "Traceback" not in shown.stderr
    listed = run(config_file, "ls")
    assert listed.returncode == 0
    assert "lake verify" in listed.stdout


def test_a_folded_chain_is_read_on_listed_and_verified(
    settings: Settings, config_file: Path
) -> None:
    store = fill(settings)
    servers, topic = settings.kafka.bootstrap_servers, settings.topics.events.name
    assert Chains(store, layout.LOG, decode_record, fold_records=2).fold(topic, 0)
    (span,) = Checkpoints(store, layout.LOG).spans(topic, 0)
    assert (span.first, span.next) == (0, 100)
    # The consumer goes on from the end that it finds by the checkpoint.
    produce(servers, topic, [event(n) for n in range(200, 210)], partition=0)
    app.run(settings, until_caught_up=True, stop=threading.Event())
    before = records(store, topic)
    assert [(r.first, r.next) for r in before] == [(0, 50), (50, 100), (100, 150), (150, 160)]
    done = run(config_file, "verify", "--deep", "--json")
    assert done.returncode == 0, done.stdout
    (partition,) = document(run(config_file, "ls", "--json"))["partitions"]
    assert (partition["records"], partition["first"], partition["next"]) == (4, 0, 160)
    # Damaged, it is reported, and readers do without.
    store.put(span.key, store.get(span.key)[:-1])
    done = run(config_file, "verify", "--deep", "--json")
    assert done.returncode == 3
    assert [(f["kind"], f["key"]) for f in document(done)["findings"]] == [
        ("bad_checkpoint", span.key)
    ]
    assert records(store, topic) == before
    produce(servers, topic, [event(n) for n in range(210, 220)], partition=0)
    app.run(settings, until_caught_up=True, stop=threading.Event())
    assert [r.next for r in records(store, topic)] == [50, 100, 150, 160, 170]


def test_no_lake_and_no_such_topic_are_a_users_mistake(
    settings: Settings, config_file: Path
) -> None:
    assert run(config_file, "verify").returncode == 2
    app.run(settings, until_caught_up=True, stop=threading.Event())
    unknown = run(config_file, "ls", "--topic", "nonsense")
    assert unknown.returncode == 2
    assert "nonsense" in unknown.stderr
