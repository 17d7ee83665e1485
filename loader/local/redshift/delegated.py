"""DROP and ALTER TABLE by a user who is not the owner but was granted the privilege.

PostgreSQL leaves both to the owner; here they are kept as its privileges MAINTAIN and TRIGGER (see
:mod:`loader.local.redshift.grants`), and what they allow is run with the owner's rights.
"""

from __future__ import annotations

from collections.abc import Sequence

from loader.local.redshift.backend import Backend, Rows
from loader.local.redshift.config import StandInConfig
from loader.local.redshift.names import LongNames
from loader.local.redshift.plan import Engine, LoadLog, Plan, Script, SessionState
from loader.local.redshift.refs import name_end
from loader.local.redshift.tokens import Token, literal, render

_KEPT_AS = {"ALTER": "TRIGGER", "DROP": "MAINTAIN"}
_AS_OWNER = ("ALTER", "DROP", "SELECT PG_STAND_IN.CHECK_RESIZE")


class AsOwner:
    """An engine whose ALTER and DROP run as the table's owner."""

    def __init__(self, engine: Engine, table: str, privilege: str) -> None:
        self._engine = engine
        self._table = table
        self._privilege = privilege

    @property
    def config(self) -> StandInConfig:
        """The stand-in's configuration."""
        return self._engine.config

    @property
    def backend(self) -> Backend:
        """The session's own backend connection."""
        return self._engine.backend

    @property
    def state(self) -> SessionState:
        """The session's memory."""
        return self._engine.state

    @property
    def names(self) -> LongNames:
        """The long names known so far."""
        return self._engine.names

    @property
    def log(self) -> LoadLog:
        """Where load history goes."""
        return self._engine.log

    @property
    def in_transaction(self) -> bool:
        """Whether the client has opened a transaction block."""
        return self._engine.in_transaction

    async def run(self, sql: str) -> Rows:
        """Run a command, those that need an owner as one."""
        if not sql.upper().startswith(_AS_OWNER):
            return await self._engine.run(sql)
        return await self._engine.run(
            f"SELECT pg_stand_in.as_owner({self._table}::regclass, '{self._privilege}',"
            f" {literal(sql).text})"
        )

    async def commit(self) -> None:
        """End the client's transaction block, if it is in one."""
        await self._engine.commit()

    async def notify(self, severity: str, message: str) -> None:
        """Send a notice."""
        await self._engine.notify(severity, message)

    async def late_view_made(self, view: str) -> None:
        """Tell that a late-binding view of this name may exist from now on."""
        await self._engine.late_view_made(view)


def with_privilege(tokens: Sequence[Token], plan: Plan, verb: str) -> Script:
    """The same plan, run with the owner's rights for a user who has the privilege only.

    Args:
        tokens: ALTER TABLE t ..., DROP TABLE t or DROP VIEW v.
        plan: what the owner would run.
        verb: ALTER or DROP.
    """
    tag = f"{verb} {tokens[1].text.upper()}"
    target = literal(render(tokens[2 : name_end(tokens, 2)])).text
    may_delegate = len(tokens) == name_end(tokens, 2) or verb == "ALTER"
    may_delegate = may_delegate and not any(token.is_word("owner") for token in tokens[3:4])

    async def action(engine: Engine) -> str:
        used = engine
        if may_delegate and engine.backend.parameters.get("is_superuser") == "off":
            granted = await engine.run(
                f"SELECT has_table_privilege(c.oid, '{_KEPT_AS[verb]}')"  # noqa: S608 - quoted
                " AND NOT pg_has_role(c.relowner, 'USAGE')"
                f" FROM pg_class c WHERE c.oid = to_regclass({target})"
            )
            if granted == [["t"]]:
                used = AsOwner(engine, target, _KEPT_AS[verb])
        if isinstance(plan, Script):
            return await plan.action(used)
        await used.run(plan.sql)
        return tag

    return Script(action)
