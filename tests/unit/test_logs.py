"""Log lines of several processes on one stream stay whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys

PROCESSES = 3
LINES = 1000

CHILD = f"""
from loader import logs
logs.configure(json=True, context={{"worker": 7}})
for number in range({LINES}):
    logs.log.info("batch", topic="heap.events", number=number)
"""


def test_lines_of_several_processes_do_not_mix() -> None:
    read, write = os.pipe()
    children = [
        subprocess.Popen([sys.executable, "-c", CHILD], stderr=write) for _ in range(PROCESSES)
    ]
    os.close(write)
    with os.fdopen(read) as stream:
        lines = [json.loads(line) for line in stream]
    for child in children:
        assert child.wait(60) == 0
    assert len(lines) == PROCESSES * LINES
    assert {(line["event"], line["worker"], line["topic"]) for line in lines} == {
        ("batch", 7, "heap.events")
    }
