"""From a client's statement to a plan: names folded, late-binding views expanded, then translated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from loader.local.redshift import functions, lateral, views
from loader.local.redshift.backend import Rows
from loader.local.redshift.config import StandInConfig
from loader.local.redshift.errors import SqlError, syntax_error
from loader.local.redshift.faults import Faults
from loader.local.redshift.history import History
from loader.local.redshift.names import REDSHIFT_MAX, LongNames, cut_bytes, is_long, shorten
from loader.local.redshift.plan import Engine, LoadLog, Pass, Plan
from loader.local.redshift.refs import lock_target
from loader.local.redshift.tokens import Kind, Token, ascii_lower, literal, name
from loader.local.redshift.translate import translate
from loader.local.redshift.unload import unload_script
from loader.local.redshift.unload_grammar import inner as unload_query
from loader.local.redshift.unload_grammar import parse_unload


class NameStore(Protocol):
    """Keeps long names beyond the life of the process."""

    async def keep(self, short: str, long: str) -> None:
        """Remember one name, whatever becomes of the client's transaction."""


@dataclass(slots=True)
class Shared:
    """What all sessions of one stand-in have in common.

    Attributes:
        late_views: names that are or were a late-binding view, without schema; a statement that
            mentions none of them needs no look-up.
        event: writes one line to the log.
        refused_functions: those of the backend that Redshift does not have.
        missing_functions: those of Redshift that the backend does not have.
        ask: runs a query beside all sessions.
    """

    config: StandInConfig
    faults: Faults
    log: LoadLog
    store: NameStore
    history: History
    event: Callable[..., None]
    ask: Callable[[str], Awaitable[Rows]]
    names: LongNames = field(default_factory=LongNames)
    late_views: set[str] = field(default_factory=set)
    refused_functions: frozenset[str] = frozenset()
    missing_functions: frozenset[str] = frozenset()


class Session(Engine, Protocol):
    """What planning has to know of a session."""

    @property
    def failed(self) -> bool:
        """Whether the client's transaction block only waits for its end."""


def decode(raw: bytes) -> str:
    """The client's bytes as text.

    Raises:
        SqlError: 22021 for what is not UTF-8. The backend's SQL_ASCII would let it in.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        bad = f"0x{raw[error.start]:02x}"
        text = f'invalid byte sequence for encoding "UTF8": {bad}'
        raise SqlError("22021", text) from None


class Planner:
    """Plans the statements of one session."""

    def __init__(self, session: Session, shared: Shared) -> None:
        self._session = session
        self._shared = shared
        self._named: set[str] = set()

    async def plan(self, tokens: Sequence[Token], source: str) -> Plan:
        """Plan one statement.

        Args:
            tokens: the statement, without semicolon.
            source: the same as the client wrote it.

        Raises:
            SqlError: Redshift would refuse it, or the stand-in has to.
        """
        folded = [await self._fold(token) for token in tokens]
        await self._shared.history.read_by(folded)
        if folded[0].is_word("unload"):
            return await self._unload(folded, source)
        await self._name_in_transaction(folded)
        expanded = folded
        if not self._session.failed and views.mentions(folded, self._shared.late_views):
            target = lock_target(folded)
            if target and self._session.in_transaction:
                # The look-up takes the transaction's snapshot, so the lock has to come first.
                await self._session.run(f"LOCK TABLE {target} IN SHARE ROW EXCLUSIVE MODE")
            expanded = await views.expand(folded, self._shared.late_views, self._session)
        if not self._session.failed:
            expanded = await lateral.resolve(expanded, self._session)
        plan = translate(expanded, source, self._session.state)
        functions.check(folded, self._shared.refused_functions, self._shared.missing_functions)
        if isinstance(plan, Pass) and expanded is not folded:
            return replace(plan, late_bound=True)
        return plan

    async def _unload(self, tokens: list[Token], source: str) -> Plan:
        """UNLOAD holds a statement of its own, which is planned like any other."""
        statement = parse_unload(tokens)
        query = await self.plan(unload_query(tokens), source)
        if not isinstance(query, Pass):
            raise syntax_error(tokens[1].text)
        return unload_script(statement, query.sql)

    async def _name_in_transaction(self, tokens: Sequence[Token]) -> None:
        """Let the transaction that makes an object see its long names in the catalog.

        The names are kept beside the transaction too, but its snapshot may be older than that.
        """
        if self._session.failed or not self._session.in_transaction:
            return
        if not self._shared.names or not tokens[0].is_word("create", "alter"):
            return
        for token in tokens:
            long = self._shared.names.restore(token.value)
            if token.is_name and long != token.value and token.value not in self._named:
                self._named.add(token.value)
                pair = f"({literal(token.value).text}, {literal(long).text})"
                insert = f"INSERT INTO pg_stand_in.long_name VALUES {pair}"  # noqa: S608 - quoted
                await self._session.run(insert)

    async def _fold(self, token: Token) -> Token:
        """Fold a name as Redshift does, and shorten it as PostgreSQL must."""
        if not token.is_name:
            return token
        value = token.value
        if token.kind is Kind.QUOTED and self._session.state.fold_quoted:
            value = ascii_lower(value)
        if is_long(value):
            value = await self._long(value)
        elif value == token.value and not value.startswith("#"):
            return token
        return name(value)

    async def _long(self, value: str) -> str:
        cut = cut_bytes(value, REDSHIFT_MAX)
        if cut != value:
            await self._session.notify(
                "NOTICE", f'identifier "{value}" will be truncated to "{cut}"'
            )
        if self._shared.names.add(cut) and is_long(cut):
            await self._shared.store.keep(shorten(cut), cut)
        return shorten(cut)
