"""A second connection to the backend, for what must outlive the client's transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from loader.errors import Unreachable
from loader.local.redshift.backend import Backend
from loader.local.redshift.config import StandInConfig
from loader.local.redshift.errors import SqlError

_TOGETHER = 100  # rows of one INSERT


class SideConnection:
    """Load history and long names, written at once and kept whatever the client does.

    Args:
        config: where the backend is.
        event: writes one line to the log.
    """

    def __init__(self, config: StandInConfig, event: Callable[..., None]) -> None:
        self._config = config
        self._event = event
        self._backend: Backend | None = None
        self._lock = asyncio.Lock()

    async def query(self, sql: str) -> list[list[str | None]]:
        """Run one command in a transaction of its own.

        Raises:
            SqlError: the backend refused.
            Unreachable: the backend is gone.
        """
        async with self._lock:
            if self._backend is None:
                address = self._config.backend
                start = {"user": address.user, "database": address.database}
                self._backend = await Backend.connect(address.host, address.port, start)
            try:
                return await self._backend.execute(sql)
            except ConnectionError as error:
                self._backend = None
                raise Unreachable("the backend closed the side connection.") from error

    async def _try(self, sql: str, what: str) -> None:
        try:
            await self.query(sql)
        except (SqlError, Unreachable) as error:
            self._event("side write failed", what=what, error=str(error))

    async def write(self, table: str, row: Mapping[str, object]) -> None:
        """Add one row to a table of the side schema; a failure is logged, not raised."""
        await self.write_all(table, [row])

    async def write_all(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        """Add rows with the same columns; a failure is logged, not raised."""
        for at in range(0, len(rows), _TOGETHER):
            some = rows[at : at + _TOGETHER]
            columns = ", ".join(f'"{column}"' for column in some[0])
            values = ", ".join(
                "(" + ", ".join(_value(value) for value in row.values()) + ")" for row in some
            )
            sql = f"INSERT INTO pg_stand_in.{table} ({columns}) VALUES {values}"  # noqa: S608
            await self._try(sql, table)

    async def keep(self, short: str, long: str) -> None:
        """Remember a long name."""
        sql = (
            "INSERT INTO pg_stand_in.long_name VALUES"  # noqa: S608 - quoted by _value()
            f" ({_value(short)}, {_value(long)})"
        )
        await self._try(sql, "long_name")

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._backend is not None:
            await self._backend.close()
            self._backend = None


def _value(value: object) -> str:
    # This connection has PostgreSQL's standard strings: a backslash is a letter. NUL is none.
    return "'" + str(value).replace("\0", "").replace("'", "''") + "'"
