"""Runs one :class:`~loader.local.parts.Program` as a process that outlives the command."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import time
from pathlib import Path

import psutil

from loader.errors import Unreachable
from loader.local import ports, processes
from loader.local.parts import NotReady, PartStatus, Place, Program, Progress
from loader.local.processes import Launch
from loader.local.state import ProcessRecord, StackState, StateFile, write_atomically

_ATTEMPTS = 4
"""Starts before giving up, where each was lost to a port that somebody else took meanwhile."""

_POLL = 0.05
"""Seconds between two looks at a starting server; its death is seen at once."""


class ProgramPart:
    """A process of ours: recorded before and after its start, recognised later, ended surely.

    Args:
        program: what to run.
        directory: the stack's directory.
        states: the stack's memory.
        ready_within: seconds for a start until the server answers.
    """

    def __init__(
        self, program: Program, directory: Path, states: StateFile, *, ready_within: float
    ) -> None:
        self.name = program.name
        self._program = program
        self._home = directory / "data" / program.name
        self._log = directory / "logs" / f"{program.name}.log"
        self._states = states
        self._ready_within = ready_within

    @property
    def _mark(self) -> str:
        return f"{self._states.state.stack_id}:{self.name}"

    @property
    def _place(self) -> Place:
        return Place(home=self._home, log=self._log, state=self._states.state)

    def up(self, progress: Progress) -> None:
        """Start it unless it runs with the present settings and answers.

        Raises:
            Unreachable: it did not become ready; the hint holds the end of its log.
        """
        process = self._current()
        if process is not None:
            progress(self.name, "waiting", f"pid {process.pid} is running")
            if self._answers(process):
                progress(self.name, "kept", self._program.address(self._place))
                return
            progress(self.name, "stopping", f"pid {process.pid} does not answer")
        self._clear(forget=False)
        for attempt in range(1, _ATTEMPTS + 1):
            self._allot_ports()
            process = self._start(progress)
            try:
                self._await(process, self._ready_within)
                self._program.settle(self._place)
            except NotReady as reason:
                lost_port = not _is_running(process) and not self._ports_free()
                self._clear(forget=False)
                if lost_port and attempt < _ATTEMPTS:
                    progress(self.name, "starting", "a port was taken; trying another")
                    continue
                raise Unreachable(
                    f"The local stack's {self.name} did not become ready: {reason}",
                    hint=processes.tail(self._log),
                ) from None
            progress(self.name, "ready", self._program.address(self._place))
            return

    def down(self, progress: Progress, *, forget: bool) -> None:
        """End every process of this part, recorded or not; then forget the record."""
        found = self._ours()
        if found:
            progress(self.name, "stopping", ", ".join(f"pid {process.pid}" for process in found))
        self._clear(forget=forget, found=found)
        progress(self.name, "stopped", "")

    def status(self) -> PartStatus:
        """Look at the process and ask the server."""
        record = self._states.state.processes.get(self.name)
        process = processes.recognise(record, self._mark)
        state, detail = "absent" if record is None else "dead", ""
        if process is not None:
            try:
                self._program.check(self._place)
                state = "running"
            except NotReady as reason:
                state, detail = "unhealthy", str(reason)
        known = all(name in self._place.ports for name in self._program.port_names)
        return PartStatus(
            name=self.name,
            state=state,
            pid=process.pid if process else None,
            address=self._program.address(self._place) if known else "",
            uptime=_uptime(process) if process else None,
            log=self._log,
            detail=detail,
        )

    def _current(self) -> psutil.Process | None:
        """Return our process if it was started with what would be used now."""
        record = self._states.state.processes.get(self.name)
        process = processes.recognise(record, self._mark)
        if process is None or record is None:
            return None
        known = all(name in self._place.ports for name in self._program.port_names)
        same = known and record.fingerprint == _fingerprint(self._program.launch(self._place))
        return process if same else None

    def _answers(self, process: psutil.Process) -> bool:
        # It may be ending (a server may serve its last clients for a while), or starting.
        try:
            self._await(process, min(self._ready_within, 30.0))
            self._program.settle(self._place)
        except NotReady:
            return False
        return True

    def _await(self, process: psutil.Process, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                self._program.check(self._place)
            except NotReady as reason:
                if time.monotonic() > deadline:
                    raise NotReady(f"{reason} (waited {seconds:.0f} s)") from None
            else:
                if _is_running(process):
                    return
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(timeout=_POLL)
                raise NotReady("its process ended.")

    def _start(self, progress: Progress) -> psutil.Process:
        self._home.mkdir(parents=True, exist_ok=True)
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._program.prepare(self._place, self._mark, progress)
        launch = self._program.launch(self._place)
        for path, text in launch.files.items():
            write_atomically(path, text, mode=0o600)
        fingerprint = _fingerprint(launch)
        progress(self.name, "starting", self._program.address(self._place))
        # The intent first: should this command die now, the mark finds what it started.
        self._states.set_process(self.name, ProcessRecord(0, 0.0, fingerprint))
        process = processes.spawn(launch, mark=self._mark, log=self._log)
        record = ProcessRecord(process.pid, process.create_time(), fingerprint)
        self._states.set_process(self.name, record)
        return process

    def _ours(self) -> list[psutil.Process]:
        recorded = processes.recognise(self._states.state.processes.get(self.name), self._mark)
        found = {process.pid: process for process in processes.find_marked(self._mark)}
        if recorded is not None:
            found[recorded.pid] = recorded
        return list(found.values())

    def _clear(self, *, forget: bool, found: list[psutil.Process] | None = None) -> None:
        processes.end(
            self._ours() if found is None else found,
            grace=0 if forget else self._program.grace,
            first=self._program.stop_signal,
        )
        self._program.sweep(self._place)
        self._states.set_process(self.name, None)

    def _allot_ports(self) -> None:
        mine = self._program.port_names

        def change(state: StackState) -> StackState:
            remembered = {name: state.ports[name] for name in mine if name in state.ports}
            chosen = ports.choose(mine, remembered=remembered, avoid=state.ports.values())
            return dataclasses.replace(state, ports={**state.ports, **chosen})

        self._states.update(change)  # one change, so that two parts cannot choose the same

    def _ports_free(self) -> bool:
        return all(ports.is_free(self._place.ports[name]) for name in self._program.port_names)


def _fingerprint(launch: Launch) -> str:
    told = {
        "argv": launch.argv,
        "env": dict(launch.env),
        "files": {str(path): text for path, text in launch.files.items()},
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _uptime(process: psutil.Process) -> float | None:
    try:
        return max(0.0, time.time() - process.create_time())
    except psutil.NoSuchProcess:
        return None
