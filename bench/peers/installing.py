"""Environments of the peers: built once per machine, kept beside the loader's other downloads.

An environment's folder carries a digest of everything it is made from, so a changed version is a new
folder, and a build that was interrupted is thrown away: only a finished one has the marker.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.measure import python
from bench.peers.peer import FILES, NotMeasurable, Say
from loader.local.kafka_jars import cache_directory

_MARKER = "complete"
_SECONDS = 3600


def environment(name: str, parts: Sequence[Path], build: Callable[[Path], None]) -> Path:
    """The folder of an environment, built where it is not there yet.

    Args:
        name: begins the folder's name.
        parts: the files that it is made from.
        build: fills the folder it is given.

    Raises:
        NotMeasurable: ``build`` did.
    """
    digest = hashlib.sha256(b"".join(part.read_bytes() for part in parts)).hexdigest()[:12]
    folder = cache_directory() / "bench" / f"{name}-{digest}"
    if (folder / _MARKER).exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    build(folder)
    (folder / _MARKER).touch()
    return folder


def venv(name: str, say: Say, files: Path = FILES) -> Path:
    """A virtual environment with ``NAME.requirements.txt`` of ``files``; returns its interpreter."""
    requirements = files / f"{name}.requirements.txt"

    def build(folder: Path) -> None:
        say(f"installing {name} (Python, once)")
        uv = [python(), "-m", "uv"]
        command([*uv, "venv", "--python", "3.11", str(folder / "venv")])
        at = str(folder / "venv" / "bin" / "python")
        command([*uv, "pip", "install", "--python", at, "--requirement", str(requirements)])

    return environment(f"{name}-python", [requirements], build) / "venv" / "bin" / "python"


def jars(name: str, say: Say) -> Path:
    """A folder with the jars of ``files/NAME.pom.xml`` and of what they depend on."""
    pom = FILES / f"{name}.pom.xml"

    def build(folder: Path) -> None:
        say(f"downloading {name}'s jars (once)")
        maven = tool("mvn", "Maven")
        command(
            [
                maven,
                "--batch-mode",
                "--no-transfer-progress",
                f"-Dmaven.repo.local={folder.parent / 'maven'}",
                "--file",
                str(pom),
                "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies",
                "-DincludeScope=runtime",
                f"-DoutputDirectory={folder / 'jars'}",
            ],
            env={"JAVA_HOME": str(java_home())},
        )

    return environment(f"{name}-jars", [pom], build) / "jars"


def java_classes(name: str, libraries: Sequence[Path]) -> Path:
    """A jar of our own Java in ``files/NAME``, compiled against the jars in ``libraries``."""
    source = FILES / name
    parts = sorted(path for path in source.rglob("*") if path.is_file())

    def build(folder: Path) -> None:
        tools = java_home() / "bin"
        classes = folder / "classes"
        shutil.copytree(source, classes, ignore=shutil.ignore_patterns("*.java"))
        class_path = ":".join(f"{library}/*" for library in libraries)
        compiler = [str(tools / "javac"), "--release", "17", "-proc:none", "-cp", class_path]
        command([*compiler, "-d", str(classes), *(str(p) for p in parts if p.suffix == ".java")])
        jar = folder / f"{name}-bench.jar"
        command([str(tools / "jar"), "--create", "--file", str(jar), "-C", str(classes), "."])

    return environment(f"{name}-classes", parts, build) / f"{name}-bench.jar"


def go_program(name: str, say: Say) -> Path:
    """The program that the Go module in ``files/NAME`` makes."""
    source = FILES / name
    parts = [source / "go.mod", source / "go.sum", source / "main.go"]

    def build(folder: Path) -> None:
        go = tool("go", "Go")
        say(f"building {name} (Go, once; it takes minutes)")
        for part in parts:
            shutil.copy(part, folder / part.name)
        command([go, "build", "-ldflags=-s -w", "-o", str(folder / name), "."], cwd=folder)

    return environment(f"{name}-go", parts, build) / name


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def java_home() -> Path:
    """A JDK 17 to 21: what all the JVM peers run on (Hadoop's libraries do not run on 24 and later).

    Raises:
        NotMeasurable: there is none.
    """
    found = shutil.which("java")
    candidates = [
        *([Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []),
        *([Path(found).resolve().parent.parent] if found else []),
        *sorted(Path("/usr/lib/jvm").glob("*")),
    ]
    for home in candidates:
        if (home / "bin" / "javac").exists() and 17 <= _java_version(home) <= 21:
            return home
    raise NotMeasurable("it needs a JDK of version 17 to 21 (JAVA_HOME, or java on the PATH).")


def _java_version(home: Path) -> int:
    told = subprocess.run(
        [home / "bin" / "java", "-version"], capture_output=True, text=True, check=False
    )
    match = re.search(r'version "(\d+)', told.stderr)
    return int(match.group(1)) if match else 0


def tool(name: str, title: str) -> str:
    """The path of a program.

    Raises:
        NotMeasurable: it is not installed.
    """
    found = shutil.which(name)
    if found is None:
        raise NotMeasurable(f"it needs {title} ({name} is not on the PATH).")
    return found


def command(
    argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> None:
    """Run a step of an installation.

    Raises:
        NotMeasurable: it failed; the message holds the end of what it said.
    """
    try:
        done = subprocess.run(
            argv,
            check=False,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise NotMeasurable(f"its installation was stuck: {argv[0]}") from None
    if done.returncode:
        said = (done.stdout + done.stderr).splitlines()[-15:]
        raise NotMeasurable(
            f"its installation failed: {argv[0]} ended with {done.returncode}:\n" + "\n".join(said)
        )
