"""TOP and QUALIFY, MERGE's grammar, and which functions are Redshift's: without a server."""

from __future__ import annotations

import pytest

from loader.local.redshift import functions
from loader.local.redshift.clauses import clauses
from loader.local.redshift.errors import SqlError
from loader.local.redshift.merge import parse_merge
from loader.local.redshift.tokens import render, tokenize

TOP = [
    ("SELECT TOP 5 a FROM t", "SELECT a FROM t LIMIT 5"),
    ("SELECT DISTINCT TOP 5 a FROM t ORDER BY a", "SELECT DISTINCT a FROM t ORDER BY a LIMIT 5"),
    ("SELECT * FROM (SELECT TOP 5 a FROM t) x", "SELECT * FROM (SELECT a FROM t LIMIT 5) x"),
    ("INSERT INTO u SELECT TOP 1 a FROM t", "INSERT INTO u SELECT a FROM t LIMIT 1"),
    ("WITH x AS (SELECT 1) SELECT TOP 2 * FROM x", "WITH x AS (SELECT 1) SELECT * FROM x LIMIT 2"),
    ("SELECT t.top FROM t", "SELECT t.top FROM t"),
]


@pytest.mark.parametrize(("sql", "expected"), TOP)
def test_top(sql: str, expected: str) -> None:
    assert render(clauses(tokenize(sql))) == expected


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("SELECT TOP 1 a FROM t UNION SELECT b FROM u", "TOP beside a set operation"),
        ("SELECT a FROM t UNION SELECT TOP 1 b FROM u", "TOP beside a set operation"),
        ("SELECT * FROM t, u QUALIFY rank() OVER (ORDER BY a) = 1", "several relations"),
        ("SELECT a FROM t QUALIFY rank() OVER (ORDER BY a) = 1 ORDER BY t.b", "a qualified name"),
    ],
)
def test_forms_refused_by_name(sql: str, what: str) -> None:
    with pytest.raises(SqlError, match=f"stand-in: .*{what} is not supported here"):
        clauses(tokenize(sql))


MERGE = "MERGE INTO t USING s AS x ON t.a = x.a "
BOTH = "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (x.a)"


def test_merge_taken_apart() -> None:
    merge = parse_merge(tokenize(MERGE + BOTH))
    assert (render(merge.target), render(merge.source), merge.alias) == ("t", "s", "x")
    assert render(merge.condition) == "t.a = x.a"
    assert not merge.simplified
    assert parse_merge(tokenize(MERGE + "REMOVE DUPLICATES")).simplified


@pytest.mark.parametrize(
    ("tail", "near"),
    [
        ("WHEN MATCHED AND t.a > 1 THEN DELETE", "AND"),
        ("WHEN NOT MATCHED THEN INSERT VALUES (1)", "NOT"),
        ("WHEN MATCHED THEN DO NOTHING", "DO"),
        ("WHEN MATCHED THEN UPDATE SET t.b = 1 WHEN NOT MATCHED THEN INSERT VALUES (1)", "."),
        (BOTH + " RETURNING *", "RETURNING"),
        ("REMOVE DUPLICATES " + BOTH, "WHEN"),
        ("WHEN NOT MATCHED BY SOURCE THEN DELETE", "NOT"),
        ("DO NOTHING", "DO"),
    ],
)
def test_merge_outside_its_grammar(tail: str, near: str) -> None:
    with pytest.raises(SqlError, match=f'syntax error at or near "{near}"'):
        parse_merge(tokenize(MERGE + tail))


@pytest.mark.parametrize("sql", [MERGE, MERGE + "WHEN MATCHED THEN DELETE", "MERGE INTO t USING s"])
def test_merge_cut_short(sql: str) -> None:
    with pytest.raises(SqlError, match="syntax error at end of input"):
        parse_merge(tokenize(sql))


def test_functions_that_only_postgresql_has() -> None:
    refused = functions.not_redshifts(["format", "lower", "pg_sleep", "pg_get_viewdef", "nvl"])
    assert refused == {"format", "pg_sleep"}
    for sql in (
        "SELECT format FROM t", "INSERT INTO format (a) SELECT 1", "SELECT t.format (1)",
        "SELECT lower('a')", "SELECT 1 AS format (a)",
    ):  # fmt: skip
        functions.check(tokenize(sql), refused)
    with pytest.raises(SqlError, match=r"42883: function format\(\) does not exist"):
        functions.check(tokenize("SELECT 1 + format('%s', 1)"), refused)
