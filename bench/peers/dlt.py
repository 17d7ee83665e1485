"""dlt: extract, normalise and load, one after the other; two normalising processes."""

from __future__ import annotations

from bench.peers.installing import venv
from bench.peers.peer import JOBS, Job, Say, Script, Target, Timed


class Dlt:
    """See ``jobs/dlt_job.py`` for the settings."""

    name = "dlt"
    title = "dlt 1.31.0"
    formats = ("json", "avro")
    targets: tuple[Target, ...] = ("disk", "s3")

    def prepare(self, say: Say) -> None:
        self._python = venv("dlt", say)

    def load(self, job: Job) -> Timed:
        return Script((str(self._python), str(JOBS / "dlt_job.py"))).run(job)
