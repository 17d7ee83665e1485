"""Transactions: isolation, what commits, what may not run in a block, and what is silent."""

from __future__ import annotations

from tests.conformance.case import Case, Fails, Ok, Rows, Step, accepted, refused

BEGIN = "AWS docs: BEGIN"
ISOLATION = "AWS docs: Serializable isolation"
ABORTED = Fails(
    "25P02", "current transaction is aborted, commands ignored until end of transaction block"
)
ONE = (Step("CREATE TABLE x (a int, v int)"), Step("INSERT INTO x VALUES (1, 1)"))


def alone(sql: str, what: str, *before: str, inferred: str = "") -> Case:
    """A command that runs only outside a transaction block."""
    text = f"{what} cannot run inside a transaction block"
    return refused(sql, "25001", text, "observed", before=before, inferred=inferred)


CASES = (
    Case("silence around nested and stray commands", "transaction", tuple(
        Step(sql, Ok(silent=True)) for sql in (
            "COMMIT", "ROLLBACK", "END", "ABORT", "BEGIN", "BEGIN", "START TRANSACTION", "COMMIT",
            "COMMIT WORK", "BEGIN TRANSACTION", "ROLLBACK TRANSACTION",
        )
    ), "observed", block=False),
    *(
        accepted(f"BEGIN ISOLATION LEVEL {level}", "ROLLBACK", source=BEGIN, block=False,
                 name=f"BEGIN ISOLATION LEVEL {level}")
        for level in ("SERIALIZABLE", "READ COMMITTED", "READ UNCOMMITTED", "REPEATABLE READ")
    ),
    Case("BEGIN READ ONLY", "transaction", (
        Step("CREATE TABLE x (a int)"), Step("BEGIN READ ONLY"), Step("SELECT a FROM x", Rows(())),
        Step("INSERT INTO x VALUES (1)", Fails("25006", "…")), Step("ROLLBACK"),
    ), BEGIN, block=False, inferred="code, text"),
    Case("a refusal aborts the block", "transaction", (
        Step("BEGIN"), Step("CREATE INDEX i ON x (a)", Fails("0A000", "…")),
        Step("SELECT 1", ABORTED), Step("CREATE TABLE y (a int)", ABORTED),
        Step("VACUUM", ABORTED), Step("SET query_group TO 'x'", ABORTED),
        Step("TRUNCATE y", ABORTED), Step("BEGIN", ABORTED), Step("COMMIT"),
        Step("SELECT 1", Rows(((1,),))),
    ), "observed", block=False),
    Case("an error of data aborts the block", "transaction", (
        *ONE, Step("BEGIN"), Step("INSERT INTO x VALUES (2, 2)"),
        Step("SELECT 1 / 0", Fails("22012", "…")), Step("SELECT 1", ABORTED),
        Step("ROLLBACK"), Step("SELECT count(*) FROM x", Rows(((1,),))),
    ), "observed", block=False, inferred="text"),
    Case("DDL is rolled back", "transaction", (
        *ONE, Step("BEGIN"), Step("CREATE TABLE y (a int)"), Step("ALTER TABLE x ADD COLUMN b int"),
        Step("ALTER TABLE x RENAME TO z"), Step("DROP TABLE z"), Step("ROLLBACK"),
        Step("SELECT * FROM y", Fails("42P01", 'relation "y" does not exist')),
        Step("SELECT * FROM x", Rows(((1, 1),))),
    ), "AWS docs: CREATE TABLE", block=False),
    Case("TRUNCATE commits", "transaction", (
        *ONE, Step("BEGIN"), Step("CREATE TABLE y (a int)"), Step("TRUNCATE x"), Step("ROLLBACK"),
        Step("SELECT count(*) FROM x", Rows(((0,),))), Step("SELECT * FROM y", Rows(())),
    ), "AWS docs: TRUNCATE", block=False),
    Case("LOCK outside a block", "transaction", (*ONE, Step("LOCK x")), "AWS docs: LOCK",
         block=False),
    alone("VACUUM", "VACUUM"),
    alone("VACUUM t", "VACUUM"),
    alone("VACUUM DELETE ONLY t TO 99 PERCENT", "VACUUM"),
    alone("ALTER TABLE t APPEND FROM s", "ALTER TABLE APPEND"),
    alone("ALTER TABLE t ALTER COLUMN name TYPE varchar(20)", "ALTER TABLE ALTER COLUMN"),
    Case("a conditional UPDATE waits and finds nothing", "transaction", (
        *ONE, Step("BEGIN"), Step("UPDATE x SET v = 2 WHERE v = 1"), Step("BEGIN", who="b"),
        Step("UPDATE x SET v = 3 WHERE v = 1", who="b", waits=True), Step("COMMIT"),
        Step("COMMIT", who="b"), Step("SELECT v FROM x", Rows(((2,),))),
    ), "observed", block=False),
    Case("DELETEs of different rows queue up", "transaction", (
        *ONE, Step("INSERT INTO x VALUES (2, 2)"), Step("BEGIN"), Step("DELETE FROM x WHERE a = 1"),
        Step("DELETE FROM x WHERE a = 2", who="b", waits=True), Step("COMMIT"),
        Step("COMMIT", who="b"), Step("SELECT count(*) FROM x", Rows(((0,),))),
    ), "observed", block=False),
    Case("a write after a stale read is 1023", "transaction", (
        *ONE, Step("BEGIN"), Step("UPDATE x SET v = 2"), Step("BEGIN", who="b"),
        Step("SELECT v FROM x", Rows(((1,),)), who="b"),
        Step("DELETE FROM x WHERE v = 1", Fails(
            "XX000", "1023",
            "Serializable isolation violation on table - …, transactions forming the cycle are: …",
        ), who="b", waits=True),
        Step("COMMIT"), Step("SELECT 1", ABORTED, who="b"), Step("ROLLBACK", who="b"),
    ), ISOLATION, block=False),
    Case("a snapshot is kept", "transaction", (
        *ONE, Step("BEGIN"), Step("SELECT v FROM x", Rows(((1,),))),
        Step("UPDATE x SET v = 2", who="b"), Step("SELECT v FROM x", Rows(((1,),))),
        Step("COMMIT"), Step("SELECT v FROM x", Rows(((2,),))),
    ), ISOLATION, block=False),
    Case("a snapshot begins with the first statement", "transaction", (
        *ONE, Step("BEGIN"), Step("UPDATE x SET v = 2", who="b"),
        Step("SELECT v FROM x", Rows(((2,),))), Step("COMMIT"),
    ), ISOLATION, block=False),
    Case("readers do not wait for writers", "transaction", (
        *ONE, Step("BEGIN"), Step("UPDATE x SET v = 2"),
        Step("SELECT v FROM x", Rows(((1,),)), who="b"), Step("COMMIT"),
    ), ISOLATION, block=False),
    Case("LOCK holds readers up", "transaction", (
        *ONE, Step("BEGIN"), Step("LOCK x"), Step("UPDATE x SET v = 2"),
        Step("SELECT v FROM x", Rows(((2,),)), who="b", waits=True), Step("COMMIT"),
    ), "AWS docs: LOCK", block=False),
    Case("two of one name: the second waits, then is refused", "transaction", (
        Step("BEGIN"), Step("CREATE TABLE x (a int)"),
        Step("CREATE TABLE x (a int)", Fails("42P07", 'Relation "x" already exists'), who="b",
             waits=True),
        Step("COMMIT"),
    ), "observed", block=False, inferred="text"),
    Case("a swap by rename is one step", "transaction", (
        *ONE, Step("CREATE TABLE y (LIKE x)"), Step("INSERT INTO y VALUES (7, 7)"), Step("BEGIN"),
        Step("ALTER TABLE x RENAME TO old"), Step("ALTER TABLE y RENAME TO x"),
        Step("SELECT a FROM x", Rows(((7,),)), who="b", waits=True), Step("DROP TABLE old"),
        Step("COMMIT"),
    ), "AWS docs: ALTER TABLE", block=False),
)  # fmt: skip
