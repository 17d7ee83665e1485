"""SIGTERM to the real process: it lets go within a bound, exits with 0, and loses nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loader.config import Settings
from loader.consumer import app
from loader.lake.s3 import S3Store
from tests.support.kafka import event, produce
from tests.support.lake import assert_each_offset_once


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_consumer_exits_with_0_and_the_next_one_goes_on(
    settings: Settings, config_file: Path, number: signal.Signals
) -> None:
    topic = settings.topics.events.name
    servers = settings.kafka.bootstrap_servers
    produce(servers, topic, [event(n) for n in range(300)], partition=0)
    command = [sys.executable, "-c", "from loader.cli import main; main()"]
    process = subprocess.Popen(
        [*command, "--config", str(config_file), "consume", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if '"assigned"' in line and f'"{topic}"' in line:
                break
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Traceback" not in errors

    app.run(settings, until_caught_up=True, stop=threading.Event())
    assert_each_offset_once(S3Store.open(settings.lake), topic, {0: 300})
