"""Workers that crash, complain, hang or lose their supervisor: real processes, small ones."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from loader.consumer import supervisor as supervisor_module
from loader.consumer.overview import Overview
from loader.consumer.progress import Target
from loader.consumer.restarts import Policy
from loader.errors import LoaderError, NeedsOperator, Unreachable, UsageError
from tests.support.processes import await_end
from tests.support.supervised import QUICK, supervisor


def terminate() -> None:
    """What an operator does."""
    os.kill(os.getpid(), signal.SIGTERM)


def run(
    folder: Path,
    behaviour: str,
    overview: Overview,
    *,
    until: Callable[[], bool] = lambda: False,
    policy: Policy = QUICK,
) -> None:
    """Run two workers until something holds, then SIGTERM."""
    done = False

    def look() -> None:
        nonlocal done
        if not done and until():
            done = True
            terminate()

    async def bounded() -> None:
        one = supervisor(folder, behaviour, overview, policy=policy, on_progress=look)
        async with asyncio.timeout(100):
            await one.run()

    asyncio.run(bounded())


def lives(folder: Path, worker: int) -> int:
    return len(list(folder.glob(f"{worker}.[0-9]*")))


def stopped(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.stopped")}


def restarts(overview: Overview) -> dict[tuple[str, ...], object]:
    return {
        labels: value
        for name, labels, value in overview.samples()
        if name == "worker_restarts_total"
    }


def all_joined(overview: Overview) -> Callable[[], bool]:
    return lambda: overview.readiness()[0]


def test_sigterm_stops_all_and_what_they_did_is_summed(tmp_path: Path) -> None:
    overview = Overview(2)
    run(tmp_path, "well", overview, until=all_joined(overview))
    assert stopped(tmp_path) == {"0", "1"}
    assert overview.progress().read == 20
    assert (lives(tmp_path, 0), lives(tmp_path, 1)) == (1, 1)


def moment(folder: Path, name: str) -> float:
    return float((folder / name).read_text())


def test_workers_join_together_once_the_last_of_them_is_ready(tmp_path: Path) -> None:
    overview = Overview(2)
    run(tmp_path, "joins", overview, until=all_joined(overview))
    last = moment(tmp_path, "1.ready")
    assert moment(tmp_path, "0.joined") >= last
    assert moment(tmp_path, "1.joined") >= last


def test_a_worker_joins_alone_if_the_other_is_not_ready_in_time_and_who_comes_later_joins_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "_TOGETHER", 0.05)
    overview = Overview(2)
    run(tmp_path, "late", overview, until=all_joined(overview))
    assert moment(tmp_path, "0.joined") < moment(tmp_path, "1.ready")
    assert moment(tmp_path, "1.joined") >= moment(tmp_path, "1.ready")


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ("dies:1:2", "failure"),
        ("dies:4:2", "unreachable"),
        ("dies:0:2", "failure"),
        ("killed:2", "signal"),
    ],
)
def test_a_worker_that_dies_is_started_again_and_the_other_one_goes_on(
    tmp_path: Path, behaviour: str, reason: str
) -> None:
    overview = Overview(2)
    run(tmp_path, behaviour, overview, until=all_joined(overview))
    assert (lives(tmp_path, 0), lives(tmp_path, 1)) == (3, 1)
    assert stopped(tmp_path) == {"0", "1"}
    assert restarts(overview) == {("0", reason): 2}
    # Two lives that reported and died, a third one, and the other worker.
    assert overview.progress().read == 40


def test_a_worker_whose_last_line_was_cut_is_one_that_failed(tmp_path: Path) -> None:
    overview = Overview(2)
    run(tmp_path, "babbles", overview, until=all_joined(overview))
    assert (lives(tmp_path, 0), lives(tmp_path, 1)) == (2, 2)


@pytest.mark.parametrize(("code", "kind"), [(5, NeedsOperator), (2, UsageError)])
def test_what_only_a_person_can_mend_stops_all_with_its_own_words(
    tmp_path: Path, code: int, kind: type[LoaderError]
) -> None:
    overview = Overview(2)
    with pytest.raises(kind) as raised:
        run(tmp_path, f"says:{code}", overview)
    assert type(raised.value) is kind
    assert (raised.value.message, raised.value.hint) == (f"message {code}", "a hint")
    assert raised.value.exit_code == code
    assert lives(tmp_path, 0) == 1
    assert restarts(overview) == {}


def test_a_status_of_5_without_a_word_stops_all_too(tmp_path: Path) -> None:
    with pytest.raises(NeedsOperator, match="Worker 0: Ended with status 5"):
        run(tmp_path, "dies:5:9", Overview(2))


def test_a_worker_that_does_not_stop_is_killed_after_its_time(tmp_path: Path) -> None:
    overview = Overview(2)
    policy = Policy(first_delay=0.01, stop_timeout=0.2)
    run(tmp_path, "deaf", overview, until=all_joined(overview), policy=policy)
    assert stopped(tmp_path) == set()
    for worker in (0, 1):
        assert await_end(int((tmp_path / f"{worker}.0").read_text()), 0)


def test_a_bounded_run_gives_up_on_a_dependency_that_stays_away(tmp_path: Path) -> None:
    overview = Overview(2, Target({("t", 0): 5}))
    policy = Policy(first_delay=0.01, max_delay=0.02, attempts=3, stop_timeout=60.0)
    with pytest.raises(Unreachable) as raised:
        run(tmp_path, "says:4", overview, policy=policy)
    assert (raised.value.message, raised.value.hint) == ("message 4", "a hint")
    assert lives(tmp_path, 0) == 3


def test_a_bounded_run_ends_when_all_partitions_are_there_whoever_reads_them(
    tmp_path: Path,
) -> None:
    overview = Overview(2, Target({("t", 0): 5, ("t", 1): 5}))
    run(tmp_path, "half", overview)
    assert stopped(tmp_path) == {"0", "1"}
    assert overview.caught_up


def test_a_worker_is_told_what_to_do_on_its_standard_input(tmp_path: Path) -> None:
    overview = Overview(2)
    run(tmp_path, "echo", overview, until=all_joined(overview))
    assert (tmp_path / "told").read_bytes() in {b"you are 0\n", b"you are 1\n"}


def test_a_program_that_cannot_be_started_is_tried_again(tmp_path: Path) -> None:
    from loader.consumer.supervisor import Supervisor

    overview = Overview(1, Target({("t", 0): 5}))
    policy = Policy(first_delay=0.01, attempts=2)
    one = Supervisor(1, lambda _, __: [str(tmp_path / "nothing")], lambda _: b"", overview, policy)
    with pytest.raises(LoaderError, match="Worker 0 cannot be started: No such file"):
        asyncio.run(one.run())


@pytest.mark.parametrize(("behaviour", "clean"), [("follows", True), ("hangs", False)])
def test_workers_end_when_their_supervisor_is_killed(
    tmp_path: Path, behaviour: str, clean: bool
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.support.supervised", str(tmp_path), behaviour],
        stdout=subprocess.PIPE,
    )
    try:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
    finally:
        parent.kill()
        parent.communicate()
    for worker in (0, 1):
        assert await_end(int((tmp_path / f"{worker}.0").read_text()))
    assert stopped(tmp_path) == ({"0", "1"} if clean else set())


def test_a_supervisor_holds_nothing_heavy(tmp_path: Path) -> None:
    heavy = ["pyarrow", "numpy", "duckdb", "boto3", "botocore", "fastavro", "numba"]
    script = (
        "import sys\nimport loader.consumer.group\n"
        f"heavy = sorted(set({heavy!r}) & sys.modules.keys())\nassert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
