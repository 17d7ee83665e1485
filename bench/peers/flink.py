"""Flink SQL on the cluster inside the job's own process, parallelism 2."""

from __future__ import annotations

import shutil

from bench.peers.installing import jars, java_classes, java_home, venv
from bench.peers.peer import JOBS, Job, Say, Script, Target, Timed

# These two are Flink's plugins and Flink's own: never on a job's class path.
_NOT_FOR_JOBS = ("flink-s3-fs-hadoop", "slf4j-api")


class Flink:
    """See ``jobs/flink_job.py`` for the settings and ``files/flink`` for its way to read Avro."""

    name = "flink"
    title = "Flink 2.3.0 SQL"
    formats = ("json", "avro")
    targets: tuple[Target, ...] = ("disk", "s3")

    def prepare(self, say: Say) -> None:
        java_home()
        self._python = venv("flink", say)
        self._jars = jars("flink", say)
        home = next(self._python.parent.parent.glob("lib/python*/site-packages/pyflink"))
        self._format = java_classes("flink", [self._jars, home / "lib"])
        # Plugins are loaded from a folder each, and PyFlink knows them in its own home only.
        plugin = home / "plugins" / "s3-fs-hadoop"
        plugin.mkdir(parents=True, exist_ok=True)
        for jar in self._jars.glob("flink-s3-fs-hadoop-*.jar"):
            if not (plugin / jar.name).exists():
                shutil.copy(jar, plugin)

    def load(self, job: Job) -> Timed:
        on_class_path = [
            str(jar)
            for jar in (*sorted(self._jars.glob("*.jar")), self._format)
            if not jar.name.startswith(_NOT_FOR_JOBS)
        ]
        script = Script(
            (str(self._python), str(JOBS / "flink_job.py")),
            env={
                "JAVA_HOME": str(java_home()),
                "JAVA_TOOL_OPTIONS": "-Xmx4g -XX:+UseParallelGC",
            },
            more={"jars": on_class_path},
        )
        return script.run(job)
