"""A sync that is killed with SIGKILL at the worst moments, and the sync after it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loader.compactor.sync import run_sync
from loader.config import Settings
from loader.lake.s3 import S3Store
from loader.local.environment import Environment
from loader.local.environment import settings as stack_settings
from loader.warehouse.connection import connect
from loader.warehouse.sql import SelectColumns, SelectRows, Table
from tests.support import traffic
from tests.support.lake_writer import LakeWriter
from tests.support.truth import Truth, comparable

ROOT = Path(__file__).resolve().parents[2]

#: Runs a sync and kills itself when the nth statement that starts so has been answered (or, for
#: ``before``, is about to be sent).
CHILD = """
import json, os, signal, sys
from loader.compactor.executors import Here
from loader.compactor.sync import Parts, run_sync
from loader.config import Settings
from loader.lake.s3 import S3Store
from loader.warehouse.connection import connect

order = json.load(sys.stdin)
settings = Settings.model_validate(order["settings"])
seen = 0

class Dying:
    def __init__(self, inner):
        self.inner = inner

    def execute(self, statement):
        global seen
        due = statement.render().shown.startswith(order["statement"])
        seen += due
        if due and seen == order["nth"] and order["when"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = self.inner.execute(statement)
        if due and seen == order["nth"]:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    def close(self):
        self.inner.close()

store = S3Store.open(settings.lake)
run_sync(settings, parts=Parts(store, lambda: Dying(connect(settings.warehouse)), Here(store)))
"""


@pytest.fixture
def document(environment: Environment, lake_prefix: str, schema_name: str) -> dict[str, Any]:
    return stack_settings(environment, lake_prefix=lake_prefix, schema=schema_name)


def rows(settings: Settings, name: str) -> list[dict[str, Any]]:
    session = connect(settings.warehouse)
    schema = settings.warehouse.db_schema
    try:
        columns = session.execute(SelectColumns(schema)).rows
        names = tuple(column for table, column, _, _ in columns if table == name)
        found = session.execute(SelectRows(Table(name, schema), names)).rows
    finally:
        session.close()
    return [dict(zip(names, row, strict=True)) for row in found]


def add(lake: LakeWriter, truth: Truth, seed: int) -> None:
    rng = random.Random(seed)
    events, updates = traffic.events(rng, 50, 6), traffic.updates(rng, 15, 6)
    first = lake.events(events).first
    truth.events += [(0, first + n, row) for n, row in enumerate(events)]
    first = lake.updates(updates).first
    truth.updates += [(0, first + n, row) for n, row in enumerate(updates)]


@pytest.mark.parametrize(
    ("statement", "nth", "when"),
    [
        ("COPY", 2, "after"),
        ("INSERT INTO", 3, "after"),
        ("COMMIT", 1, "before"),
        ("COMMIT", 1, "after"),
        ("ALTER TABLE", 1, "after"),
    ],
)
def test_a_killed_sync_is_made_good_by_the_next_one(
    document: dict[str, Any], statement: str, nth: int, when: str
) -> None:
    settings = Settings.model_validate(document)
    lake, truth = LakeWriter(S3Store.open(settings.lake), settings.topics), Truth()
    add(lake, truth, 1)
    run_sync(settings)
    add(lake, truth, 2)
    # A property that is new makes the second sync add a column.
    extra = {**truth.events[0][2], "event_id": 7, "type": "pageview", "properties": {"new one": 1}}
    first = lake.events([extra]).first
    truth.events.append((0, first, extra))
    order = {"settings": document, "statement": statement, "nth": nth, "when": when}
    killed = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(order),
        text=True,
        capture_output=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    run_sync(settings)
    assert comparable(rows(settings, "sessions")) == comparable(truth.sessions())
    assert comparable(rows(settings, "pageviews")) == comparable(truth.pageviews())
    assert comparable(rows(settings, "users")) == comparable(truth.users())
    names = [row["event_table_name"] for row in rows(settings, "_sync_info")]
    assert sorted(names) == sorted(["pageviews", "sessions", "users"] * 2)
    assert run_sync(settings).idle
