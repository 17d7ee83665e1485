"""Bytewax: two processes of one worker each, which find each other on free ports."""

from __future__ import annotations

from bench.peers.installing import free_ports, venv
from bench.peers.peer import JOBS, Job, Say, Script, Target, Timed

# One fails, both fail: the other would wait for it for ever.
_BOTH = """
"$@" --process-id 0 & first=$!
"$@" --process-id 1 & second=$!
wait -n || { kill $first $second; exit 1; }
wait -n || exit 1
"""


class Bytewax:
    """See ``jobs/bytewax_job.py`` for the dataflow and its sink."""

    name = "bytewax"
    title = "Bytewax 0.21.1, 2 processes"
    formats = ("json", "avro")
    targets: tuple[Target, ...] = ("disk", "s3")

    def prepare(self, say: Say) -> None:
        self._python = venv("bytewax", say)

    def load(self, job: Job) -> Timed:
        addresses = ";".join(f"127.0.0.1:{port}" for port in free_ports(2))
        program = (str(self._python), "-m", "bytewax.run", "bytewax_job:flow")
        script = Script(
            ("bash", "-c", _BOTH, "bash", *program, "--addresses", addresses),
            env={"PYTHONPATH": str(JOBS)},
        )
        return script.run(job)
