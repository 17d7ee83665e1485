"""All of the doctor's examination, one part after the other, each whatever became of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Final

from loader import config
from loader.doctor.copy_check import NAME as COPY
from loader.doctor.copy_check import copy_check
from loader.doctor.endpoints import KAFKA, LAKE, kafka_checks, lake_checks
from loader.doctor.report import Check, Report, State, combined, failed
from loader.doctor.warehouse_rights import AREA, Asking, rights, standing_in
from loader.errors import LoaderError
from loader.lake.s3 import S3Store
from loader.warehouse.connection import connect
from loader.warehouse.errors import StatementRefused
from loader.warehouse.login import place_of
from loader.warehouse.probes import IsSuperuser, RemoteHost, WhoAmI, remote_host_question
from loader.warehouse.session import Session

#: A probe that waits longer waits for somebody's lock.
PATIENCE: Final = 30.0
PARTS: Final = (KAFKA, LAKE, AREA)


def examine(
    settings: config.Settings,
    parts: Iterable[str] = PARTS,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Try everything that the jobs will need; changes nothing.

    Args:
        settings: the configuration.
        parts: which of ``kafka``, ``lake`` and ``warehouse``.
        progress: told the name of each part before it begins.
    """
    wanted = set(parts)
    reports = []
    store: S3Store | None = None
    if KAFKA in wanted:
        progress(KAFKA)
        reports.append(Report(tuple(kafka_checks(settings))))
    if LAKE in wanted:
        progress(LAKE)
        store, lake = _lake(settings)
        reports.append(lake)
    if AREA in wanted:
        progress(AREA)
        reports.append(examine_warehouse(settings, store))
    return combined(reports)


def _lake(settings: config.Settings) -> tuple[S3Store | None, Report]:
    """The store, where it can be written to; and the checks."""
    try:
        store = S3Store.open(settings.lake)
        checks = tuple(lake_checks(store))
    except LoaderError as error:
        return None, Report((failed(LAKE, settings.lake.url, error),))
    return store if all(check.state is State.OK for check in checks) else None, Report(checks)


def examine_warehouse(settings: config.Settings, store: S3Store | None) -> Report:
    """The warehouse alone.

    Args:
        settings: the configuration.
        store: the lake, to try COPY with; None where there is none.
    """
    warehouse = _with_patience(settings.warehouse)
    where = place_of(warehouse)
    facts: dict[str, str] = {}
    checks: list[Check] = []
    foreign: tuple[str, ...] = ()
    try:
        with closing(connect(warehouse)) as session:
            checks.append(Check(AREA, f"log in to {where}", State.OK))
            asking = _who(session, warehouse.db_schema, facts)
            standing = standing_in(asking)
            foreign = standing.foreign
            checks += rights(asking, standing)
            checks += _copy(settings, store, asking)
    except LoaderError as error:
        checks.append(failed(AREA, f"log in to {where}" if not checks else where, error))
    return Report(tuple(checks), facts, foreign)


def _with_patience(warehouse: config.Warehouse) -> config.Warehouse:
    limit = min(warehouse.statement_timeout or PATIENCE, PATIENCE)
    return warehouse.model_copy(update={"statement_timeout": limit})


def _who(session: Session, schema: str, facts: dict[str, str]) -> Asking:
    user, database, process, version = session.execute(WhoAmI()).rows[0]
    user, database = str(user), str(database)
    supers = session.execute(IsSuperuser(user)).rows
    facts["user"] = user
    facts["superuser"] = "yes" if supers and supers[0][0] else "no"
    # The driver gives it with a NUL at its end from some servers.
    facts["version"] = str(version).rstrip("\0")
    facts["seen from"] = seen_from(session, int(process))
    return Asking(session, user, database, schema)


def seen_from(session: Session, process: int) -> str:
    """The address that the cluster sees us come from, which has to be let in."""
    for view in ("sys_connection_log", "stl_connection_log"):
        try:
            rows = session.execute(RemoteHost(view, process)).rows
        except StatementRefused:
            continue
        if rows and rows[0][0]:
            return str(rows[0][0]).strip().removeprefix("::ffff:")
    return f"only a superuser may ask: {remote_host_question(process)}"


def _copy(settings: config.Settings, store: S3Store | None, asking: Asking) -> Iterator[Check]:
    if store is None:
        yield Check(
            AREA, COPY, State.UNKNOWN, "The lake cannot be written to, so it was not tried."
        )
        return
    try:
        yield copy_check(settings, store, asking)
    except LoaderError as error:
        yield failed(AREA, COPY, error)
