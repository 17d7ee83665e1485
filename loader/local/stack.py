"""The laptop: Kafka, S3, PostgreSQL and the Redshift stand-in as one stack under one directory.

Layout of a stack's directory ``D``::

    D/stack.json         identity, secrets, ports, processes (mode 0600); see loader.local.state
    D/stack.lock         held by the one command that changes the stack
    D/heap-loader.toml   the loader's configuration for this stack (mode 0600)
    D/data/<part>/       data and configuration of each part
    D/logs/<part>.log    output of each part

The parts run on after the command that started them, until ``down``.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from loader.errors import LoaderError, Unreachable, UsageError
from loader.local import postgres, standin
from loader.local.environment import (
    CONFIG_NAME,
    Environment,
    KafkaEnvironment,
    RedshiftEnvironment,
    S3Environment,
    render_config,
)
from loader.local.kafka_broker import KafkaEndpoint, KafkaFromJars
from loader.local.kafka_docker import KafkaContainer, engine_answers
from loader.local.object_server import BUCKET, REGION, SeaweedFS
from loader.local.parts import Part, PartStatus, Program, Progress
from loader.local.ports import HOST
from loader.local.program_part import ProgramPart
from loader.local.state import StateFile, write_atomically

READY_WITHIN = 120.0
"""Seconds that each part may take to become ready on a slow machine."""

_LOCK_WITHIN = 300.0
_OURS = ("data", "logs")


def _silent(_part: str, _state: str, _detail: str) -> None:
    """Report nothing."""


class Stack:
    """One stack in one directory. Make it with :meth:`open`.

    Commands that change it (:meth:`up`, :meth:`down`) take turns, across processes too.
    """

    def __init__(self, directory: Path, states: StateFile, endpoint: str | None) -> None:
        self.directory = directory
        self._states = states
        self._endpoint = endpoint

    @classmethod
    def open(cls, directory: Path | str, kafka_bootstrap_servers: str | None = None) -> Stack:
        """Look at ``directory``, which need not exist; nothing is started or written.

        Args:
            directory: the stack's own directory.
            kafka_bootstrap_servers: a broker to use instead of one of the stack's own.

        Raises:
            UsageError: it holds a stack of another format version, or cannot be read.
        """
        path = Path(directory).expanduser().absolute()
        states = StateFile(path)
        states.load()
        return cls(path, states, kafka_bootstrap_servers)

    def up(self, progress: Progress = _silent) -> Environment:
        """Make every part run; return when all are healthy. Repairs what is dead.

        Args:
            progress: told (part, state, detail) at every step, from several threads.

        Raises:
            UsageError: the directory cannot be used.
            Unreachable: a part did not become ready; the hint holds the end of its log.
            Terminal: the S3 server lacks conditional PUT, or a program is not installed.
        """
        self._make_directory()
        with self._locked(progress):
            if self._states.load() is None:
                self._refuse_foreign_data()
                self._states.create()
            self._choose_kafka(progress)
            _, s3, database, warehouse = self._parts()
            with ThreadPoolExecutor(max_workers=3, thread_name_prefix="local-up") as pool:
                starts = (self._start_kafka, s3.up, database.up)
                started = [pool.submit(start, progress) for start in starts]
            _raise_first([future.exception() for future in started])
            # Needs the ports that the others have got by now.
            warehouse.up(progress)
            environment = self.environment()
            write_atomically(environment.config, render_config(environment), mode=0o600)
            return environment

    def down(self, progress: Progress = _silent, *, purge: bool = False) -> None:
        """End every process of this stack, recorded or not; with ``purge`` delete its data.

        Raises:
            UsageError: there is no stack here.
            Unreachable: a process would not end.
        """
        if not self.directory.is_dir():
            self._states.load()
            _ = self._states.state
        with self._locked(progress):
            self._states.load()
            parts = self._parts()
            with ThreadPoolExecutor(max_workers=4, thread_name_prefix="local-down") as pool:
                # The clients of a part are ended with it, not before: each copes with that.
                ended = [pool.submit(part.down, progress, forget=purge) for part in parts]
            _raise_first([future.exception() for future in ended])
            if purge:
                self._purge()

    def status(self) -> list[PartStatus]:
        """Look at every part now. Changes nothing, waits for nothing longer than seconds.

        Raises:
            UsageError: there is no stack here.
        """
        self._states.load()
        parts = self._parts()
        with ThreadPoolExecutor(max_workers=len(parts), thread_name_prefix="local-status") as pool:
            return list(pool.map(lambda part: part.status(), parts))

    def environment(self) -> Environment:
        """Return the endpoints of the stack as last started, running or not.

        Raises:
            UsageError: there is no stack here, or it was never up.
        """
        state = self._states.state
        missing = {"s3", "redshift"} - state.ports.keys()
        if missing:
            raise UsageError(
                f"The stack in {self.directory} was never up.",
                hint=f"Start it with: heap-loader local up --dir {self.directory}",
            )
        return Environment(
            kafka=KafkaEnvironment(self._bootstrap_servers()),
            s3=S3Environment(
                endpoint_url=f"http://{HOST}:{state.ports['s3']}",
                bucket=BUCKET,
                access_key_id=state.access_key_id,
                secret_access_key=state.secret_access_key,
                region=REGION,
            ),
            redshift=RedshiftEnvironment(
                host=HOST,
                port=state.ports["redshift"],
                database=standin.DATABASE,
                user=standin.USER,
                password=state.warehouse_password,
                schema=standin.SCHEMA,
            ),
            config=self.directory / CONFIG_NAME,
        )

    def port(self, name: str) -> int:
        """The port of one of the stack's servers by its name, e.g. ``postgres``.

        Raises:
            UsageError: there is no stack here.
        """
        return self._states.state.ports[name]

    def _parts(self) -> tuple[Part, Part, Part, Part]:
        def part(program: Program) -> Part:
            return ProgramPart(program, self.directory, self._states, ready_within=READY_WITHIN)

        kind = self._states.state.kafka.get("kind", "jars")
        kafka: Part
        if kind == "endpoint":
            kafka = KafkaEndpoint(self._states.state.kafka["bootstrap_servers"])
        elif kind == "docker":
            kafka = KafkaContainer(self._states)
        else:
            kafka = part(KafkaFromJars())
        return kafka, part(SeaweedFS()), part(postgres.Postgres()), part(standin.StandIn())

    def _choose_kafka(self, progress: Progress) -> None:
        """Endpoint, else Docker, else jars; once chosen it stays, for the data's sake."""
        known = self._states.state.kafka
        if self._endpoint is not None:
            wanted = {"kind": "endpoint", "bootstrap_servers": self._endpoint}
        elif known.get("kind") in {"docker", "jars"}:
            wanted = dict(known)
        else:
            wanted = {"kind": "docker" if engine_answers() else "jars"}
        if known and known != wanted:
            self._parts()[0].down(progress, forget=False)
        self._states.set_kafka(wanted)

    def _start_kafka(self, progress: Progress) -> None:
        """Start the chosen provider. A container that never once ran gives way to the jars.

        A machine may have a Docker engine that cannot get the image, or run it.
        """
        chosen = dict(self._states.state.kafka)
        kafka = self._parts()[0]
        try:
            kafka.up(progress)
        except Unreachable as error:
            if chosen != {"kind": "docker"}:
                raise
            progress(kafka.name, "starting", f"from jars, since Docker failed: {error.message}")
            with contextlib.suppress(Unreachable):
                kafka.down(progress, forget=True)
            self._states.set_kafka({"kind": "jars"})
            self._parts()[0].up(progress)
        else:
            if chosen == {"kind": "docker"}:
                self._states.set_kafka({"kind": "docker", "has_run": "yes"})

    def _bootstrap_servers(self) -> str:
        state = self._states.state
        given = state.kafka.get("bootstrap_servers")
        return given or f"{HOST}:{state.ports['kafka']}"

    def _make_directory(self) -> None:
        try:
            # Others may pass through, as PostgreSQL's account must; they cannot list or read.
            self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"{self.directory} cannot be used: {error.strerror}.") from None
        if not os.access(self.directory, os.W_OK | os.X_OK):
            raise UsageError(f"{self.directory} cannot be written to.")

    def _refuse_foreign_data(self) -> None:
        for name in (*_OURS, CONFIG_NAME):
            path = self.directory / name
            if path.exists() and not (path.is_dir() and not any(path.iterdir())):
                raise UsageError(
                    f"{path} exists, but {self.directory} holds no stack.",
                    hint="Choose an empty or new --dir: a stack's data are deleted by --purge.",
                )

    def _purge(self) -> None:
        for name in _OURS:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(self.directory / name)
        (self.directory / CONFIG_NAME).unlink(missing_ok=True)
        self._states.forget()  # last: until now another --purge could have finished this one
        (self.directory / "stack.lock").unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.directory.rmdir()

    @contextlib.contextmanager
    def _locked(self, progress: Progress) -> Iterator[None]:
        path = self.directory / "stack.lock"
        deadline = time.monotonic() + _LOCK_WITHIN
        told = False
        while True:
            with path.open("a") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if not told:
                        progress("stack", "waiting", "another command is changing this stack")
                        told = True
                    if time.monotonic() > deadline:
                        raise Unreachable(
                            f"Another command holds {path} for {_LOCK_WITHIN:.0f} s."
                        ) from None
                    time.sleep(0.1)
                    continue
                # A purge removes the file: a lock on a removed one protects nothing.
                if not _is_same_file(path, file.fileno()):
                    continue
                yield
                return


def psql_command(env: Environment) -> list[str]:
    """Return the command that opens the stand-in in ``psql``; see :func:`psql_environment`."""
    r = env.redshift
    program = str(postgres.psql_program())
    return [program, "-h", r.host, "-p", str(r.port), "-U", r.user, "-d", r.database]


def psql_environment(env: Environment) -> dict[str, str]:
    """Return the variables ``psql`` needs besides: the password, which must not be an argument."""
    return {
        "PGPASSWORD": env.redshift.password,
        "PGSSLMODE": "disable",
        "PGOPTIONS": "",
    }


def environment(directory: Path | str) -> Environment:
    """Return the endpoints of the stack in ``directory``.

    Raises:
        UsageError: there is no stack, or it was never up.
    """
    return Stack.open(directory).environment()


def _is_same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _raise_first(errors: Sequence[BaseException | None]) -> None:
    """Raise the first error, with what the others say, so that none is lost."""
    real = [error for error in errors if error is not None]
    for error in real:
        if not isinstance(error, LoaderError):
            raise error
    told = [error for error in real if isinstance(error, LoaderError)]
    if told:
        first, others = told[0], told[1:]
        hint = "\n".join([first.hint, *(str(other) for other in others)])
        raise type(first)(first.message, hint=hint.strip()) from first


__all__ = ["Stack", "environment", "psql_command", "psql_environment"]
