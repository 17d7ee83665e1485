"""Which reads go to the views of Redshift's catalog, and which aliases a WHERE may use."""

from __future__ import annotations

import pytest

from loader.local.redshift.catalog_refs import to_shims
from loader.local.redshift.lateral import uses
from loader.local.redshift.tokens import render, tokenize


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("SELECT 1 FROM t", "SELECT 1 FROM t"),
        ("SELECT oid FROM pg_class", 'SELECT oid FROM "pg_redshift"."pg_class" AS "pg_class"'),
        (
            "SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_user u ON true",
            'SELECT c.oid FROM "pg_redshift"."pg_class" c JOIN "pg_redshift"."pg_user" u ON true',
        ),
        (
            "SELECT pg_catalog.pg_get_userbyid(relowner) FROM s.pg_class",
            'SELECT "pg_redshift".pg_get_userbyid (relowner) FROM s.pg_class',
        ),
        (
            "SELECT 1 FROM information_schema.tables",
            'SELECT 1 FROM "pg_redshift"."information_tables" AS "tables"',
        ),
    ],
)
def test_relations_of_the_catalog(given: str, read: str) -> None:
    assert render(to_shims(tokenize(given))).replace(" (", "(") == read.replace(" (", "(")


@pytest.mark.parametrize(
    ("sql", "aliases"),
    [
        ("SELECT a AS b FROM t WHERE b = 1", ["b"]),
        ("SELECT a AS b FROM t WHERE t.b = 1 AND b(2) AND x::b", []),
        ("SELECT a AS b FROM t WHERE a IN (SELECT b FROM u)", []),
        ("SELECT a AS b FROM (SELECT 1) t WHERE b = 1", []),
        ("SELECT f AS b FROM f() t(b int) WHERE b = 1", []),
        ("SELECT a AS b FROM t UNION SELECT c AS d FROM u WHERE d = 1 OR d = 2", ["d", "d"]),
        ("SELECT a AS b FROM t ORDER BY b", []),
    ],
)
def test_aliases_in_where(sql: str, aliases: list[str]) -> None:
    assert [use.alias for use in uses(tokenize(sql))] == aliases
