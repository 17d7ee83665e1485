"""The two systems that are always measured: consuming and discarding, and the loader itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

import pyarrow.fs as pafs
import tomli_w

from bench.content import check
from bench.figures import Figures, figures
from bench.measure import python, run
from bench.topics import Filled
from loader.config import load
from loader.lake.commit_log import commit_log
from loader.lake.s3 import S3Store

RAW: Final = "raw consume, discard"
OURS: Final = "heap-loader"

_LOADER: Final = ("-c", "from loader.cli import main; main()")


def has_workers() -> bool:
    """Whether ``consume`` can be told how many processes to use."""
    shown = subprocess.run(
        [python(), *_LOADER, "consume", "--help"], capture_output=True, text=True, check=True
    )
    return "--workers" in shown.stdout


def consume_raw(servers: str, topic: Filled, log: Path) -> Figures:
    """Consume a topic and throw it away."""
    done = run([python(), "-m", "bench.raw_consume", servers, topic.name], env={}, log=log)
    counts = json.loads(done.output)
    return figures(
        counts["messages"], steady=counts["seconds"], with_start_up=done.wall, measured=done
    )


def consume(topic: Filled, prefix: str, workers: int, files: pafs.FileSystem, log: Path) -> Figures:
    """Run ``consume --until-caught-up`` into a lake and a group of its own.

    Args:
        topic: what it reads.
        prefix: folder of the lake in the bucket, and name of the group; new.
        workers: processes; 1 is not passed on.
        files: the stack's S3.
        log: takes its log; its configuration is written beside it.

    Raises:
        RunFailed: it failed.
        ContentDiffers: the lake does not hold what the topic holds.
    """
    document: dict[str, Any] = dict(topic.document)
    document["kafka"] = {**document["kafka"], "group_id": prefix}
    document["lake"] = {**document["lake"], "url": f"{document['lake']['url']}/{prefix}"}
    config = log.with_suffix(".toml")
    config.write_text(tomli_w.dumps(document))
    more = ["--workers", str(workers)] if workers > 1 else []
    command = [python(), *_LOADER, "--config", str(config), "consume", "--until-caught-up"]
    done = run([*command, *more, "--json"], env={}, log=log)
    counts = json.loads(done.output)
    lake = document["lake"]["url"].removeprefix("s3://")
    return figures(
        counts["messages"],
        steady=counts["seconds"],
        with_start_up=done.wall,
        measured=done,
        written=check(
            files, f"{lake}/raw/{topic.name}", topic.content, named=_named(config, lake, topic.name)
        ),
        s3_requests=counts.get("requests"),
    )


def _named(config: Path, lake: str, topic: str) -> set[str]:
    """The files that exist by the commit log, as paths in the stack's S3."""
    log = commit_log(S3Store.open(load(config, {}).lake))
    return {
        f"{lake}/{file.key}"
        for partition in log.partitions(topic)
        for record in log.records(topic, partition)
        for file in record.files
    }
