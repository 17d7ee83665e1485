"""What stops a sync, and what it says."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import SecretStr

from loader import logs
from loader.compactor.sync import run_sync
from loader.config import Settings
from loader.errors import LoaderError, NeedsOperator, UsageError
from loader.lake.commit_log import CommitRecord
from loader.lake.layout import log_record
from loader.warehouse.connection import connect
from tests.support.lake_writer import LakeWriter

Read = Callable[[str], list[dict[str, Any]]]


def pageview(number: int) -> dict[str, Any]:
    return {
        "event_id": number,
        "user_id": number % 3,
        "session_id": 1,
        "time": 1_767_225_600_000_000 + number,
        "type": "pageview",
    }


def missing(lake: LakeWriter, record: CommitRecord) -> str:
    lake.store.delete([record.files[0].key])
    return "is missing"


def altered(lake: LakeWriter, record: CommitRecord) -> str:
    body = bytearray(lake.store.get(record.files[0].key))
    body[len(body) // 2] ^= 1
    lake.store.put(record.files[0].key, bytes(body))
    return "was altered"


def cut_short(lake: LakeWriter, record: CommitRecord) -> str:
    lake.store.put(record.files[0].key, lake.store.get(record.files[0].key)[:-1])
    return "was altered"


@pytest.mark.parametrize("damage", [missing, altered, cut_short])
def test_a_damaged_raw_file_stops_the_sync_and_is_named(
    lake: LakeWriter,
    settings: Settings,
    table: Read,
    damage: Callable[[LakeWriter, CommitRecord], str],
) -> None:
    lake.events([pageview(n) for n in range(10)])
    run_sync(settings)
    record = lake.events([pageview(n) for n in range(10, 20)])
    says = damage(lake, record)
    with pytest.raises(NeedsOperator, match=says) as caught:
        run_sync(settings)
    assert record.files[0].key in str(caught.value)
    assert caught.value.exit_code == 5
    assert len(table("pageviews")) == 10


def test_a_missing_commit_record_stops_the_sync(lake: LakeWriter, settings: Settings) -> None:
    records = [lake.events([pageview(n)]) for n in range(3)]
    run_sync(settings)
    records += [lake.events([pageview(n)]) for n in range(3, 6)]
    lake.store.delete([log_record("log/", settings.topics.events.name, 0, records[3].first)])
    with pytest.raises(NeedsOperator, match="does not lead from offset 3 to 6"):
        run_sync(settings)


def test_no_lake_yet(settings: Settings) -> None:
    with pytest.raises(UsageError, match="no lake yet"):
        run_sync(settings)


def test_a_wrong_password_is_refused_at_once_and_not_shown(settings: Settings) -> None:
    wrong = settings.warehouse.model_copy(update={"password": SecretStr("not-the-password")})
    with pytest.raises(LoaderError, match="refused the login") as caught:
        connect(wrong)
    assert caught.value.exit_code == 4
    assert "not-the-password" not in str(caught.value)
    assert str(settings.warehouse.port) in str(caught.value)


def test_nothing_listens(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "ATTEMPTS", 2)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        away = settings.warehouse.model_copy(update={"port": port})
        with pytest.raises(LoaderError, match=f"127.0.0.1:{port}") as caught:
            connect(away)
    assert caught.value.exit_code == 4
