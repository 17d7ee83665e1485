"""The warehouse: every right that a sync will need, tried in transactions that are rolled back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from loader.doctor.report import Check, State
from loader.model.tables import SYNC_HISTORY, SYNC_INFO, SYNC_LEDGER, USER_MIGRATIONS, bigint
from loader.warehouse import grants
from loader.warehouse.ddl import AddColumn, CreateAlias, CreateStage, CreateTable, RenameTable
from loader.warehouse.errors import StatementRefused
from loader.warehouse.ledger import LEDGER_COLUMNS, Ledger
from loader.warehouse.objects import BOOKKEEPING, Relation, relations
from loader.warehouse.probes import (
    TABLE_RIGHTS,
    CreateSchemaNow,
    MayUseSchema,
    SchemaOwner,
    TryRelation,
    TryTable,
)
from loader.warehouse.schema import (
    SYNC_HISTORY_COLUMNS,
    SYNC_INFO_COLUMNS,
    Catalog,
    read_catalog,
)
from loader.warehouse.session import Session
from loader.warehouse.sql import Begin, Rollback, Statement, Table

AREA: Final = "warehouse"
PROBE: Final = "_heap_loader_probe"
SUPERUSER: Final = "a superuser"

_DENIED: Final = "42501"
_NO_RELATION: Final = "42P01"
_CANCELLED: Final = "57014"
_FIRST_COLUMN: Final = {
    SYNC_LEDGER: LEDGER_COLUMNS[0].name,
    SYNC_INFO: SYNC_INFO_COLUMNS[0].name,
    SYNC_HISTORY: SYNC_HISTORY_COLUMNS[0].name,
    USER_MIGRATIONS.name: USER_MIGRATIONS.columns[0].name,
}


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and about what.

    Attributes:
        session: in autocommit.
        user: the session's user, as the server names it.
        database: the session's database.
        schema: the schema to be loaded.
    """

    session: Session
    user: str
    database: str
    schema: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands in the schema.

    Attributes:
        owner: the schema's; None where there is no such schema.
        objects: tables and views by name.
        catalog: the columns that we may see.
        ours: names that are the loader's; None where the ledger, which tells, cannot be read.
    """

    owner: str | None
    objects: Mapping[str, Relation]
    catalog: Catalog
    ours: frozenset[str] | None

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables of ours, by name; what is not ours is left alone."""
        ours = self.ours if self.ours is not None else self.objects.keys()
        return tuple(
            name for name, one in self.objects.items() if one.kind == "table" and name in ours
        )

    @property
    def foreign(self) -> tuple[str, ...]:
        """Tables and views that are not ours, by name."""
        ours = self.ours if self.ours is not None else self.objects.keys()
        return tuple(name for name in self.objects if name not in ours)


def rights(asking: Asking, standing: Standing) -> Iterator[Check]:
    """Every right on the database, the schema and its tables."""
    yield _temp(asking)
    if standing.owner is None:
        yield _new_schema(asking)
    elif asking.session.execute(MayUseSchema(asking.schema)).rows[0][0]:
        yield from _schema(asking, standing)
        yield from _tables(asking, standing)
    else:
        yield from _closed(asking, standing)
    yield from _system_views(asking)


def standing_in(asking: Asking) -> Standing:
    """What the catalog says about the schema.

    Raises:
        StatementRefused: the catalog cannot be read.
    """
    session, schema = asking.session, asking.schema
    owners = session.execute(SchemaOwner(schema)).rows
    if not owners:
        return Standing(None, {}, Catalog({}), frozenset())
    objects = {one.name: one for one in relations(session, schema)}
    ours: frozenset[str] | None = BOOKKEEPING
    if SYNC_LEDGER in objects:
        try:
            rows = Ledger(schema).read(session).values()
            ours = BOOKKEEPING | {row.table for row in rows}
        except StatementRefused:
            ours = None
    return Standing(str(owners[0][0]), objects, read_catalog(session, schema), ours)


def attempt(session: Session, statements: Sequence[Statement]) -> StatementRefused | None:
    """Run statements in a transaction that is rolled back; the first refusal, if there is one."""
    session.execute(Begin())
    try:
        for statement in statements:
            session.execute(statement)
    except StatementRefused as error:
        return error
    finally:
        session.execute(Rollback())
    return None


def _check(
    name: str,
    refusal: StatementRefused | None,
    remedy: Callable[[], tuple[str, ...]],
    *,
    runs: str = SUPERUSER,
    state: State = State.MISSING,
) -> Check:
    """A refusal for want of a right is missing; any other one is shown as it is."""
    if refusal is None:
        return Check(AREA, name, State.OK)
    if refusal.sqlstate == _CANCELLED:
        says = "Something holds a lock; try again when no load runs."
        return Check(AREA, name, State.UNKNOWN, says)
    if refusal.sqlstate == _DENIED:
        return Check(AREA, name, state, refusal.message, remedy(), runs)
    return Check(AREA, name, state, refusal.message)


def _temp(asking: Asking) -> Check:
    stage = CreateStage(PROBE, (bigint("user_id"),), None, "user_id")
    return _check(
        "temporary tables",
        attempt(asking.session, [stage]),
        lambda: (grants.temp_on_database(asking.database, asking.user),),
    )


def _life(schema: str) -> list[Statement]:
    """All that a sync does to a table of its own, but for its rows."""
    table, view = Table(PROBE, schema), Table(PROBE + "_view", schema)
    return [
        CreateTable(table, (bigint("user_id"),), "user_id", "user_id"),
        AddColumn(table, bigint("event_id")),
        CreateAlias(view, table, ("user_id",)),
        *(TryTable(right, table, "user_id") for right in TABLE_RIGHTS),
        RenameTable(table, PROBE + "_renamed"),
    ]


def _new_schema(asking: Asking) -> Check:
    return _check(
        f"create schema {asking.schema}",
        attempt(asking.session, [CreateSchemaNow(asking.schema), *_life(asking.schema)]),
        lambda: (
            grants.create_on_database(asking.database, asking.user),
            f"-- or: {grants.create_schema_for(asking.schema, asking.user)}",
        ),
    )


def _closed(asking: Asking, standing: Standing) -> Iterator[Check]:
    """USAGE allows nothing by itself that could be tried, so it was asked for; all else hangs on it."""
    yield Check(
        AREA,
        f"usage of schema {asking.schema}",
        State.MISSING,
        "Nothing in it can be seen or made.",
        (grants.on_schema("USAGE", asking.schema, asking.user),),
        f"{standing.owner}, who owns the schema, or {SUPERUSER}",
    )
    says = "It cannot be looked into."
    yield Check(AREA, f"what stands in schema {asking.schema}", State.UNKNOWN, says)


def _schema(asking: Asking, standing: Standing) -> Iterator[Check]:
    yield Check(AREA, f"usage of schema {asking.schema}", State.OK)
    yield _check(
        f"create in schema {asking.schema}",
        attempt(asking.session, _life(asking.schema)),
        lambda: (grants.on_schema("CREATE", asking.schema, asking.user),),
        runs=f"{standing.owner}, who owns the schema, or {SUPERUSER}",
    )
    yield _whose(asking, standing)


def _whose(asking: Asking, standing: Standing) -> Check:
    """Somebody else's schema is never loaded into."""
    name = f"schema {asking.schema} is the loader's"
    if not standing.objects or SYNC_LEDGER in standing.objects:
        says = "" if standing.ours is not None else f"{SYNC_LEDGER} cannot be read, which tells."
        return Check(AREA, name, State.UNKNOWN if says else State.OK, says)
    return Check(
        AREA,
        name,
        State.MISSING,
        f"It holds {', '.join(standing.foreign[:5])} and no {SYNC_LEDGER}: it is somebody else's.",
        ("Set warehouse.schema to one that does not exist yet.",),
    )


def _column(standing: Standing, name: str) -> str:
    """Any column of the table; where the catalog is hidden from us, one that such a table has."""
    return next(iter(standing.catalog.columns(name)), _FIRST_COLUMN.get(name, "user_id"))


def _tables(asking: Asking, standing: Standing) -> Iterator[Check]:
    for name in standing.tables:
        yield _rows(asking, standing, name)
        owner = standing.objects[name].owner
        if owner != asking.user:
            yield Check(
                AREA,
                f"owner of {asking.schema}.{name}",
                State.MISSING,
                f"It belongs to {owner}: only an owner may add columns, rename, VACUUM and ANALYZE.",
                (grants.own_table(Table(name, asking.schema), asking.user),),
                SUPERUSER,
            )


def _rows(asking: Asking, standing: Standing, name: str) -> Check:
    """What may be done with a table's rows: in one transaction, and where that fails one by one."""
    table, column = Table(name, asking.schema), _column(standing, name)
    tries = [TryTable(right, table, column) for right in TABLE_RIGHTS]
    refusals: dict[str, StatementRefused] = {}
    if attempt(asking.session, tries) is not None:
        for one in tries:
            refusal = attempt(asking.session, [one])
            if refusal is not None:
                refusals[one.right] = refusal
    lacking = tuple(refusals)
    return _check(
        f"{', '.join(lacking or TABLE_RIGHTS)} on {asking.schema}.{name}".lower(),
        next(iter(refusals.values()), None),
        lambda: (grants.on_table(lacking, table, asking.user),),
        runs=f"{standing.objects[name].owner}, who owns the table, or {SUPERUSER}",
    )


def _system_views(asking: Asking) -> Iterator[Check]:
    """What tells how full and how sorted things are; without it there is no maintenance by figures."""
    remedies = {"svv_table_info": grants.on_system_view("svv_table_info", asking.user)}
    for view in ("svv_table_info", "stv_partitions"):
        refusal = attempt(asking.session, [TryRelation(view)])
        if refusal is not None and refusal.sqlstate == _NO_RELATION:
            says = "There is no such view here; Redshift Serverless has none of the nodes."
            yield Check(AREA, f"read {view}", State.WANTED, says)
            continue
        remedy = remedies.get(view, grants.monitor_role(asking.user))
        yield _check(
            f"read {view}",
            refusal,
            lambda remedy=remedy: (remedy,),  # type: ignore[misc]
            state=State.WANTED,
        )
