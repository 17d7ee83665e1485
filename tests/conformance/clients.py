"""The clients that the suite speaks through: Amazon's driver, psycopg, and psql.

The first two use the extended protocol, psql the simple one. psql only says whether a statement held,
so rows are compared by the others.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass, field
from typing import Any, Protocol

import psycopg
import redshift_connector
from redshift_connector.error import Error

from tests.support.redshift_standin import postgres_programs

CLIENTS = ("redshift_connector", "psycopg", "psql")
Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the statements go."""

    host: str
    port: int
    database: str
    user: str
    password: str
    ssl: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: an error's code, message and detail, or rows (none where unknown)."""

    code: str = ""
    message: str = ""
    detail: str = ""
    rows: tuple[Row, ...] | None = None
    notices: tuple[str, ...] = field(default_factory=tuple)


class Client(Protocol):
    """One session."""

    def send(self, sql: str) -> Answer:
        """Run one statement, outside any transaction that the client would open by itself."""

    def close(self) -> None:
        """End the session."""


class ByDriver:
    """``redshift_connector``, as the loader uses it."""

    def __init__(self, target: Target) -> None:
        self._connection: Any = redshift_connector.connect(
            host=target.host,
            port=target.port,
            database=target.database,
            user=target.user,
            password=target.password,
            ssl=target.ssl,
            max_prepared_statements=0,
        )
        self._connection.autocommit = True

    def send(self, sql: str) -> Answer:
        """See :class:`Client`."""
        self._connection.notices.clear()
        cursor = self._connection.cursor()
        try:
            cursor.execute(sql)
            rows = tuple(tuple(row) for row in cursor.fetchall()) if cursor.description else ()
        except Error as error:
            fields = error.args[0]
            if not isinstance(fields, dict):
                return Answer("08006", str(error))
            return Answer(fields["C"], fields["M"], fields.get("D", ""))
        except OSError as error:
            return Answer("08006", str(error))
        notices = tuple(notice[b"M"].decode() for notice in self._connection.notices)
        return Answer(rows=rows, notices=notices)

    def close(self) -> None:
        """See :class:`Client`."""
        with contextlib.suppress(Error, OSError):
            self._connection.close()


class ByPsycopg:
    """psycopg with the extended protocol for every statement."""

    def __init__(self, target: Target) -> None:
        self._connection = psycopg.connect(
            host=target.host,
            port=target.port,
            dbname=target.database,
            user=target.user,
            password=target.password,
            sslmode="require" if target.ssl else "disable",
            autocommit=True,
        )
        self._notices: list[str] = []
        self._connection.add_notice_handler(
            lambda diagnostic: self._notices.append(diagnostic.message_primary or "")
        )

    def send(self, sql: str) -> Answer:
        """See :class:`Client`."""
        self._notices.clear()
        try:
            cursor = self._connection.execute(sql.encode(), prepare=True)
            rows = tuple(cursor.fetchall()) if cursor.description else ()
        except psycopg.Error as error:
            diagnostic = error.diag
            detail = diagnostic.message_detail or ""
            return Answer(
                error.sqlstate or "08006", diagnostic.message_primary or str(error), detail
            )
        return Answer(rows=rows, notices=tuple(self._notices))

    def close(self) -> None:
        """See :class:`Client`."""
        self._connection.close()


class ByPsql:
    """One psql that is fed on its standard input; it sends each statement as a simple query."""

    _MARK = "@@answered@@"

    def __init__(self, target: Target) -> None:
        self._process = subprocess.Popen(
            [
                postgres_programs() / "psql", "-X", "-q", "-A", "-t", "-h", target.host,
                "-p", str(target.port), "-U", target.user, "-d", target.database,
            ],
            env={**os.environ, "PGPASSWORD": target.password, "PGCLIENTENCODING": "UTF8",
                 "PGSSLMODE": "require" if target.ssl else "disable"},
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            encoding="utf-8",
        )  # fmt: skip

    def send(self, sql: str) -> Answer:
        """See :class:`Client`."""
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        mark = f"\\warn {self._MARK} :SQLSTATE :LAST_ERROR_MESSAGE\n"
        self._process.stdin.write(f"{sql}\n;\n{mark}")
        self._process.stdin.flush()
        notices: list[str] = []
        for line in self._process.stderr:
            if line.startswith(self._MARK):
                _, code, *message = line.rstrip("\n").split(" ", 2)
                if code == "00000":
                    return Answer(notices=tuple(notices))
                return Answer(code, message[0] if message else "")
            severity, _, text = line.strip().partition(":  ")
            if severity in ("NOTICE", "WARNING", "INFO"):
                notices.append(text)
        return Answer("08006", "psql has ended")

    def close(self) -> None:
        """See :class:`Client`."""
        self._process.communicate()


def open_client(name: str, target: Target) -> Client:
    """Open a session through one of :data:`CLIENTS`."""
    kinds: dict[str, type[ByDriver | ByPsycopg | ByPsql]] = {
        "redshift_connector": ByDriver,
        "psycopg": ByPsycopg,
        "psql": ByPsql,
    }
    return kinds[name](target)
