"""Statements that look at the server's own tables, and those that tidy up. None belongs in a load.

Much of this is for superusers, or for whom they let: a refusal (42501) is an answer here, and would
fail a transaction that it stood in.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from loader.warehouse.sql import Rendered, Table, plain


@dataclass(frozen=True, slots=True)
class TableHealth:
    """Each table: MB, rows with and without deleted ones, % unsorted, % won by a sort, % stale.

    The server leaves out empty tables (AWS docs: SVV_TABLE_INFO).
    """

    schema: str

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(
            'SELECT "table", size, tbl_rows, estimated_visible_rows, unsorted, '
            "vacuum_sort_benefit, stats_off "
            'FROM svv_table_info WHERE "schema" = %s ORDER BY "table"',
            self.schema,
        )


class VacuumMode(StrEnum):
    """What a VACUUM does."""

    SORT = "SORT ONLY"
    DELETE = "DELETE ONLY"


@dataclass(frozen=True, slots=True)
class Vacuum:
    """VACUUM of one table; never inside a transaction. The table stays, and so do its grants."""

    mode: VacuumMode
    table: Table

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(f"VACUUM {self.mode.value} {self.table.sql}")


@dataclass(frozen=True, slots=True)
class Analyze:
    """ANALYZE of one table."""

    table: Table

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(f"ANALYZE {self.table.sql}")


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Capacity and use of the cluster's disks, in MB (AWS docs: STV_PARTITIONS)."""

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(
            "SELECT SUM(capacity), SUM(used - tossed) FROM stv_partitions WHERE part_begin = 0"
        )


@dataclass(frozen=True, slots=True)
class SelectRelations:
    """Every table and view of a schema: name, ``r`` or ``v``, owner."""

    schema: str

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(
            "SELECT c.relname, c.relkind, u.usename FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace "
            "LEFT JOIN pg_user u ON u.usesysid = c.relowner "
            "WHERE n.nspname = %s AND c.relkind IN ('r', 'v') ORDER BY c.relname",
            self.schema,
        )


@dataclass(frozen=True, slots=True)
class SessionProcess:
    """The number of the session's own process."""

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain("SELECT pg_backend_pid()")


@dataclass(frozen=True, slots=True)
class LastLoadError:
    """Where the latest COPY of a session failed: file, line, column, type, length, code, text.

    The text may quote the value; see :func:`loader.warehouse.load_errors.explain`.
    """

    process: int

    def render(self) -> Rendered:
        """See :class:`Statement`."""
        return plain(
            "SELECT RTRIM(file_name), line_number, RTRIM(column_name), RTRIM(column_type), "
            "RTRIM(column_length), error_code, RTRIM(error_message) FROM sys_load_error_detail "
            "WHERE session_id = %s ORDER BY start_time DESC LIMIT 1",
            self.process,
        )
