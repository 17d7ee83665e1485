"""SQL for a person to run: what gives the loader's user its rights, and what lets analysts read.

Texts with a semicolon, in Redshift's own words, every name quoted by the one function. Nothing here is
ever sent by the loader.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from loader.warehouse.sql import Table, literal, quote


@dataclass(frozen=True, slots=True)
class Grantee:
    """Who gets a right: a user, ``GROUP g`` or ``ROLE r``."""

    name: str
    kind: str = "user"

    @classmethod
    def parse(cls, text: str) -> Grantee:
        """``analysts``, ``group analysts``, ``role analysts``; any letter case.

        Raises:
            ValueError: it names nobody.
        """
        kind, _, name = text.strip().partition(" ")
        if kind.lower() in {"user", "group", "role"} and name.strip():
            return cls(name.strip(), kind.lower())
        grantee = cls(text.strip())
        quote(grantee.name)
        return grantee

    @property
    def sql(self) -> str:
        """As it stands behind TO."""
        word = {"user": "", "group": "GROUP ", "role": "ROLE "}[self.kind]
        return word + quote(self.name)


def create_user(user: str) -> str:
    """Make the loader's user; the password is for whoever runs it to fill in."""
    return f"CREATE USER {quote(user)} PASSWORD '<password>';"


def make_superuser(user: str) -> str:
    """Redshift's word for superuser is CREATEUSER."""
    return f"ALTER USER {quote(user)} CREATEUSER;"


def create_on_database(database: str, user: str) -> str:
    """May make schemas."""
    return f"GRANT CREATE ON DATABASE {quote(database)} TO {quote(user)};"


def temp_on_database(database: str, user: str) -> str:
    """May make temporary tables: every load needs one."""
    return f"GRANT TEMP ON DATABASE {quote(database)} TO {quote(user)};"


def create_schema_for(schema: str, user: str) -> str:
    """Make the schema for the loader instead."""
    return f"CREATE SCHEMA {quote(schema)} AUTHORIZATION {quote(user)};"


def on_schema(right: str, schema: str, user: str) -> str:
    """USAGE or CREATE."""
    return f"GRANT {right} ON SCHEMA {quote(schema)} TO {quote(user)};"


def on_table(rights: Iterable[str], table: Table, user: str) -> str:
    """Rights on one table."""
    return f"GRANT {', '.join(rights)} ON {table.sql} TO {quote(user)};"


def own_table(table: Table, user: str) -> str:
    """Let the loader own a table: only an owner may add columns, VACUUM and ANALYZE."""
    return f"ALTER TABLE {table.sql} OWNER TO {quote(user)};"


def own_schema(schema: str, user: str) -> str:
    """Let the loader own the schema."""
    return f"ALTER SCHEMA {quote(schema)} OWNER TO {quote(user)};"


def on_system_view(view: str, user: str) -> str:
    """May read one system view."""
    return f"GRANT SELECT ON {view} TO {quote(user)};"


def monitor_role(user: str) -> str:
    """May read the system tables that are for superusers otherwise (AWS docs: system-defined roles)."""
    return f"GRANT ROLE sys:monitor TO {quote(user)};"


def loader_rights(database: str, schema: str, user: str) -> tuple[str, ...]:
    """All that a plain user needs, before the schema is there."""
    return (
        create_user(user),
        create_on_database(database, user),
        temp_on_database(database, user),
        on_system_view("svv_table_info", user),
        monitor_role(user),
        f"-- or instead of CREATE on the database: {create_schema_for(schema, user)}",
    )


def reader_rights(schema: str, owner: str, grantee: Grantee, right: str) -> tuple[str, ...]:
    """What lets somebody read (``SELECT``) or do everything (``ALL``), now and with tables to come.

    Default privileges are of the user that makes the tables: the loader's.
    """
    to, on, by = grantee.sql, quote(schema), quote(owner)
    default = (
        f"ALTER DEFAULT PRIVILEGES FOR USER {by} IN SCHEMA {on} GRANT {right} ON TABLES TO {to};"
    )
    return (
        f"GRANT {'USAGE' if right == 'SELECT' else 'ALL'} ON SCHEMA {on} TO {to};",
        f"GRANT {right} ON ALL TABLES IN SCHEMA {on} TO {to};",
        default,
    )


def copy_role(role: str, user: str) -> str:
    """What lets a user run COPY with a role, where that is restricted."""
    return f"GRANT ASSUMEROLE ON {literal(role)} TO {quote(user)} FOR COPY;"
