"""What a stack remembers between two commands: ``D/stack.json``, replaced atomically.

The file holds the stack's identity, its secrets (mode 0600), its ports and the processes that it
started. It is written before a process is started (the *intent*) and right after (its pid and
start time), so that a command that dies between the two leaves a trace to clean up by.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import secrets
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loader.errors import UsageError

FORMAT = 1
"""Version of a stack directory's layout and of ``stack.json``. Another one is refused."""

STATE_NAME = "stack.json"


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """A process that this stack started, or is about to.

    Attributes:
        pid: process id; 0 while only the intent is recorded.
        created: start time as psutil gives it, seconds since the epoch; 0 for an intent.
        fingerprint: hash of what it was started with; another one means "start it again".
    """

    pid: int
    created: float
    fingerprint: str


@dataclass(frozen=True, slots=True)
class StackState:
    """Everything in ``stack.json``. Values never change once made, except the three mappings.

    Attributes:
        stack_id: 32 hex digits, unique per stack directory; marks the stack's processes.
        cluster_id: Kafka's cluster id: 22 characters, a UUID in URL-safe base64.
        access_key_id: of the S3 server, made at random.
        secret_access_key: of the S3 server, made at random.
        warehouse_password: of the stand-in's user, made at random.
        kafka: which provider was chosen (``kind``) and what it needs to be found again.
        ports: port by name, on 127.0.0.1.
        processes: process by part name.
    """

    stack_id: str
    cluster_id: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    warehouse_password: str = field(repr=False)
    kafka: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    processes: Mapping[str, ProcessRecord] = field(default_factory=dict)

    @classmethod
    def fresh(cls) -> StackState:
        """Make the state of a new stack, with secrets of its own."""
        return cls(
            stack_id=uuid.uuid4().hex,
            cluster_id=_cluster_id(),
            access_key_id=secrets.token_hex(10).upper(),
            secret_access_key=secrets.token_urlsafe(30),
            # Redshift wants upper case, lower case and a digit (AWS docs: CREATE USER).
            warehouse_password="Pw1" + secrets.token_hex(16),
        )


def _cluster_id() -> str:
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):  # would be read as an option on a command line
            return text


class StateFile:
    """The one owner of ``stack.json`` in this process. Safe to use from several threads.

    Across processes the stack's lock file guards it; a reader without the lock sees one whole
    version or another.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / STATE_NAME
        self._guard = threading.Lock()
        self._state: StackState | None = None

    def load(self) -> StackState | None:
        """Read the file anew; None where there is none.

        Raises:
            UsageError: the file is of another format version, or is not a stack's.
        """
        with self._guard:
            self._state = self._read()
            return self._state

    @property
    def state(self) -> StackState:
        """The state as last loaded or updated.

        Raises:
            UsageError: there is no stack in this directory.
        """
        if self._state is None:
            raise UsageError(
                f"There is no local stack in {self.path.parent}.",
                hint=f"Start one with: heap-loader local up --dir {self.path.parent}",
            )
        return self._state

    def create(self) -> StackState:
        """Write a fresh state and return it."""
        with self._guard:
            self._state = StackState.fresh()
            self._write(self._state)
            return self._state

    def update(self, change: Callable[[StackState], StackState]) -> StackState:
        """Replace the state by ``change`` of it, on disk before this returns."""
        with self._guard:
            new = change(self.state)
            if new != self._state:
                self._write(new)
                self._state = new
            return new

    def set_process(self, part: str, record: ProcessRecord | None) -> None:
        """Record ``part``'s process, or forget it."""

        def change(state: StackState) -> StackState:
            rest = {name: old for name, old in state.processes.items() if name != part}
            return dataclasses.replace(
                state, processes=rest if record is None else {**rest, part: record}
            )

        self.update(change)

    def set_ports(self, ports: Mapping[str, int]) -> None:
        """Remember ``ports``, keeping those of other names."""
        self.update(lambda state: dataclasses.replace(state, ports={**state.ports, **ports}))

    def set_kafka(self, kafka: Mapping[str, str]) -> None:
        """Remember the Kafka provider."""
        self.update(lambda state: dataclasses.replace(state, kafka=dict(kafka)))

    def forget(self) -> None:
        """Remove the file."""
        with self._guard:
            self.path.unlink(missing_ok=True)
            self._state = None

    def _read(self) -> StackState | None:
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be read: {error.strerror}.",
                hint="Use the account that started the stack, or another --dir.",
            ) from None
        hint = f"Move {self.path.parent} away, or choose another --dir."
        try:
            document: dict[str, Any] = json.loads(text)
            version = document.pop("format")
        except (ValueError, KeyError, AttributeError, TypeError):
            raise UsageError(f"{self.path} is not a stack's state file.", hint=hint) from None
        if version != FORMAT:
            relation = "a newer" if isinstance(version, int) and version > FORMAT else "an older"
            raise UsageError(
                f"The stack in {self.path.parent} was made by {relation} release: "
                f"its format is {version!r}, this release reads {FORMAT}.",
                hint=f"Stop it with the release that started it, then {hint[0].lower()}{hint[1:]}",
            )
        try:
            processes = {k: ProcessRecord(**v) for k, v in document.pop("processes").items()}
            return StackState(**document, processes=processes)
        except (TypeError, KeyError, AttributeError):
            raise UsageError(f"{self.path} is not a stack's state file.", hint=hint) from None

    def _write(self, state: StackState) -> None:
        document = {"format": FORMAT, **dataclasses.asdict(state)}
        write_atomically(self.path, json.dumps(document, indent=2) + "\n", mode=0o600)


def write_atomically(path: Path, text: str, *, mode: int) -> None:
    """Replace ``path`` by ``text`` so that a crash leaves the old or the new text, never a part.

    Args:
        path: the file; its directory must exist.
        text: the whole new content.
        mode: permission bits, set before the first byte is written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
