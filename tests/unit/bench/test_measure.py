"""What the benchmark measures a program by, and that nothing of it is left running."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil
import pytest

from bench.measure import Measured, RunFailed, run


def _run(path: Path, code: str, **more: object) -> Measured:
    return run([sys.executable, "-c", code], env={}, log=path / "log", **more)  # type: ignore[arg-type]


def test_output_and_time(tmp_path: Path) -> None:
    done = _run(tmp_path, "print(sum(range(1_000_000)))")
    assert done.output == "499999500000\n"
    assert done.cpu > 0
    assert done.wall > 0


def test_peak_memory_is_the_programs_own(tmp_path: Path) -> None:
    ours = bytearray(b"x" * 300_000_000)  # what starts the program is no part of it
    code = (
        "import time; x = bytearray(b'x' * 80_000_000); print(len(x), flush=True); time.sleep(600)"
    )
    out = tmp_path / "log.out"
    asked_with_output = 0

    def sampled() -> bool:
        nonlocal asked_with_output
        asked_with_output += bool(out.read_text())
        return asked_with_output > 5  # a second: several samples

    assert 80 < _run(tmp_path, code, until=sampled).peak_mb < 300
    assert len(ours) == 300_000_000


def test_the_usage_of_a_child_counts(tmp_path: Path) -> None:
    child = "import time\nwhile time.process_time() < 0.5: pass"
    done = _run(
        tmp_path, f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    )
    assert done.cpu >= 0.5


def test_a_failure_is_told_with_what_the_program_said(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="no such topic"):
        _run(tmp_path, "raise SystemExit('no such topic')")


def test_a_program_that_never_ends_is_ended_when_its_work_is_done(tmp_path: Path) -> None:
    done_file = tmp_path / "done"
    code = f"import pathlib, time; pathlib.Path({str(done_file)!r}).touch(); time.sleep(600)"
    assert _run(tmp_path, code, until=done_file.exists).output == ""


def test_a_program_that_ends_before_its_work_is_done_has_failed(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="before its work was done"):
        _run(tmp_path, "", until=lambda: False)


def test_nothing_that_it_started_runs_on(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, flush=True); time.sleep(600)"
    )
    out = tmp_path / "log.out"
    done = _run(tmp_path, code, until=lambda: out.read_text().endswith("\n"))
    try:
        child = psutil.Process(int(done.output))
        child.wait(60)
    except psutil.NoSuchProcess:
        return


def test_a_stuck_program_is_ended(tmp_path: Path) -> None:
    with pytest.raises(RunFailed, match="stuck"):
        _run(tmp_path, "import time; time.sleep(600)", timeout=0.2)
