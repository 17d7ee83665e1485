"""Apache Kafka's own jars, from Maven Central, kept once per machine.

`jgo` resolves and downloads in pure Python. It writes files in place, so an interrupted download
would leave half a jar; therefore it works in a directory of its own, which is renamed when whole.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import ssl
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from loader.errors import Unreachable

KAFKA_VERSION = "4.3.1"

# The broker's closure has SLF4J's interface but no output for it: without the second coordinate a
# broker that fails says nothing. 1.7.36 is the SLF4J line that this Kafka release is built with.
_COORDINATES = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"


def cache_directory() -> Path:
    """Return where jars are kept: ``$XDG_CACHE_HOME/heap-loader``, else ``~/.cache/heap-loader``.

    Where there is no home that can be written (a container with a bare account), a directory of
    this account under the system's temporary directory.
    """
    home = os.environ.get("HOME", "")
    base = os.environ.get("XDG_CACHE_HOME") or (f"{home}/.cache" if home.startswith("/") else "")
    if base:
        wanted = Path(base) / "heap-loader"
        with contextlib.suppress(OSError):
            wanted.mkdir(parents=True, exist_ok=True)
            if os.access(wanted, os.W_OK):
                return wanted
    spare = Path(tempfile.gettempdir()) / f"heap-loader-{os.getuid()}"
    spare.mkdir(mode=0o700, exist_ok=True)
    if spare.stat().st_uid != os.getuid():
        raise Unreachable(f"{spare} belongs to another account.", hint="Set XDG_CACHE_HOME.")
    return spare


def kafka_jars(say: Callable[[str], None]) -> list[Path]:
    """Return the broker's class path, downloading it (45 MB) where it is not yet cached.

    Several processes may call this at once: one downloads, the others wait for it.

    Args:
        say: told what is going on while this takes time.

    Raises:
        Unreachable: Maven Central could not be reached, or does not have the release.
    """
    cache = cache_directory()
    wanted = cache / f"kafka-{KAFKA_VERSION}"
    if wanted.is_dir():
        return sorted(wanted.glob("*.jar"))
    with _locked(cache / f"kafka-{KAFKA_VERSION}.lock", say):
        if not wanted.is_dir():
            say(f"downloading Kafka {KAFKA_VERSION} (45 MB, once)")
            with tempfile.TemporaryDirectory(dir=cache, prefix="incomplete-") as scratch:
                _download(Path(scratch), say)
                (Path(scratch) / "jars").rename(wanted)
    return sorted(wanted.glob("*.jar"))


def _download(scratch: Path, say: Callable[[str], None]) -> None:
    # Imported here: only the first start needs it, and it takes a while to load.
    from jgo.config import GlobalSettings  # noqa: PLC0415
    from jgo.env import EnvironmentBuilder, LinkStrategy  # noqa: PLC0415
    from jgo.maven import MavenContext, PythonResolver  # noqa: PLC0415

    fetched = 0

    @contextlib.contextmanager
    def count(name: str, _size: int) -> Iterator[Callable[[int], None]]:
        nonlocal fetched
        fetched += 1
        say(f"downloading {name} ({fetched})")
        yield lambda _bytes: None

    try:
        settings = GlobalSettings.load()
        context = MavenContext(
            resolver=PythonResolver(progress_callback=count),
            repo_cache=scratch / "m2",
            remote_repos=dict(settings.repositories) or None,
            timeout=30,
        )
        builder = EnvironmentBuilder(
            context=context, cache_dir=scratch / "env", link_strategy=LinkStrategy.HARD
        )
        with _machine_certificates():
            found = [Path(jar) for jar in builder.from_endpoint(_COORDINATES).all_jars]
    except (OSError, RuntimeError, ValueError) as error:
        raise Unreachable(
            f"Kafka {KAFKA_VERSION} could not be downloaded from Maven: {error}",
            hint="Check the network, or use your own broker: heap-loader local up --kafka HOST:PORT.",
        ) from error
    jars = scratch / "jars"
    jars.mkdir()
    for jar in found:
        shutil.copy2(jar, jars / jar.name)


@contextlib.contextmanager
def _machine_certificates() -> Iterator[None]:
    """Let the download trust what the machine trusts: company networks have certificates of their own."""
    known = ssl.get_default_verify_paths()
    found = known.cafile or known.capath
    if found is None or {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"} & os.environ.keys():
        yield
        return
    os.environ["REQUESTS_CA_BUNDLE"] = found
    try:
        yield
    finally:
        del os.environ["REQUESTS_CA_BUNDLE"]


@contextlib.contextmanager
def _locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another command that downloads Kafka")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
