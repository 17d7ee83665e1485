"""What a loader must never send to Redshift, as a check of each statement that it does send.

Each rule is a documented refusal, or worse: something that the server takes and that loses data,
grants or views (AWS docs: COPY, TRUNCATE, VACUUM, ALTER TABLE, MERGE, DELETE, leader-node functions).
"""

from __future__ import annotations

import datetime as dt
import re
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import redshift_connector

from loader.config import Warehouse
from loader.local.environment import Environment
from loader.warehouse.connection import RedshiftSession
from loader.warehouse.session import Answer
from loader.warehouse.sql import Statement

_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"]|\"\")*\"", re.DOTALL)
_COPY = re.compile(
    r"COPY [^ ]+ \((?:\"[^\"]+\"(?:, )?)+\) FROM 's3://[^']+\.json' "
    r"(?:IAM_ROLE (?:default|'[^']+')"
    r"|ACCESS_KEY_ID '[^']*' SECRET_ACCESS_KEY '\*\*\*'(?: SESSION_TOKEN '\*\*\*')?)"
    r" FORMAT AS PARQUET MANIFEST"
)
_NEVER: Final = {
    r"^TRUNCATE": "TRUNCATE commits the transaction",
    r"^MERGE": "MERGE doubles what is doubled in its source",
    r"^COPY .* JOB ": "a COPY JOB remembers names, not contents",
    r"\bON CONFLICT\b": "ON CONFLICT is not Redshift's",
    r"\bRETURNING\b": "RETURNING is not Redshift's",
    r"^CREATE (?:UNIQUE )?(?:INDEX|TRIGGER|SEQUENCE)": "indexes, triggers, sequences: not Redshift's",
    r"\bJSONB\b|\bARRAY\[|\[\]": "arrays and JSONB are not Redshift's",
    r"^(?:SAVEPOINT|ROLLBACK TO)": "no savepoints",
    r"\bCASCADE\b": "CASCADE drops what users hang on a table",
    r"\bADD COLUMN IF NOT EXISTS\b": "no IF NOT EXISTS in ADD COLUMN",
    r"^DELETE FROM x(?:\.x)? (?!USING|WHERE)": "DELETE has no alias",
    r"^CREATE TEMP(?:ORARY)? TABLE x\.x": "a temporary table has no schema",
    r"^DROP TABLE x\.x": "a dropped table takes its grants along",
    r"ALTER COLUMN x (?!TYPE VARCHAR\()": "only a VARCHAR's length can be changed",
    r"\bREGION\b|\bTRUNCATECOLUMNS\b|\bMAXERROR\b|\bCOMPUPDATE\b": "not with Parquet",
}
_NOT_IN_A_TRANSACTION: Final = {
    r"^VACUUM": "VACUUM",
    r"^ALTER TABLE .* APPEND": "ALTER TABLE APPEND",
    r"ALTER COLUMN .* TYPE": "ALTER COLUMN TYPE",
    r"\b(?:stv_|stl_|svl_|sys_|svv_table_info)": "a superuser's view: its refusal fails the load",
}
_LEADER_ONLY: Final = re.compile(
    r"\b(?:NOW\(|CURRENT_TIMESTAMP|CURRENT_SCHEMA|HAS_\w+_PRIVILEGE|PG_BACKEND_PID)", re.IGNORECASE
)


def skeleton(text: str) -> str:
    """The statement with every name as ``x`` and every literal as ``''``."""
    return _QUOTED.sub(lambda match: "x" if match[0].startswith('"') else "''", text)


def breaches(text: str, *, in_transaction: bool) -> list[str]:
    """Every rule that a statement breaks.

    Args:
        text: as it may be logged.
        in_transaction: whether it is sent between BEGIN and COMMIT.
    """
    bare = skeleton(text)
    found = [why for rule, why in _NEVER.items() if re.search(rule, bare, re.IGNORECASE)]
    if in_transaction:
        found += [
            f"{what} in a transaction"
            for rule, what in _NOT_IN_A_TRANSACTION.items()
            if re.search(rule, bare, re.IGNORECASE)
        ]
    if ";" in bare:
        found.append("two statements in one")
    if bare.startswith("COPY") and not _COPY.fullmatch(text):
        found.append("COPY goes by manifest, with a column list and nothing more")
    if bare.startswith("ALTER TABLE") and bare.count(" ADD ") + bare.count(", ") > 1:
        found.append("one column a statement")
    if _LEADER_ONLY.search(bare) and re.search(r"\bx\.x\b|\bFROM (?:stl|stv|svv|sys)_", bare):
        found.append("a leader-node function beside a table")
    if re.match(r"INSERT INTO x\.x .* VALUES ", bare) and (
        '"_sync_' not in text or bare.count("(") > 2
    ):
        found.append("rows of data come by COPY")
    return found


@dataclass
class Watch:
    """What is seen of the statements that are sent.

    Attributes:
        broken: a line for each breach.
        own: process ids, as the server counts them, of this process's own sessions.
        since: when it began, UTC.
    """

    broken: list[str] = field(default_factory=list)
    own: set[int] = field(default_factory=set)
    since: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    def ask(
        self,
        environment: Environment,
        label: str = Warehouse.model_fields["query_group"].default,
    ) -> int:
        """Check what was sent from other processes, by the server's own log.

        Args:
            environment: whose server.
            label: of the queries that are the loader's.

        Returns:
            How many statements that were.
        """
        server = environment.redshift
        with redshift_connector.connect(
            host=server.host, port=server.port, database=server.database,
            user=server.user, password=server.password, ssl=False,
        ) as connection:  # fmt: skip
            cursor = connection.cursor()
            cursor.execute(
                "SELECT pid, xid, starttime, sequence, text FROM svl_statementtext "
                "WHERE label = %s AND starttime >= %s ORDER BY pid, starttime, xid, sequence",
                (label, self.since.replace(tzinfo=None)),
            )
            rows = cursor.fetchall()
        count = 0
        open_: dict[int, bool] = {}
        for (pid, *_), parts in groupby(rows, key=lambda row: tuple(row[:3])):
            if pid in self.own:
                continue
            # A part is 200 bytes; blanks at its end are lost on the way.
            text = "".join(str(part[4]).ljust(200) for part in parts).rstrip()
            count += 1
            self.broken += [
                f"{why}: {text[:300]}"
                for why in breaches(text, in_transaction=open_.get(pid, False))
            ]
            if text in ("BEGIN", "COMMIT", "ROLLBACK"):
                open_[pid] = text == "BEGIN"
        return count


@contextmanager
def watched_statements() -> Iterator[Watch]:
    """Check every statement of the loader's own that is sent in this process meanwhile."""
    watch = Watch()
    broken = watch.broken
    open_: weakref.WeakKeyDictionary[RedshiftSession, bool] = weakref.WeakKeyDictionary()
    original = RedshiftSession.execute

    def execute(self: RedshiftSession, statement: Statement) -> Answer:
        driver = self._connection
        if driver is not None and driver._backend_key_data:
            watch.own.add(int.from_bytes(driver._backend_key_data[:4], "big"))
        if type(statement).__module__.startswith("loader."):
            shown = statement.render().shown
            broken.extend(
                f"{why}: {shown[:300]}"
                for why in breaches(shown, in_transaction=open_.get(self, False))
            )
            if shown in ("BEGIN", "COMMIT", "ROLLBACK"):
                open_[self] = shown == "BEGIN"
        return original(self, statement)

    holder: Any = RedshiftSession
    holder.execute = execute
    try:
        yield watch
    finally:
        holder.execute = original
