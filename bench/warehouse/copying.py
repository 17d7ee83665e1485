"""COPY of Parquet through the stand-in against ``psql \\copy`` of the same rows as CSV.

Both load into a fresh table of the same PostgreSQL, in turns. The ratio says what reading Parquet from
S3, checking it as Redshift does and handing it on cost beside the bare load.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

import boto3
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import redshift_connector
from rich.table import Table

from bench.measure import RunFailed, Tree
from bench.warehouse.parts import Context, Part, Report
from bench.warehouse.rows import COLUMNS, rows
from loader.local import postgres
from loader.local.stack import Stack

PSQL, COPY = "psql \\copy, CSV from a local file", "COPY, Parquet from S3 by manifest"
_STEP = 250_000  # rows made at once
_SAME = "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM public.bench_{} t"


@dataclass(frozen=True, slots=True)
class Round:
    """One load.

    Attributes:
        seconds: from sending the command to its end.
        cpu: user and system seconds of the stand-in's process meanwhile.
        peak_mb: its largest resident size meanwhile.
    """

    seconds: float
    cpu: float
    peak_mb: float


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rows", type=int, default=5_000_000, help="COPY: rows (default 5 M)")
    parser.add_argument("--files", type=int, default=10, help="COPY: Parquet files (default 10)")


def _run(context: Context) -> Report:
    count, files = context.options.rows, context.options.files
    if count < files or files < 1:
        raise RunFailed("--rows must be at least --files, and that at least 1.")
    bench = _Bench(context)
    with closing(bench):
        bench.prepare(count, files)
        small = bench.copy(bench.few)
        found: dict[str, list[Round]] = {PSQL: [], COPY: []}
        for number in range(context.options.rounds):
            for system, load in ((PSQL, bench.psql), (COPY, lambda: bench.copy(bench.all))):
                found[system].append(load())
                seconds = found[system][-1].seconds
                context.console.print(f"round {number + 1}: {system}: {seconds:.1f} s")
            if number == 0:
                bench.compare()
    return _report(context, found, small)


class _Bench:
    """The files, the tables, and the two ways to load."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._environment = env = context.environment
        self._csv = context.folder / "rows.csv"
        self._backend, self._standin = _addresses(context.stack)
        self._s3: Any = boto3.client(
            "s3",
            endpoint_url=env.s3.endpoint_url,
            aws_access_key_id=env.s3.access_key_id,
            aws_secret_access_key=env.s3.secret_access_key,
            region_name=env.s3.region,
        )
        self._connection = redshift_connector.connect(
            host=env.redshift.host,
            port=env.redshift.port,
            database=env.redshift.database,
            user=env.redshift.user,
            password=env.redshift.password,
            ssl=False,
        )
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self.all = self.few = ""

    def close(self) -> None:
        self._connection.close()
        self._s3.close()

    def prepare(self, count: int, files: int) -> None:
        """Write the rows as CSV to disk and as Parquet to S3; ``few`` names one of the files."""
        entries = []
        made = 0
        with self._csv.open("wb") as text, self._context.console.status("making rows ..."):
            for file in range(files):
                until = count * (file + 1) // files
                entries.append(self._file(file, made, until, text))
                made = until
        self.all = self._manifest("all", entries)
        self.few = self._manifest("few", entries[:1])
        size = sum(entry["meta"]["content_length"] for entry in entries) / 1e6
        csv = self._csv.stat().st_size / 1e6
        self._context.console.print(f"{count:,} rows: CSV {csv:,.0f} MB, Parquet {size:,.0f} MB")

    def _file(self, file: int, first: int, until: int, text: Any) -> dict[str, Any]:
        sink = io.BytesIO()
        writer: pq.ParquetWriter | None = None
        for start in range(first, until, _STEP):
            table = rows(start, min(_STEP, until - start))
            writer = writer or pq.ParquetWriter(sink, table.schema, store_decimal_as_integer=True)
            writer.write_table(table)
            pa_csv.write_csv(
                table, text, pa_csv.WriteOptions(include_header=False, quoting_style="needed")
            )
        if writer is not None:
            writer.close()
        return self._put(f"bench/copy/{file}.parquet", sink.getvalue())

    def _put(self, key: str, body: bytes) -> dict[str, Any]:
        bucket = self._environment.s3.bucket
        self._s3.put_object(Bucket=bucket, Key=key, Body=body)
        url = f"s3://{bucket}/{key}"
        return {"url": url, "mandatory": True, "meta": {"content_length": len(body)}}

    def _manifest(self, name: str, entries: list[dict[str, Any]]) -> str:
        body = json.dumps({"entries": entries}).encode()
        url: str = self._put(f"bench/copy/{name}.manifest", body)["url"]
        return url

    def _fresh(self, table: str) -> None:
        columns = ", ".join(f'"{column.name}" {column.sql}' for column in COLUMNS)
        self._cursor.execute(f"DROP TABLE IF EXISTS public.{table}")
        self._cursor.execute(f"CREATE TABLE public.{table} ({columns})")
        # What earlier loads left to be written must not fall into this one.
        self._psql("CHECKPOINT")

    def psql(self) -> Round:
        """``\\copy`` by PostgreSQL's own client, past the stand-in."""
        self._fresh("bench_psql")
        command = f"\\copy public.bench_psql from '{self._csv}' csv"
        return self._timed(lambda: self._psql(command))

    def copy(self, manifest: str) -> Round:
        """COPY through the driver and the stand-in."""
        self._fresh("bench_copy")
        columns = ", ".join(f'"{column.name}"' for column in COLUMNS)
        s3 = self._environment.s3
        keys = f"ACCESS_KEY_ID '{s3.access_key_id}' SECRET_ACCESS_KEY '{s3.secret_access_key}'"
        sql = f"COPY public.bench_copy ({columns}) FROM '{manifest}' {keys} FORMAT PARQUET MANIFEST"
        return self._timed(lambda: self._cursor.execute(sql))

    def _timed(self, load: Callable[[], object]) -> Round:
        tree = Tree(self._standin)
        before = tree.now()
        try:
            began = time.perf_counter()
            load()
            seconds = time.perf_counter() - began
        finally:
            tree.stop()
        return Round(seconds, tree.now() - before, tree.peak_mb)

    def compare(self) -> None:
        """Both tables must hold the same rows.

        Raises:
            RunFailed: they do not.
        """
        with self._context.console.status("comparing the tables ..."):
            found = {name: self._psql(_SAME.format(name)) for name in ("psql", "copy")}
        if found["psql"] != found["copy"]:
            raise RunFailed(f"the two ways loaded different rows: {found}")

    def _psql(self, command: str) -> str:
        host, port = self._backend
        argv = [str(postgres.psql_program()), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", host]
        argv += ["-p", port, "-U", postgres.USER, "-d", self._environment.redshift.database]
        done = subprocess.run([*argv, "-c", command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunFailed(f"psql failed: {done.stderr.strip()}")
        return done.stdout.strip()


def _addresses(stack: Stack) -> tuple[tuple[str, str], int]:
    """Host and port of the PostgreSQL below, and the stand-in's process."""
    parts = {part.name: part for part in stack.status()}
    host, _, port = parts["postgres"].address.rpartition(":")
    pid = parts["redshift"].pid
    if pid is None:
        raise RunFailed("the stand-in's process is not known.")
    return (host, port), pid


def _report(context: Context, found: dict[str, list[Round]], small: Round) -> Report:
    count = context.options.rows
    ratios = [
        ours.seconds / theirs.seconds for ours, theirs in zip(found[COPY], found[PSQL], strict=True)
    ]
    title = (
        f"COPY: {count:,} rows, {len(COLUMNS)} columns, {context.options.files} files, "
        f"rounds: {context.options.rounds}; medians (and ranges)"
    )
    table = Table(title=title, header_style="bold", title_justify="left")
    table.add_column("way")
    for heading in (
        "seconds",
        "k rows/s",
        "times psql",
        "stand-in's\nCPU s",
        "stand-in's\npeak MB",
    ):
        table.add_column(heading, justify="right")
    for system, rounds in found.items():
        ours = system == COPY
        table.add_row(
            system,
            _spread([r.seconds for r in rounds], ",.1f"),
            _spread([count / r.seconds / 1e3 for r in rounds], ",.0f"),
            _spread(ratios, ".2f") if ours else "1",
            _spread([r.cpu for r in rounds], ",.1f") if ours else "",
            _spread([r.peak_mb for r in rounds], ",.0f") if ours else "",
        )
    table.add_row(
        f"the same, 1 of {context.options.files} files", f"{small.seconds:,.1f}", "", "",
        f"{small.cpu:,.1f}", f"{small.peak_mb:,.0f}",
    )  # fmt: skip
    return Report(
        [table],
        {
            "rows": count,
            "columns": len(COLUMNS),
            "files": context.options.files,
            "psql": [asdict(r) for r in found[PSQL]],
            "copy": [asdict(r) for r in found[COPY]],
            "one_file": asdict(small),
            "ratio": {"median": statistics.median(ratios), "rounds": ratios},
        },
    )


def _spread(values: list[float], form: str) -> str:
    middle = format(statistics.median(values), form)
    if len(values) == 1:
        return middle
    return f"{middle} ({format(min(values), form)}-{format(max(values), form)})"


PART = Part(
    "copy",
    "a Parquet COPY into the stand-in against psql \\copy of the same rows as CSV",
    _arguments,
    _run,
)
