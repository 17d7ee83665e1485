"""Quix Streams: one process; it is bound by one core, and a second one needs a second group member."""

from __future__ import annotations

from bench.peers.installing import venv
from bench.peers.peer import JOBS, Job, Say, Script, Target, Timed


class Quix:
    """See ``jobs/quix_job.py`` for the settings."""

    name = "quix"
    title = "Quix Streams 3.28.1"
    formats = ("json", "avro")
    targets: tuple[Target, ...] = ("disk", "s3")

    def prepare(self, say: Say) -> None:
        self._python = venv("quix", say)

    def load(self, job: Job) -> Timed:
        return Script((str(self._python), str(JOBS / "quix_job.py"))).run(job)
