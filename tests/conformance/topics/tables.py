"""Tables: attributes, types, identity columns, ALTER, APPEND, MERGE and writes that Redshift takes."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from tests.conformance.case import Case, Fails, Ok, Rows, Step, accepted, gives, not_here, refused

CREATE = "AWS docs: CREATE TABLE"
ALTER = "AWS docs: ALTER TABLE"
APPEND = "AWS docs: ALTER TABLE APPEND"
MERGE = "AWS docs: MERGE"
DEF = 'SELECT "column", type, encoding, distkey, sortkey, "notnull" FROM pg_table_def'
ON = "MERGE INTO t USING s ON t.id = s.id "
TYPED = (
    "CREATE TABLE x (a varchar(max), b text, c varchar, d nvarchar, e bpchar, f char, "
    "g decimal, h float, i timestamp, j timestamptz)"
)
DELETING = (
    "MERGE INTO t USING s q ON t.id = q.id WHEN MATCHED THEN DELETE "
    "WHEN NOT MATCHED THEN INSERT VALUES (q.id, q.name, q.at)"
)
FILL = "INSERT INTO s (id, name) VALUES (1, 'x'), (9, 'n')"


def definition(create: str, *rows: tuple[object, ...], name: str = "") -> Case:
    """What pg_table_def says of a table that was just made."""
    query = f"{DEF} WHERE tablename = 'x'"
    return gives(query, *rows, source=CREATE, before=(create,), name=name or create)


def outside_merge(sql: str, near: str) -> Case:
    """A MERGE outside its grammar."""
    text = f'syntax error at or near "{near}"'
    return refused(sql, "42601", text, MERGE, inferred="text")


CASES = (
    # Attributes
    accepted("CREATE TABLE x (a int ENCODE az64 DISTKEY SORTKEY, b varchar(10) ENCODE zstd)",
             source=CREATE),
    accepted("CREATE TABLE x (a int) DISTSTYLE EVEN", source=CREATE),
    accepted("CREATE TABLE x (a int) DISTSTYLE ALL SORTKEY (a)", source=CREATE),
    accepted("CREATE TABLE x (a int) DISTSTYLE KEY DISTKEY (a)", source=CREATE),
    accepted("CREATE TABLE x (a int) DISTSTYLE AUTO SORTKEY AUTO ENCODE AUTO", source=CREATE),
    accepted("CREATE TABLE x (a int, b int) COMPOUND SORTKEY (a, b)", source=CREATE),
    accepted("CREATE TABLE x (a int, b int) INTERLEAVED SORTKEY (a, b)", source=CREATE),
    accepted("CREATE TABLE x (a int) BACKUP NO", source=CREATE),
    accepted("CREATE TABLE IF NOT EXISTS t (z int)", source=CREATE),
    accepted("CREATE TABLE x (a int PRIMARY KEY, b int UNIQUE, c int REFERENCES t (id), "
             "FOREIGN KEY (c) REFERENCES t (id), UNIQUE (a, b))", source=CREATE),
    accepted("CREATE TABLE x (CONSTRAINT k PRIMARY KEY (a), a int, b int)", source=CREATE),
    accepted("CREATE TABLE x (a varchar(9) DEFAULT 'q' NOT NULL ENCODE lzo, b timestamp "
             "DEFAULT sysdate, c timestamp DEFAULT getdate())", source=CREATE),
    accepted("CREATE TEMP TABLE x (LIKE t INCLUDING DEFAULTS)", source=CREATE),
    accepted("CREATE LOCAL TEMPORARY TABLE x (a int)", source=CREATE),
    accepted("CREATE TABLE x (LIKE t, r bigint IDENTITY(1,1))", source="observed"),
    accepted("CREATE TABLE x DISTKEY (a) SORTKEY (b) AS SELECT a, b FROM n",
             source="AWS docs: CREATE TABLE AS"),
    accepted("CREATE TABLE x AS (SELECT a, b FROM n)", source="AWS docs: CREATE TABLE AS"),
    accepted("CREATE TABLE x (c, d) AS SELECT a, b FROM n", source="AWS docs: CREATE TABLE AS"),
    gives("SELECT a FROM #x", (1,), before=("CREATE TABLE #x (a int)", "INSERT INTO #x VALUES (1)"),
          source=CREATE, name="a # table"),
    gives("SELECT z FROM t", (5,), source=CREATE, name="a temporary table hides another",
          before=("CREATE TEMP TABLE t (z int)", "INSERT INTO t VALUES (5)")),
    definition(
        "CREATE TABLE x (a bigint NOT NULL DISTKEY SORTKEY, b varchar(10), c decimal(18,2) "
        "ENCODE zstd, d boolean)",
        ("a", "bigint", "none".ljust(32), True, 1, True),
        ("b", "character varying(10)", "lzo".ljust(32), False, 0, False),
        ("c", "numeric(18,2)", "zstd".ljust(32), False, 0, False),
        ("d", "boolean", "none".ljust(32), False, 0, False),
        name="pg_table_def",
    ),
    gives("SELECT type FROM pg_table_def WHERE tablename = 'x'", ("character varying(65535)",),
          ("character varying(256)",), ("character varying(256)",), ("character varying(256)",),
          ("character(256)",), ("character(1)",), ("numeric(18,0)",), ("double precision",),
          ("timestamp without time zone",), ("timestamp with time zone",), source=CREATE,
          before=(TYPED,), name="types by default"),
    accepted("CREATE TABLE x (a int2, b int4, c int8, d float4, e float8, f bool, g nchar(3), "
             "h national character varying(3), i character varying(3), j double precision, "
             "k timestamp without time zone, l time, m timetz, n numeric(38,37), o super, "
             "p varbyte(10))", source="AWS docs: Data types", name="all names of types"),
    # Never enforced, and enforced
    gives("SELECT count(*) FROM x", (2,), source="AWS docs: Defining table constraints",
          before=("CREATE TABLE x (a int PRIMARY KEY, b int UNIQUE, c int REFERENCES t (id))",
                  "INSERT INTO x VALUES (1, 1, 7), (1, 1, 7)"), name="keys are not enforced"),
    refused("INSERT INTO x VALUES (NULL)", "XX000", "Cannot insert a NULL value into column a",
            CREATE, before=("CREATE TABLE x (a int PRIMARY KEY)",),
            name="a primary key is NOT NULL"),
    gives("SELECT c FROM n WHERE a = 9", (Decimal("1.24"),), source="AWS docs: INSERT",
          before=("INSERT INTO n (a, c) VALUES (9, 1.235)",), name="INSERT rounds decimals"),
    # Identity
    gives("SELECT count(DISTINCT a), min(a) FROM x", (2, 1), source=CREATE, name="IDENTITY",
          before=("CREATE TABLE x (a bigint IDENTITY(1,1), b int)",
                  "INSERT INTO x (b) VALUES (1), (2)")),
    gives("SELECT a FROM x ORDER BY b", (5,), (0,), source=CREATE, name="IDENTITY by default",
          before=("CREATE TABLE x (a bigint GENERATED BY DEFAULT AS IDENTITY(0,2), b int)",
                  "INSERT INTO x VALUES (5, 1)", "INSERT INTO x VALUES (DEFAULT, 2)")),
    # ALTER TABLE
    accepted("ALTER TABLE t ADD COLUMN a int", source=ALTER),
    accepted("ALTER TABLE t ADD a varchar(9) DEFAULT 'x' NOT NULL ENCODE zstd", source=ALTER),
    accepted("ALTER TABLE t DROP COLUMN name", source=ALTER),
    accepted("ALTER TABLE t DROP COLUMN name CASCADE", source=ALTER),
    accepted("ALTER TABLE t RENAME TO u", source=ALTER),
    accepted("ALTER TABLE t RENAME COLUMN name TO title", source=ALTER),
    accepted("ALTER TABLE t ALTER COLUMN name ENCODE zstd", source=ALTER),
    accepted("ALTER TABLE t ALTER COLUMN name ENCODE zstd, ALTER COLUMN id ENCODE az64",
             source=ALTER),
    accepted("ALTER TABLE t ALTER DISTKEY id", source=ALTER),
    accepted("ALTER TABLE t ALTER DISTSTYLE ALL", source=ALTER),
    accepted("ALTER TABLE t ALTER DISTSTYLE KEY DISTKEY id", source=ALTER),
    accepted("ALTER TABLE t ALTER SORTKEY (id)", source=ALTER),
    accepted("ALTER TABLE t ALTER COMPOUND SORTKEY (id, at)", source=ALTER),
    accepted("ALTER TABLE t ALTER SORTKEY AUTO", source=ALTER),
    accepted("ALTER TABLE t ALTER SORTKEY NONE", source=ALTER),
    accepted("ALTER TABLE t ALTER ENCODE AUTO", source=ALTER),
    accepted("ALTER TABLE t ALTER DISTKEY id, ALTER SORTKEY (id)", source=ALTER),
    accepted("ALTER TABLE t ADD PRIMARY KEY (id)", source=ALTER),
    accepted("ALTER TABLE t ADD CONSTRAINT k UNIQUE (id)", source=ALTER),
    accepted("ALTER TABLE t ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES s (id)", source=ALTER),
    accepted("ALTER TABLE t ADD CONSTRAINT k UNIQUE (id)", "ALTER TABLE t DROP CONSTRAINT k",
             source=ALTER),
    accepted("CREATE TABLE x (s varchar(9))", "ALTER TABLE x ALTER COLUMN s TYPE varchar(20)",
             source=ALTER, block=False, name="a longer VARCHAR"),
    accepted("CREATE TABLE x (s varchar(9))", "INSERT INTO x VALUES ('abc')",
             "ALTER TABLE x ALTER COLUMN s TYPE varchar(3)", source=ALTER, block=False,
             name="a shorter VARCHAR that holds all values"),
    accepted("COMMENT ON TABLE t IS 'x'", source="AWS docs: COMMENT"),
    accepted("COMMENT ON COLUMN t.id IS 'x'", source="AWS docs: COMMENT"),
    accepted("DROP TABLE IF EXISTS absent", source="AWS docs: DROP TABLE"),
    accepted("DROP TABLE t, s", source="AWS docs: DROP TABLE"),
    accepted("CREATE VIEW w AS SELECT id FROM t", "DROP TABLE t CASCADE",
             source="AWS docs: DROP TABLE", name="DROP TABLE ... CASCADE"),
    accepted("CREATE OR REPLACE VIEW w AS SELECT id FROM t", source="AWS docs: CREATE VIEW"),
    accepted("CREATE VIEW w (z) AS SELECT id FROM t", source="AWS docs: CREATE VIEW"),
    accepted("CREATE VIEW w AS SELECT id FROM t", "DROP VIEW w", source="AWS docs: DROP VIEW",
             name="DROP VIEW"),
    # APPEND
    Case("ALTER TABLE APPEND", "accepted", (
        Step("CREATE TABLE x (a int, b varchar(5))"), Step("CREATE TABLE y (b varchar(5), a int)"),
        Step("INSERT INTO y VALUES ('q', 1)"), Step("ALTER TABLE x APPEND FROM y"),
        Step("SELECT a, b FROM x", Rows(((1, "q"),))), Step("SELECT count(*) FROM y", Rows(((0,),))),
    ), APPEND, block=False),
    Case("ALTER TABLE APPEND FILLTARGET", "accepted", (
        Step("CREATE TABLE x (a int, b int DEFAULT 4)"), Step("CREATE TABLE y (a int)"),
        Step("INSERT INTO y VALUES (1)"), Step("ALTER TABLE x APPEND FROM y FILLTARGET"),
        Step("SELECT a, b FROM x", Rows(((1, 4),))),
    ), APPEND, block=False),
    Case("ALTER TABLE APPEND IGNOREEXTRA", "accepted", (
        Step("CREATE TABLE x (a int)"), Step("CREATE TABLE y (a int, b int)"),
        Step("INSERT INTO y VALUES (1, 2)"), Step("ALTER TABLE x APPEND FROM y IGNOREEXTRA"),
        Step("SELECT a FROM x", Rows(((1,),))),
    ), APPEND, block=False),
    *(
        refused("ALTER TABLE x APPEND FROM y", "0A000", "…", APPEND, block=False,
                inferred="code, text", name=f"APPEND of {what}",
                before=(f"CREATE TABLE x ({target})", f"CREATE TABLE y ({source})"))
        for what, target, source in (
            ("another type", "a int", "a bigint"),
            ("another length", "a varchar(5)", "a varchar(6)"),
            ("another encoding", "a int ENCODE zstd", "a int ENCODE raw"),
            ("other nullability", "a int NOT NULL", "a int"),
            ("fewer columns", "a int, b int", "a int"),
            ("more columns", "a int", "a int, b int"),
            ("another distribution key", "a int DISTKEY", "a int"),
            ("another sort key", "a int SORTKEY", "a int"),
            ("an identity column", "a int IDENTITY(1,1)", "a int IDENTITY(1,1)"),
        )
    ),
    refused("ALTER TABLE x APPEND FROM y IGNOREEXTRA FILLTARGET", "42601", "…", APPEND, block=False,
            inferred="text", before=("CREATE TABLE x (a int)", "CREATE TABLE y (a int)"),
            name="APPEND with both options"),
    refused("ALTER TABLE hidden APPEND FROM y", "0A000", "…", APPEND, block=False,
            inferred="code, text", before=("CREATE TEMP TABLE hidden (a int)", "CREATE TABLE y (a int)"),
            name="APPEND to a temporary table"),
    # MERGE
    gives("SELECT id, name FROM t ORDER BY id", (1, "x"), (9, "n"), source=MERGE, name="MERGE",
          before=(FILL, ON + "WHEN MATCHED THEN UPDATE SET name = s.name "
                  "WHEN NOT MATCHED THEN INSERT (id, name) VALUES (s.id, s.name)")),
    gives("SELECT id FROM t ORDER BY id", (9,), source=MERGE, name="MERGE that deletes",
          before=(FILL, DELETING)),
    gives("SELECT id, name FROM t ORDER BY id", (1, "x"), (9, "n"), source=MERGE,
          before=(FILL, "INSERT INTO s SELECT * FROM s", ON + "REMOVE DUPLICATES"),
          name="MERGE REMOVE DUPLICATES"),
    gives("SELECT count(*) FROM t WHERE id = 9", (2,), source="observed",
          before=("INSERT INTO s (id) VALUES (9), (9)", ON + "WHEN MATCHED THEN DELETE "
                  "WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)"),
          name="MERGE inserts a key twice"),
    refused(ON + "WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT "
            "(id) VALUES (s.id)", "XX000", "Found multiple matches to update the same tuple.", MERGE,
            before=("INSERT INTO s (id, name) VALUES (1, 'x'), (1, 'y')",), inferred="code",
            name="MERGE with two matches"),
    refused("MERGE INTO t USING w ON t.id = w.id REMOVE DUPLICATES", "0A000", "…", MERGE,
            before=("CREATE VIEW w AS SELECT * FROM s",), inferred="code, text",
            name="MERGE from a view"),
    refused("MERGE INTO t USING t ON t.id = t.id REMOVE DUPLICATES", "0A000", "…", MERGE,
            inferred="code, text", name="MERGE from itself"),
    refused("MERGE INTO t USING n ON t.id = n.a REMOVE DUPLICATES", "0A000", "…", MERGE,
            inferred="code, text", name="MERGE REMOVE DUPLICATES of other columns"),
    refused(ON + "WHEN MATCHED THEN DELETE", "42601", "syntax error at end of input", MERGE,
            inferred="text", name="MERGE with one clause"),
    outside_merge("MERGE INTO t x USING s ON x.id = s.id REMOVE DUPLICATES", "x"),
    outside_merge("MERGE INTO t AS x USING s ON x.id = s.id REMOVE DUPLICATES", "AS"),
    outside_merge("MERGE INTO t USING (SELECT * FROM s) q ON t.id = q.id REMOVE DUPLICATES", "("),
    outside_merge(ON + "WHEN NOT MATCHED THEN INSERT VALUES (s.id)", "NOT"),
    outside_merge(ON + "WHEN MATCHED AND s.id > 1 THEN DELETE", "AND"),
    outside_merge(ON + "WHEN MATCHED THEN DO NOTHING", "DO"),
    outside_merge(ON + "WHEN MATCHED THEN UPDATE SET t.name = 'x' WHEN NOT MATCHED THEN INSERT "
                  "VALUES (s.id)", "."),
    outside_merge(ON + "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (s.id) "
                  "RETURNING *", "RETURNING"),
    outside_merge(ON + "WHEN NOT MATCHED BY SOURCE THEN DELETE", "NOT"),
    outside_merge("WITH q AS (SELECT 1) MERGE INTO t USING s ON t.id = s.id REMOVE DUPLICATES",
                  "MERGE"),
    # Other writes
    gives("SELECT id FROM t", source="AWS docs: DELETE",
          before=("INSERT INTO s (id) VALUES (1)", "DELETE FROM t USING s WHERE t.id = s.id"),
          name="DELETE USING"),
    gives("SELECT name FROM t", ("z",), source="AWS docs: UPDATE",
          before=("INSERT INTO s (id, name) VALUES (1, 'z')",
                  "UPDATE t AS q SET name = s.name FROM s WHERE q.id = s.id"),
          name="UPDATE with an alias"),
    accepted("DELETE t WHERE id = 1", source="AWS docs: DELETE"),
    accepted("WITH q AS (SELECT 1 AS id) DELETE FROM t USING q WHERE t.id = q.id",
             source="AWS docs: WITH clause"),
    accepted("WITH q AS (SELECT 1 AS id) INSERT INTO t (id) SELECT id FROM q",
             source="AWS docs: WITH clause"),
    accepted("INSERT INTO t (SELECT * FROM s ORDER BY id)", source="AWS docs: INSERT"),
    accepted("INSERT INTO t VALUES (2, DEFAULT, NULL)",
             source="AWS docs: INSERT"),
    accepted("INSERT INTO t VALUES (2, 'b', getdate()), (3, 'c', sysdate)",
             source="AWS docs: INSERT"),
    gives("SELECT at FROM t", (dt.datetime(2026, 1, 2, 3, 4, 5, 678901),),  # noqa: DTZ001
          source="AWS docs: Datetime types", name="microseconds"),
    # Names
    gives("SELECT a FROM mixed", (1,), source="AWS docs: Names and identifiers",
          before=('CREATE TABLE "Mixed" ("A" int)', "INSERT INTO MIXED VALUES (1)"),
          name="quoted names are folded"),
    gives('SELECT "Ä" FROM x', (1,), source="AWS docs: Names and identifiers",
          before=('CREATE TABLE x ("Ä" int)', "INSERT INTO x VALUES (1)"),
          name="letters beyond ASCII are not folded"),
    gives("SELECT tablename FROM pg_table_def WHERE tablename LIKE 'l%'", ("l" * 127,),
          source="AWS docs: Names and identifiers", before=(f"CREATE TABLE {'l' * 127} (a int)",),
          name="a name of 127 bytes"),
    Case("a name of 128 bytes is cut", "accepted", (
        Step(f"CREATE TABLE {'m' * 128} (a int)",
             Ok(notice='identifier "…" will be truncated to "…"')),
        Step("SELECT tablename FROM pg_table_def WHERE tablename LIKE 'm%'", Rows((("m" * 127,),))),
    ), "AWS docs: Names and identifiers"),
    Case("names keep their case on demand", "accepted", (
        Step("SET enable_case_sensitive_identifier TO true"), Step('CREATE TABLE "Kept" (a int)'),
        Step("SELECT * FROM kept", Fails("42P01", 'relation "kept" does not exist')),
    ), "AWS docs: enable_case_sensitive_identifier"),
    # Maintenance
    accepted("VACUUM", source="AWS docs: VACUUM", block=False),
    accepted("CREATE TABLE x (a int)", "VACUUM FULL x TO 100 PERCENT", "VACUUM SORT ONLY x BOOST",
             "VACUUM DELETE ONLY x TO 75 PERCENT", "VACUUM REINDEX x", "VACUUM RECLUSTER x",
             source="AWS docs: VACUUM", block=False, name="modes of VACUUM"),
    accepted("ANALYZE t", source="AWS docs: ANALYZE"),
    accepted("ANALYZE t (id, name)", source="AWS docs: ANALYZE"),
    accepted("ANALYZE VERBOSE t PREDICATE COLUMNS", source="AWS docs: ANALYZE"),
    accepted("ANALYZE t ALL COLUMNS", source="AWS docs: ANALYZE"),
    accepted("LOCK TABLE t", source="AWS docs: LOCK"),
    accepted("LOCK t, s", source="AWS docs: LOCK"),
    not_here("COLLATE", "CREATE TABLE x (a varchar(9) COLLATE CASE_INSENSITIVE)"),
    *(not_here(f"type {name.upper()}", f"CREATE TABLE x (a {name})")
      for name in ("geometry", "geography", "hllsketch", "interval")),
)  # fmt: skip
