"""The two systems that are always measured: consuming and discarding, and the loader itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import pyarrow.fs as pafs
import tomli_w

from bench.content import check
from bench.figures import Figures, figures
from bench.measure import LOADER, python, run
from bench.topics import Filled, into_own_lake
from loader.config import load
from loader.lake.commit_log import commit_log
from loader.lake.s3 import S3Store

RAW: Final = "raw consume, discard"
OURS: Final = "heap-loader"


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
    document = into_own_lake(topic.document, prefix)
    config = log.with_suffix(".toml")
    config.write_text(tomli_w.dumps(document))
    more = ["--workers", str(workers)] if workers > 1 else []
    command = [*LOADER, "--config", str(config), "consume", "--until-caught-up"]
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
