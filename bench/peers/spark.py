"""Spark Structured Streaming: the whole backlog in one micro-batch, on two threads."""

from __future__ import annotations

from bench.peers.installing import jars, java_home, venv
from bench.peers.peer import JOBS, Job, Say, Script, Target, Timed


class Spark:
    """See ``jobs/spark_job.py`` for the settings."""

    name = "spark"
    title = "Spark 4.1.1 Structured Streaming"
    formats = ("json", "avro")
    targets: tuple[Target, ...] = ("disk", "s3")

    def prepare(self, say: Say) -> None:
        java_home()
        self._python = venv("spark", say)
        self._jars = jars("spark", say)

    def load(self, job: Job) -> Timed:
        script = Script(
            (str(self._python), str(JOBS / "spark_job.py")),
            env={"JAVA_HOME": str(java_home()), "SPARK_LOCAL_IP": "127.0.0.1"},
            more={"jars": [str(jar) for jar in sorted(self._jars.glob("*.jar"))]},
        )
        return script.run(job)
