"""Whatever a client sends, planning it gives a plan or an error of Redshift's: never an exception."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from loader.local.redshift import functions
from loader.local.redshift.errors import SqlError
from loader.local.redshift.plan import Pass, Script, SessionState
from loader.local.redshift.tokens import split, tokenize
from loader.local.redshift.translate import translate

WORDS = """
    select from where group by order having limit top qualify distinct all union as on using join
    left with insert into values update set delete merge when matched not then remove duplicates
    create table temp view schema user group role like including defaults if exists or replace
    alter add column drop type encode distkey sortkey diststyle key even auto compound interleaved
    rename to owner append ignoreextra filltarget default null primary unique foreign references
    identity generated constraint check copy unload iam_role format parquet manifest fillrecord
    vacuum full sort only reindex percent boost analyze predicate columns lock truncate grant revoke
    privileges show reset begin commit rollback savepoint explain cancel call use declare fetch
    close prepare execute deallocate comment no binding case end over partition rows between
    t s a b x public pg_class datediff dateadd nvl nvl2 decode listagg within median convert
    position substring in for is varchar max decimal super array row count filter cast
    json_extract_path_text ratio_to_report approximate sysdate getdate refresh materialized minus
    select interval timestamp int bigint text char
""".split()  # noqa: SIM905 - read as prose
PIECES = [
    *WORDS,
    "(",
    ")",
    ",",
    ".",
    ";",
    "=",
    "*",
    "::",
    "[",
    "]",
    "1",
    "'x'",
    '"q"',
    "$1",
    "-",
    "#t",
]
STATEMENTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=25).map(" ".join)
HEADS = st.sampled_from(
    [
        "CREATE TABLE", "CREATE TABLE x (a int", "ALTER TABLE t", "ALTER TABLE t ALTER COLUMN a",
        "MERGE INTO t USING s ON", "VACUUM", "GRANT", "REVOKE", "COPY t FROM 's3://b/k'", "SET",
        "SELECT a FROM t QUALIFY", "CREATE VIEW v AS SELECT", "ALTER DEFAULT PRIVILEGES", "UNLOAD",
        "ANALYZE", "SHOW", "DROP", "CREATE USER", "INSERT INTO t", "WITH x AS (SELECT 1)", "RESET",
        "ALTER TABLE t ADD", "ALTER TABLE t APPEND FROM", "CREATE", "EXPLAIN", "BEGIN", "CANCEL",
    ]
)  # fmt: skip


def plan(sql: str) -> None:
    with suppress(SqlError):
        for tokens in split(tokenize(sql)):
            made = translate(tokens, sql, SessionState())
            functions.check(tokens, frozenset({"format"}))
            assert isinstance(made, Pass | Script)


@given(STATEMENTS)
@settings(max_examples=100, deadline=None)
def test_words_in_any_order(sql: str) -> None:
    plan(sql)


@given(HEADS, STATEMENTS)
@settings(max_examples=250, deadline=None)
@example("ALTER TABLE", "")
@example("CREATE TABLE", "")
def test_statements_that_begin_well(head: str, rest: str) -> None:
    plan(f"{head} {rest}")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_text(sql: str) -> None:
    plan(sql)
