"""The way through a bastion, by a real OpenSSH server: who it may be, and what a cut does."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import psutil
import pytest
import redshift_connector

from loader import config
from loader.compactor.executors import Here
from loader.compactor.sync import Parts, run_sync
from loader.errors import LoaderError, Unreachable, UsageError
from loader.lake.s3 import S3Store
from loader.local.environment import Environment
from loader.local.environment import settings as stack_settings
from loader.local.redshift import StandInThread
from loader.warehouse import login
from loader.warehouse.connection import RedshiftSession, connect
from loader.warehouse.errors import ConnectionLost, Refused
from loader.warehouse.sql import Begin, Commit, Statement, Table, TimeSpan
from tests.integration.warehouse.conftest import NAME, Warehouse
from tests.support.lake_writer import LakeWriter
from tests.support.sshd import Sshd

Through = Callable[..., dict[str, Any]]

ROW = {"event_id": 1, "user_id": 1, "session_id": 1, "time": 10**15, "type": "pageview"}
COUNT = TimeSpan(Table("pg_class", "pg_catalog"), "relname")


@pytest.fixture
def tunnelled(
    warehouse: Warehouse, through: Through, tls_stand_in: StandInThread, trusted: Path
) -> Callable[..., config.Warehouse]:
    """Settings that lead through the bastion to the stand-in with TLS, with changes to the tunnel."""

    def make(**changes: Any) -> config.Warehouse:
        return warehouse(
            host=NAME,
            port=tls_stand_in.port,
            sslmode="verify-full",
            ssh_tunnel=through(**changes),
        )

    return make


def refusal(settings: config.Warehouse) -> LoaderError:
    """What one try to log in says."""
    with pytest.raises(LoaderError) as raised:
        login.log_in(settings)
    assert tunnel_threads() == []
    return raised.value


def tunnel_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ssh-tunnel"]


def test_the_certificate_is_checked_against_the_warehouses_own_name(
    tunnelled: Callable[..., config.Warehouse], bastion: Sshd
) -> None:
    settings = tunnelled()
    session = connect(settings)
    assert session._connection._usock.version() in {"TLSv1.2", "TLSv1.3"}
    assert session.execute(COUNT).rows[0][0] > 0
    session.close()
    found = refusal(settings.model_copy(update={"host": "127.0.0.1"}))
    assert "certificate is not for the name 127.0.0.1" in found.message
    assert f"{bastion.username}@127.0.0.1:{bastion.port}" in found.message
    assert tunnel_threads() == []


def test_nobody_else_can_use_it(
    tunnelled: Callable[..., config.Warehouse], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    opened = redshift_connector.connect

    def look(**arguments: Any) -> Any:
        path = Path(arguments["unix_sock"])
        seen.append(path)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        return opened(**arguments)

    monkeypatch.setattr(redshift_connector, "connect", look)
    session = connect(tunnelled())
    assert len(seen) == 1
    # Once the driver is connected, the way in is gone, and no port was ever open.
    assert not seen[0].parent.exists()
    listening = [c for c in psutil.Process().net_connections("tcp") if c.status == "LISTEN"]
    assert not [c for c in listening if c.laddr.port == 5439]
    assert session.execute(COUNT).rows[0][0] > 0
    session.close()
    assert tunnel_threads() == []


@pytest.mark.parametrize("content", [None, "", "# nothing\n", "other.example ssh-ed25519 AAAA\n"])
def test_an_unknown_host_key_is_refused_with_the_line_that_would_trust_it(
    tunnelled: Callable[..., config.Warehouse], bastion: Sshd, tmp_path: Path, content: str | None
) -> None:
    known = tmp_path / "known_hosts"
    if content is not None:
        known.write_text(content)
    found = refusal(tunnelled(known_hosts=str(known)))
    assert isinstance(found, Refused)
    assert found.exit_code == 4
    assert f"its host key is not in {known}" in found.message
    assert bastion.fingerprint in found.message
    line = found.hint.partition("add this line to the file: ")[2]
    known.write_text(line + "\n")
    connect(tunnelled(known_hosts=str(known))).close()


def test_a_changed_host_key_is_refused_loudly(
    tunnelled: Callable[..., config.Warehouse], bastion: Sshd, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    other = asyncssh.generate_private_key("ssh-ed25519")
    public = other.export_public_key().decode().split()
    known.write_text(f"[127.0.0.1]:{bastion.port} {public[0]} {public[1]}\n")
    found = refusal(tunnelled(known_hosts=str(known)))
    assert isinstance(found, Refused)
    assert "THE HOST KEY HAS CHANGED" in found.message
    assert bastion.fingerprint in found.message
    assert other.get_fingerprint() in found.message
    # What it tells to do does it.
    command = found.hint.partition("renewed: ")[2]
    subprocess.run(["bash", "-c", command], check=True, capture_output=True)
    assert known.read_text() == ""


def test_a_revoked_host_key_is_refused(
    tunnelled: Callable[..., config.Warehouse], bastion: Sshd, tmp_path: Path
) -> None:
    known = tmp_path / "known_hosts"
    known.write_text(f"@revoked {bastion.known_hosts.read_text()}")
    assert "marked as revoked" in refusal(tunnelled(known_hosts=str(known))).message


def test_a_key_that_the_bastion_does_not_know_is_refused(
    tunnelled: Callable[..., config.Warehouse], tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger"
    stranger.touch(mode=0o600)
    stranger.write_bytes(asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    found = refusal(tunnelled(private_key_file=str(stranger)))
    assert isinstance(found, Refused)
    assert "does not let" in found.message
    assert "authorized_keys" in found.hint


@pytest.mark.filterwarnings("ignore:.*bcrypt.kdf")
def test_an_encrypted_key_wants_its_passphrase(
    tunnelled: Callable[..., config.Warehouse], bastion: Sshd, tmp_path: Path
) -> None:
    locked = tmp_path / "locked"
    locked.touch(mode=0o600)
    key = asyncssh.import_private_key(bastion.private_key.read_bytes())
    locked.write_bytes(key.export_private_key(passphrase="open sesame", rounds=1))
    connect(tunnelled(private_key_file=str(locked), passphrase="open sesame")).close()
    wrong = refusal(tunnelled(private_key_file=str(locked), passphrase="hunter2"))
    assert isinstance(wrong, UsageError)
    assert "passphrase does not open it" in wrong.message
    assert "hunter2" not in str(wrong)
    assert "is encrypted" in refusal(tunnelled(private_key_file=str(locked))).message


def test_a_key_file_that_is_none(
    tunnelled: Callable[..., config.Warehouse], bastion: Sshd, tmp_path: Path
) -> None:
    path = tmp_path / "key"
    assert "No such file" in refusal(tunnelled(private_key_file=str(path))).message
    path.touch(mode=0o600)
    path.write_text("no key")
    assert "holds no private key" in refusal(tunnelled(private_key_file=str(path))).message
    path.write_bytes(bastion.private_key.read_bytes())
    path.chmod(0o604)
    found = refusal(tunnelled(private_key_file=str(path)))
    assert "can be read by every user" in found.message
    assert f"chmod 600 {path}" in found.hint


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A running ssh-agent without keys."""
    address = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", address], stdout=subprocess.DEVNULL)
    pause = threading.Event()
    while not address.exists():
        assert process.poll() is None
        pause.wait(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(address))
    yield address
    process.terminate()
    process.wait()


def test_an_agents_key_is_used_where_no_file_is_named(
    tunnelled: Callable[..., config.Warehouse], bastion: Sshd, agent: Path
) -> None:
    settings = tunnelled(private_key_file=None)
    assert "holds no key" in refusal(settings).message
    subprocess.run(["ssh-add", "-q", bastion.private_key], check=True)
    connect(settings).close()


def test_without_key_file_and_agent(
    tunnelled: Callable[..., config.Warehouse], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    assert "no ssh-agent runs" in refusal(tunnelled(private_key_file=None)).message
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    assert "does not answer" in refusal(tunnelled(private_key_file=None)).message


def test_a_bastion_that_is_not_there(
    tunnelled: Callable[..., config.Warehouse], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        mute = tunnelled(port=port).model_copy(update={"connect_timeout": 0.3})
        assert isinstance(refusal(mute), Unreachable)
    found = refusal(tunnelled(port=port))
    assert isinstance(found, Unreachable)
    assert f"@127.0.0.1:{port}: " in found.message
    assert "refused" in found.message
    assert tunnel_threads() == []


def test_a_bastion_that_does_not_reach_the_warehouse_says_so(
    tunnelled: Callable[..., config.Warehouse],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    found = refusal(tunnelled().model_copy(update={"port": port}))
    assert isinstance(found, Unreachable)
    assert f"it cannot connect to the warehouse at {NAME}:{port}" in found.message
    assert "refused" in found.message.lower()


def test_a_cut_tunnel_is_a_lost_connection_and_the_next_session_has_a_new_one(
    tunnelled: Callable[..., config.Warehouse], bastion: Sshd
) -> None:
    settings = tunnelled()
    session = connect(settings)
    session.execute(Begin())
    bastion.cut()
    with pytest.raises(ConnectionLost):
        session.execute(COUNT)
    assert tunnel_threads() == []
    again = connect(settings)
    assert again.execute(COUNT).rows[0][0] > 0
    again.close()


def test_a_bastion_that_falls_silent_is_given_up(
    tunnelled: Callable[..., config.Warehouse], bastion: Sshd
) -> None:
    session = connect(tunnelled(keepalive=0.1))
    bastion.freeze()
    with pytest.raises(ConnectionLost):
        session.execute(COUNT)
    bastion.cut()


@pytest.fixture
def settings(
    environment: Environment,
    lake_prefix: str,
    schema_name: str,
    tunnelled: Callable[..., config.Warehouse],
) -> config.Settings:
    """A whole loader whose warehouse is behind the bastion."""
    document = stack_settings(environment, lake_prefix=lake_prefix, schema=schema_name)
    found = config.Settings.model_validate(document)
    way = tunnelled()
    kept = {
        "host": way.host,
        "port": way.port,
        "sslmode": way.sslmode,
        "ssh_tunnel": way.ssh_tunnel,
    }
    return found.model_copy(update={"warehouse": found.warehouse.model_copy(update=kept)})


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_cut_at_a_commit_is_settled_by_the_ledger(
    settings: config.Settings, bastion: Sshd, faults: Path, tmp_path: Path, when: str
) -> None:
    lake = LakeWriter(S3Store.open(settings.lake), settings.topics)
    lake.events([{**ROW, "event_id": n, "user_id": n % 3} for n in range(50)])
    commits = 0
    marker, hold = tmp_path / "marker", tmp_path / "hold"
    if when == "after":
        # The second commit is the table's. It is done, its answer never arrives.
        rule = {"match": "^commit", "when": "after", "action": "pause", "nth": 2}
        hold.touch()
        faults.write_text(json.dumps([{**rule, "marker": str(marker), "until_gone": str(hold)}]))

    def watch(statement: Statement, _shown: str) -> None:
        nonlocal commits
        if not isinstance(statement, Commit):
            return
        commits += 1
        if commits == 2:
            if when == "before":
                bastion.cut()
            else:
                threading.Thread(target=cut_at, args=(marker, bastion)).start()

    opened: list[RedshiftSession] = []

    def open_one() -> RedshiftSession:
        opened.append(connect(settings.warehouse, watch))
        return opened[-1]

    store = S3Store.open(settings.lake)
    try:
        report = run_sync(settings, tables=("users",), parts=Parts(store, open_one, Here(store)))
    finally:
        faults.unlink(missing_ok=True)
    assert len(opened) > 1
    assert [(done.table, done.inserted) for done in report.tables] == [("users", 3)]
    session = connect(settings.warehouse)
    schema = settings.warehouse.db_schema
    assert session.execute(TimeSpan(Table("users", schema), "joindate")).rows[0][0] == 3
    session.close()


def cut_at(marker: Path, bastion: Sshd) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if marker.exists():
            bastion.cut()
            return
        pause.wait(0.01)
