"""A warehouse whose session is opened when needed and replaced when it was lost; loads that settle.

The one retry policy: a lost socket and a conflict repeat the **whole** transaction, and only after
the ledger was asked whether the last try had not been committed after all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, TypeVar

import stamina

from loader.model.plans import Loaded, TablePlan
from loader.model.tables import SYNC_INFO
from loader.warehouse.credentials import CopyAuthorization
from loader.warehouse.errors import ConnectionLost, TransactionConflict
from loader.warehouse.ledger import Ledger, LedgerMoved
from loader.warehouse.load import TableLoader
from loader.warehouse.session import CommitUnknown, Connect, Session
from loader.warehouse.sql import SelectRows, Table
from loader.warehouse.traffic import Counted, Traffic
from loader.warehouse.work import Outcome, Work

T = TypeVar("T")

ATTEMPTS: Final = 5
RETRY_SECONDS: Final = 120.0


class Warehouse:
    """One schema of a warehouse. Not safe for threads.

    Args:
        connect: opens a session.
        schema: the schema.
        authorization: how COPY reads the lake.
        clock: the present time, UTC with zone.
    """

    def __init__(
        self,
        connect: Connect,
        schema: str,
        authorization: CopyAuthorization,
        clock: Callable[[], datetime],
    ) -> None:
        self._connect = connect
        self._authorization = authorization
        self._clock = clock
        self._session: Session | None = None
        self.traffic = Traffic()
        self.schema = schema
        self.ledger = Ledger(schema)

    def close(self) -> None:
        """Close the session, if there is one."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def run(self, what: Callable[[Session], T]) -> T:
        """Run something that may be repeated as a whole, in a new session where one was lost.

        Raises:
            ConnectionLost: the connection was lost again and again.
            TransactionConflict: another transaction won again and again.
        """
        for attempt in stamina.retry_context(
            on=(ConnectionLost, TransactionConflict),
            attempts=ATTEMPTS,
            timeout=RETRY_SECONDS,
            wait_initial=0.2,
            wait_max=10.0,
        ):
            with attempt:
                return self._once(what)
        raise AssertionError("stamina either returns or raises")

    def _once(self, what: Callable[[Session], T]) -> T:
        if self._session is None:
            self._session = Counted(self._connect(), self.traffic)
        try:
            return what(self._session)
        except (ConnectionLost, CommitUnknown) as error:
            self.close()
            if isinstance(error, CommitUnknown):
                raise ConnectionLost("The connection was lost while committing.") from None
            raise

    def load(self, works: Sequence[Work]) -> list[Outcome]:
        """Load tables in one transaction, exactly once, however often the connection breaks.

        Raises:
            LedgerMoved: another run changed one of the tables since it was planned.
        """

        def attempt(session: Session) -> list[Outcome]:
            ledger = self.ledger.read(session)
            settled = [self._settled(ledger.get(w.plan.key), w.plan, w.sync_id) for w in works]
            if all(settled):
                return [self._known_outcome(session, ledger[work.plan.key], work) for work in works]
            if any(settled):
                raise LedgerMoved(f"{self.schema}: some tables of this sync were loaded already.")
            return self._loader(session).load(works)

        return self.run(attempt)

    def rename(self, plan: TablePlan, to: str, sync_id: str) -> None:
        """Rename a table; see :meth:`TableLoader.rename`."""

        def attempt(session: Session) -> None:
            if not self._settled(self.ledger.read_one(session, plan.key), plan, sync_id):
                self._loader(session).rename(plan, to, sync_id)

        self.run(attempt)

    def mark(self, plan: TablePlan, sync_id: str) -> None:
        """Write down that a table is no longer kept up; see :meth:`TableLoader.mark`."""

        def attempt(session: Session) -> None:
            if not self._settled(self.ledger.read_one(session, plan.key), plan, sync_id):
                self._loader(session).mark(plan, sync_id)

        self.run(attempt)

    def _loader(self, session: Session) -> TableLoader:
        return TableLoader(session, self.schema, self._authorization, self._clock)

    def _settled(self, row: Loaded | None, plan: TablePlan, sync_id: str) -> bool:
        """Whether the ledger row says that this very step was committed; false if it is still to do.

        Raises:
            LedgerMoved: another run changed the table since it was planned.
        """
        if (row.version if row else None) == plan.version:
            return False
        expected = 1 if plan.version is None else plan.version + 1
        if row is not None and row.version == expected and row.sync_id == sync_id:
            return True
        raise LedgerMoved(f"{self.schema}: another run changed {plan.key} since it was planned.")

    def _known_outcome(self, session: Session, row: Loaded, work: Work) -> Outcome:
        """What a load did whose answer was lost, as its own records say."""
        notes = session.execute(
            SelectRows(
                Table(SYNC_INFO, self.schema),
                ("inserted_row_count",),
                {
                    "event_table_name": work.plan.table,
                    "sync_started": work.started.replace(tzinfo=None),
                },
            )
        ).rows
        return Outcome(int(notes[0][0]) if notes else row.rows, 0, row.rows)
