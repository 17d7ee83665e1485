# ruff: noqa: S608 - see sql
"""Statements that only ask: who we are, what stands in a schema, and whether something is allowed.

Those that try a right change nothing: they meet no row, or run in a transaction that is rolled back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from loader.warehouse.sql import Rendered, Table, plain, quote

#: What every table of ours must let us do.
TABLE_RIGHTS: Final = ("SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """The session's user, database and process, and the server's version."""

    def render(self) -> Rendered:
        """See :class:`~loader.warehouse.sql.Statement`."""
        return plain("SELECT current_user, current_database(), pg_backend_pid(), version()")


@dataclass(frozen=True, slots=True)
class IsSuperuser:
    """Whether a user is a superuser."""

    user: str

    def render(self) -> Rendered:
        """See :class:`~loader.warehouse.sql.Statement`."""
        return plain("SELECT usesuper FROM pg_user WHERE usename = %s", self.user)


@dataclass(frozen=True, slots=True)
class SchemaOwner:
    """A schema's owner; no row where there is no such schema."""

    schema: str

    def render(self) -> Rendered:
        """See :class:`~loader.warehouse.sql.Statement`."""
        return plain(
            "SELECT u.usename FROM pg_namespace n LEFT JOIN pg_user u ON u.usesysid = n.nspowner "
            "WHERE n.nspname = %s",
            self.schema,
        )


@dataclass(frozen=True, slots=True)
class MayUseSchema:
    """Whether the session's user has USAGE on a schema that exists. Leader-node only, so alone."""

    schema: str

    def render(self) -> Rendered:
        """See :class:`~loader.warehouse.sql.Statement`."""
        return plain("SELECT has_schema_privilege(%s, 'usage')", self.schema)


@dataclass(frozen=True, slots=True)
class TryTable:
    """Uses one right on a table without touching a row. ``column`` is any column of the table."""

    right: str
    table: Table
    column: str

    def render(self) -> Rendered:
        """See :class:`~loader.warehouse.sql.Statement`."""
        table, column = self.table.sql, quote(self.column)
        texts = {
            "SELECT": f"SELECT {column} FROM {table} WHERE FALSE",
            "INSERT": f"INSERT INTO {table} ({column}) SELECT NULL WHERE FALSE",
            "UPDATE": f"UPDATE {table} SET {column} = NULL WHERE FALSE",
            "DELETE": f"DELETE FROM {table} WHERE FALSE",
        }
        return plain(texts[self.right])


@dataclass(frozen=True, slots=True)
class TryRelation:
    """Reads one row of a system view, or none."""

    relation: str

    def render(self) -> Rendered:
        """See :class:`~loader.warehouse.sql.Statement`."""
        return plain(f"SELECT 1 FROM {quote(self.relation)} LIMIT 1")


@dataclass(frozen=True, slots=True)
class CreateSchemaNow:
    """Makes a schema, and fails where there is one."""

    schema: str

    def render(self) -> Rendered:
        """See :class:`~loader.warehouse.sql.Statement`."""
        return plain(f"CREATE SCHEMA {quote(self.schema)}")


@dataclass(frozen=True, slots=True)
class RemoteHost:
    """Where the cluster saw a session come from; for superusers.

    Attributes:
        view: ``sys_connection_log`` or ``stl_connection_log``, which name their columns differently.
        process: the session's.
    """

    view: str
    process: int

    def render(self) -> Rendered:
        """See :class:`~loader.warehouse.sql.Statement`."""
        host, process = {
            "sys_connection_log": ("remote_host", "session_id"),
            "stl_connection_log": ("remotehost", "pid"),
        }[self.view]
        return plain(f"SELECT {host} FROM {quote(self.view)} WHERE {process} = {int(self.process)}")


def remote_host_question(process: int) -> str:
    """The same question for a person to ask, as a superuser."""
    return RemoteHost("stl_connection_log", process).render().shown + ";"
