"""A clock that is set back must change nothing: the consumer decides by monotonic time alone."""

from __future__ import annotations

import ast
from pathlib import Path

import loader.consumer

#: Where wall time is only written down, or compared with Kafka's message times for a metric.
TELLS_THE_TIME = {"app.py", "writer.py", "observer.py"}
WALL = {("time", "time"), ("dt.datetime", "now"), ("datetime", "now"), ("dt.date", "today")}


def test_no_decision_of_the_consumer_reads_the_wall_clock() -> None:
    found = set()
    for path in Path(loader.consumer.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and (ast.unparse(node.value), node.attr) in WALL:
                found.add(path.name)
    assert found == TELLS_THE_TIME
