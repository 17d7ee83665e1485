"""The tokenizer, and what is built on it without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.local.redshift.errors import SqlError
from loader.local.redshift.names import POSTGRES_MAX, LongNames, shorten
from loader.local.redshift.refs import lock_target, relations
from loader.local.redshift.rewrite import rewrite
from loader.local.redshift.tokens import Kind, literal, name, render, split, tokenize


@pytest.mark.parametrize(
    ("sql", "kinds"),
    [
        ("a.b", "word op word"),
        ("'it''s' 'it\\'s' E'x'", "string string string"),
        ('"a""b"', "quoted"),
        ("$$it's; fine$$ $1 $tag$ $$ $tag$", "string param string"),
        ("1.5e-3 .5 2::int", "number number number op word"),
        ("a -- it's; \n /* ; /* nested */ ' */ b", "word word"),
        ("x<=-1", "word op op number"),
        ("#tmp größe", "word word"),
    ],
)
def test_kinds(sql: str, kinds: str) -> None:
    assert " ".join(token.kind.value for token in tokenize(sql)) == kinds


def test_values() -> None:
    assert [t.value for t in tokenize("'a\\nb''c\\\\' \"A\"\"b\" SELECT ÄB")] == [
        "a\nb'c\\",
        'A"b',
        "select",
        "Äb",
    ]


@pytest.mark.parametrize("sql", ["'open", '"open', "/* open", "$$open"])
def test_unterminated(sql: str) -> None:
    with pytest.raises(SqlError, match="42601"):
        tokenize(sql)


def test_split_ignores_semicolons_in_literals_and_comments() -> None:
    parts = split(tokenize("a ';' ; -- ;\n ; b"))
    assert [render(part) for part in parts] == ["a ';'", "b"]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_literal_holds_any_text(text: str) -> None:
    (token,) = tokenize(literal(text).text)
    assert (token.kind, token.value) == (Kind.STRING, text)
    (token,) = tokenize(name(text).text)
    assert (token.kind, token.value) == (Kind.QUOTED, text)


@given(st.text(st.sampled_from("ab1 '\"\\$.,;()-*/:<=\n#ä"), max_size=30))
def test_rendering_keeps_the_tokens(sql: str) -> None:
    try:
        tokens = tokenize(sql)
    except SqlError:
        return
    again = tokenize(render(tokens))
    assert [(t.kind, t.text) for t in again] == [(t.kind, t.text) for t in tokens]


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=200))
def test_short_names_fit_and_come_back(long: str) -> None:
    names = LongNames()
    names.add(long)
    assert len(shorten(long).encode()) <= POSTGRES_MAX
    assert shorten(shorten(long)) == shorten(long)
    if len(long.encode()) <= 127:
        assert names.restore(shorten(long)) == long


RELATIONS = [
    ("SELECT * FROM a, s.b x JOIN c ON x.i = c.i, d WHERE e IN (SELECT f FROM g)", "a s.b c d g"),
    ("WITH a AS (SELECT 1 FROM b), c (x) AS (SELECT 2) SELECT * FROM a, c, d", "b d"),
    ("SELECT EXTRACT(day FROM t), TRIM(BOTH FROM u) FROM v", "v"),
    ("SELECT a, b FROM (c JOIN d ON true) ORDER BY e, f", "c d"),
    ("INSERT INTO a (b, c) SELECT b, c FROM d", "a d"),
    ("UPDATE a SET b = 1 FROM c WHERE a.i = c.i", "a c"),
    ("DELETE FROM a USING b, c WHERE true", "a b c"),
    ("MERGE INTO a USING b ON a.i = b.i WHEN MATCHED THEN UPDATE SET x = b.y", "a b"),
    ("SELECT * FROM generate_series(1, 2)", ""),
    ("SELECT 1 WHERE 1 IS DISTINCT FROM a", ""),
    ("SELECT a FROM b UNION ALL SELECT c FROM d", "b d"),
]


@pytest.mark.parametrize(("sql", "expected"), RELATIONS)
def test_relations(sql: str, expected: str) -> None:
    assert " ".join(".".join(ref.parts) for ref in relations(tokenize(sql))) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("UPDATE s.a x SET b = 1", "s.a"),
        ("DELETE FROM a WHERE true", "a"),
        ('MERGE INTO "A b" USING c ON true', '"A b"'),
        ("WITH x AS (SELECT 1) UPDATE a SET b = 1", "a"),
        ("INSERT INTO a SELECT 1", ""),
        ("SELECT * FROM a FOR UPDATE", ""),
    ],
)
def test_lock_target(sql: str, expected: str) -> None:
    assert lock_target(tokenize(sql)) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("NVL(a, NVL(b, 1))", "coalesce (a, coalesce (b, 1))"),
        ("DATEADD(day, 1, SYSDATE)", "dateadd ('day', 1, pg_catalog.sysdate ())"),
        ("t.nvl(1)", "t.nvl (1)"),
        ("x::VARCHAR(MAX)", "x::varchar (65535)"),
        ("SELECT 1 MINUS SELECT 2", "SELECT 1 EXCEPT SELECT 2"),
        (
            "LISTAGG(a, ',') WITHIN GROUP (ORDER BY NVL(b, 1))",
            "string_agg ((a)::text, ',' ORDER BY coalesce (b, 1))",
        ),
    ],
)
def test_rewrite(sql: str, expected: str) -> None:
    assert render(rewrite(tokenize(sql))) == expected
