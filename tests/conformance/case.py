"""One row of the conformance table: statements, and what Redshift answers to each.

Cases are plain data, gathered by topic in :mod:`tests.conformance.topics`. A case says where its
answer comes from: a page of the AWS documentation, or ``observed`` where only a running Redshift
showed it. What is deduced and not seen is named in ``inferred``, so that whoever has a cluster knows
which rows to doubt first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["refused", "accepted", "transaction", "not here"]
KINDS: tuple[Kind, ...] = ("refused", "accepted", "transaction", "not here")
SCHEMA = "@schema@"  # stands for the run's own schema
S3 = "@s3@"  # stands for s3://bucket/prefix of the run, without a slash at the end
AUTH = "@auth@"  # stands for the authorization clause of COPY and UNLOAD
ANYTHING = "…"  # in a message or detail: any text
TABLES = (
    "CREATE TABLE t (id bigint NOT NULL, name varchar(10), at timestamp)",
    "CREATE TABLE s (LIKE t)",
    "CREATE TABLE n (a int, b int, c decimal(10,2), d varchar(20))",
    "INSERT INTO t VALUES (1, 'a', '2026-01-02 03:04:05.678901')",
    "INSERT INTO n VALUES (1, 10, 1.50, 'x'), (1, 20, 2.50, 'y'), (2, 30, NULL, 'x')",
)


@dataclass(frozen=True, slots=True)
class Ok:
    """The statement succeeds.

    Attributes:
        notice: text of a notice that must come with it, empty for "do not look".
        silent: no notice may come with it.
    """

    notice: str = ""
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Rows:
    """The statement gives these rows, in this order."""

    rows: tuple[tuple[object, ...], ...]


@dataclass(frozen=True, slots=True)
class Fails:
    """The statement is refused. ``…`` in a text stands for anything; an empty detail is not looked at."""

    code: str
    message: str
    detail: str = ""


Expect = Ok | Rows | Fails


@dataclass(frozen=True, slots=True)
class Step:
    """One statement of one session.

    Attributes:
        sql: the statement.
        expect: what it must give.
        who: the session that sends it; a case has as many as it names.
        waits: it must still be waiting for another session's lock when the next step is sent; its
            answer is looked at when the case ends, or before the next step of the same session.
    """

    sql: str
    expect: Expect = Ok()
    who: str = "a"
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table.

    Attributes:
        name: unique in its topic.
        kind: ``refused``, ``accepted``, ``transaction``, or ``not here``: what only the stand-in
            refuses, by name; such a case is not sent to a cluster.
        steps: sent in order.
        source: ``AWS docs: PAGE`` or ``observed``.
        inferred: what of the answer nobody has seen (``code``, ``text``), empty for nothing.
        block: it runs in a transaction that is rolled back, with the tables of :data:`TABLES` first
            in the search path. Otherwise each statement is its own transaction and the case has an
            empty schema for itself, first in the search path.
        client: the only client that it is for; empty for all of them.
        objects: files to be there under :data:`S3`, by key; :data:`S3` in one is filled in.
    """

    name: str
    kind: Kind
    steps: tuple[Step, ...]
    source: str
    inferred: str = ""
    block: bool = True
    client: str = ""
    objects: tuple[tuple[str, bytes], ...] = ()


def refused(
    sql: str,
    code: str,
    message: str,
    source: str,
    *,
    before: tuple[str, ...] = (),
    inferred: str = "",
    detail: str = "",
    block: bool = True,
    client: str = "",
    name: str = "",
) -> Case:
    """A statement that Redshift refuses, after others that it takes."""
    steps = (*map(Step, before), Step(sql, Fails(code, message, detail)))
    return Case(name or sql, "refused", steps, source, inferred, block, client)


def accepted(*sql: str, source: str, block: bool = True, name: str = "") -> Case:
    """Statements that Redshift takes."""
    return Case(name or sql[-1], "accepted", tuple(map(Step, sql)), source, block=block)


def gives(
    sql: str,
    *rows: tuple[object, ...],
    source: str,
    before: tuple[str, ...] = (),
    block: bool = True,
    name: str = "",
) -> Case:
    """A query and its rows, after other statements."""
    steps = (*map(Step, before), Step(sql, Rows(rows)))
    return Case(name or sql, "accepted", steps, source, block=block)


def value(expression: str, result: object, source: str) -> Case:
    """An expression and its value."""
    return gives(f"SELECT {expression}", (result,), source=source, name=expression)


def not_here(what: str, *sql: str, block: bool = True) -> Case:
    """What Redshift takes and the stand-in refuses by name; the last statement is the one refused."""
    message = f"stand-in: {what} is not supported here"
    steps = (*map(Step, sql[:-1]), Step(sql[-1], Fails("0A000", message)))
    return Case(sql[-1], "not here", steps, "the stand-in's own limit", block=block)
