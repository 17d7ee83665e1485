from __future__ import annotations

import pytest

from tests.support.law import breaches

KEYS = "ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY '***'"


@pytest.mark.parametrize(
    "text",
    [
        f'COPY "stage" ("a", "b") FROM \'s3://b/m.json\' {KEYS} FORMAT AS PARQUET MANIFEST',
        'COPY "stage" ("a") FROM \'s3://b/m.json\' IAM_ROLE default FORMAT AS PARQUET MANIFEST',
        'DELETE FROM "s"."t"',
        'DELETE FROM "s"."t" USING "stage" WHERE "s"."t"."now()" = "stage"."a;b"',
        'ALTER TABLE "s"."t" ADD COLUMN "a, ADD COLUMN b" VARCHAR(1024)',
        'INSERT INTO "s"."_sync_info" ("a", "b") VALUES (%s, %s)',
        'CREATE TEMP TABLE "stage" ("returning" BIGINT)',
        'DROP TABLE "stage"',
        "SELECT pg_backend_pid()",
    ],
)
def test_what_may_be_sent(text: str) -> None:
    assert breaches(text, in_transaction=False) == []


@pytest.mark.parametrize(
    "text",
    [
        "COPY \"t\" FROM 's3://b/m.json' IAM_ROLE default FORMAT AS PARQUET MANIFEST",
        'COPY "t" ("a") FROM \'s3://b/prefix\' IAM_ROLE default FORMAT AS PARQUET',
        (
            'COPY "t" ("a") FROM \'s3://b/m.json\' IAM_ROLE default FORMAT AS PARQUET MANIFEST '
            "COMPUPDATE OFF"
        ),
        (
            f'COPY "t" ("a") FROM \'s3://b/m.json\' {KEYS.replace("***", "in the clear")} '
            "FORMAT AS PARQUET MANIFEST"
        ),
        'TRUNCATE "s"."t"',
        'MERGE INTO "s"."t" USING "u" ON x = y',
        'DELETE FROM "s"."t" x WHERE true',
        'DROP TABLE "s"."t"',
        'DROP TABLE "t" CASCADE',
        'ALTER TABLE "s"."t" ADD COLUMN "a" INT, ADD COLUMN "b" INT',
        'ALTER TABLE "s"."t" ADD COLUMN IF NOT EXISTS "a" INT',
        'ALTER TABLE "s"."t" ALTER COLUMN "a" TYPE BIGINT',
        'CREATE TEMP TABLE "s"."t" ("a" INT)',
        'SELECT 1; SELECT "b"',
        'INSERT INTO "s"."t" ("a") VALUES (1)',
        'INSERT INTO "s"."_sync_info" ("a") VALUES (1), (2)',
        'INSERT INTO "s"."t" ("a") SELECT NOW() FROM "s"."u"',
        'INSERT INTO "s"."t" ("a") SELECT 1 ON CONFLICT DO NOTHING',
        "SAVEPOINT a",
    ],
)
def test_what_may_never_be_sent(text: str) -> None:
    assert breaches(text, in_transaction=False) != []


@pytest.mark.parametrize(
    "text",
    [
        'VACUUM SORT ONLY "s"."t"',
        'ALTER TABLE "s"."t" APPEND FROM "s"."u"',
        'ALTER TABLE "s"."t" ALTER COLUMN "a" TYPE VARCHAR(20)',
        'SELECT "size" FROM svv_table_info',
    ],
)
def test_what_may_not_be_sent_in_a_transaction(text: str) -> None:
    assert breaches(text, in_transaction=False) == []
    assert breaches(text, in_transaction=True) != []
