"""What has to be compiled is compiled by one process, while the others wait."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest
from numba.core import config as numba_config

from loader.codec.compiled import compiling


def compile_once(folder: Path, barrier: Any) -> None:
    """Notes that it compiled, unless another one has."""
    numba_config.CACHE_DIR = str(folder)
    barrier.wait()
    with compiling("thing"):
        made = folder / "machine-code"
        if not made.exists():
            (folder / f"by-{os.getpid()}").touch()
            made.touch()


def test_of_many_processes_one_compiles(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    processes = [context.Process(target=compile_once, args=(tmp_path, barrier)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert len(list(tmp_path.glob("by-*"))) == 1
    assert (tmp_path / "thing.compiled").exists()


def test_what_failed_is_compiled_by_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba_config, "CACHE_DIR", str(tmp_path))
    with pytest.raises(ZeroDivisionError), compiling("thing"):
        raise ZeroDivisionError
    assert not (tmp_path / "thing.compiled").exists()
    with compiling("thing"):
        pass
    assert (tmp_path / "thing.compiled").exists()
