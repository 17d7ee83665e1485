"""Makes a PostgreSQL database answer like Redshift: its encoding, side tables, functions, views.

The database is SQL_ASCII with locale C on purpose: VARCHAR(n) then counts bytes and comparison is
bytewise, as on Redshift. The price: ``length``, ``upper``, ``lower``, ``substring`` see bytes; use
``LEN`` for characters. The proxy refuses statements that are not valid UTF-8.
"""

from __future__ import annotations

import hashlib
from importlib import resources

from loader.local.redshift import letters
from loader.local.redshift.backend import Backend, connection
from loader.local.redshift.config import StandInConfig

MAINTENANCE_DATABASE = "postgres"
# Two stand-ins starting at once must not create the same things at once.
_LOCK = 7_301_199_401


def _scripts() -> list[str]:
    folder = resources.files("loader.local.redshift") / "sql"
    files = sorted((item for item in folder.iterdir()), key=lambda item: item.name)
    texts = [item.read_text(encoding="utf-8") for item in files if item.name.endswith(".sql")]
    return [texts[0], "CREATE SCHEMA IF NOT EXISTS pg_stand_in;", letters.script(), *texts[1:]]


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


async def _create_database(admin: Backend, config: StandInConfig) -> None:
    await admin.execute(f"SELECT pg_advisory_lock({_LOCK})")
    user, database = config.login.user, config.backend.database
    roles = f"SELECT 1 FROM pg_roles WHERE rolname = {_literal(user)}"  # noqa: S608 - quoted
    databases = f"SELECT 1 FROM pg_database WHERE datname = {_literal(database)}"  # noqa: S608
    if not await admin.execute(roles):
        await admin.execute(f"CREATE ROLE {_quote(user)} SUPERUSER LOGIN")
    if not await admin.execute(databases):
        await admin.execute(
            f"CREATE DATABASE {_quote(database)} OWNER {_quote(user)} ENCODING 'SQL_ASCII'"
            " LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        )


async def prepare_backend(config: StandInConfig) -> None:
    """Create what is missing in the backend; nothing happens when all is there.

    Args:
        config: names the backend, its superuser, the database and the login role to create.

    Raises:
        Unreachable: the backend does not answer.
        SqlError: it refused, for example because ``backend.user`` is no superuser.
    """
    address = config.backend
    scripts = _scripts()
    version = hashlib.sha256("\n".join(scripts).encode()).hexdigest()
    async with connection(address.host, address.port, address.user, MAINTENANCE_DATABASE) as admin:
        await _create_database(admin, config)
        async with connection(
            address.host,
            address.port,
            address.user,
            address.database,
            options="-c allow_system_table_mods=on -c client_min_messages=warning",
        ) as inside:
            known = "SELECT obj_description(to_regnamespace('pg_stand_in'), 'pg_namespace')"
            if await inside.execute(known) == [[version]]:
                return
            mark = f"COMMENT ON SCHEMA pg_stand_in IS '{version}'"
            await inside.script("BEGIN;" + "\n".join([*scripts, mark]) + ";COMMIT")
