from __future__ import annotations

import re

import pytest

from loader.model.tables import SESSIONS, Column, bigint, custom, text, timestamp
from loader.warehouse.credentials import CopyAuthorization
from loader.warehouse.ddl import (
    AddColumn,
    CreateStage,
    CreateTable,
    CreateUnionView,
    RenameTable,
)
from loader.warehouse.dml import Copy, DeleteMatching, InsertFromStage
from loader.warehouse.sql import InsertRow, SelectRows, Table, UpdateRow, literal, quote

TARGET = Table("pageviews", "main")


def test_identifiers_are_quoted_and_quotes_doubled() -> None:
    assert quote("order") == '"order"'
    assert quote('a"b') == '"a""b"'
    assert quote("50%s") == '"50%s"'
    assert Table("t", "s").sql == '"s"."t"'


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 128, "é" * 64])
def test_what_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not an identifier"):
        quote(name)


def test_literals_escape_quotes_and_backslashes() -> None:
    assert literal("it's \\ here") == "'it''s \\\\ here'"
    with pytest.raises(ValueError, match="NUL"):
        literal("a\0")


def test_a_table_has_its_keys_and_not_null() -> None:
    columns = (bigint("user_id", nullable=False), timestamp("time", nullable=False), text("path"))
    assert CreateTable(TARGET, columns, "time", "user_id").render().text == (
        'CREATE TABLE "main"."pageviews" ("user_id" BIGINT NOT NULL, "time" TIMESTAMP NOT NULL, '
        '"path" VARCHAR(2048)) DISTSTYLE KEY DISTKEY ("user_id") COMPOUND SORTKEY ("time") '
        "ENCODE AUTO"
    )


def test_a_stage_has_no_schema_and_fixed_encodings() -> None:
    rendered = CreateStage("stage", SESSIONS.columns, "time", "user_id").render().text
    assert rendered.startswith('CREATE TEMP TABLE "stage" ("event_id" BIGINT NOT NULL ENCODE AZ64')
    assert '"time" TIMESTAMP NOT NULL ENCODE RAW' in rendered
    assert len(re.findall(" ENCODE ", rendered)) == len(SESSIONS.columns)


def test_copy_hides_its_secrets_everywhere_but_on_the_wire() -> None:
    authorization = CopyAuthorization(None, "AKID", "very-secret", "token-secret")
    statement = Copy(Table("stage"), ("a", "b"), "s3://b/m.json", authorization)
    rendered = statement.render()
    assert rendered.text == (
        'COPY "stage" ("a", "b") FROM \'s3://b/m.json\' ACCESS_KEY_ID \'AKID\' '
        "SECRET_ACCESS_KEY 'very-secret' SESSION_TOKEN 'token-secret' FORMAT AS PARQUET MANIFEST"
    )
    for shown in (rendered.shown, repr(rendered), repr(statement), repr(authorization)):
        assert "secret" not in shown.lower().replace("secret_access_key", "")


def test_copy_with_a_role() -> None:
    role = "arn:aws:iam::123456789012:role/loader"
    assert CopyAuthorization(role).clause() == f"IAM_ROLE '{role}'"
    assert CopyAuthorization("default").clause() == "IAM_ROLE default"


def test_values_travel_beside_the_text() -> None:
    rendered = InsertRow(Table("l", "s"), {"a": "'; DROP", "b": None}).render()
    assert rendered.text == 'INSERT INTO "s"."l" ("a", "b") VALUES (%s, %s)'
    assert rendered.parameters == ("'; DROP", None)
    rendered = UpdateRow(Table("l", "s"), {"v": 2}, {"k": "x", "v": 1}).render()
    assert rendered.text == 'UPDATE "s"."l" SET "v" = %s WHERE "k" = %s AND "v" = %s'
    assert rendered.parameters == (2, "x", 1)
    rendered = SelectRows(Table("l"), ("a",), {"k": 1}, ("a",), descending=True, limit=1).render()
    assert rendered.text == 'SELECT "a" FROM "l" WHERE "k" = %s ORDER BY "a" DESC LIMIT 1'


def test_one_column_a_statement() -> None:
    assert AddColumn(TARGET, custom("plan")).render().text == (
        'ALTER TABLE "main"."pageviews" ADD COLUMN "plan" VARCHAR(1024)'
    )
    assert RenameTable(TARGET, "views").render().text == (
        'ALTER TABLE "main"."pageviews" RENAME TO "views"'
    )


def test_a_delete_has_no_alias_and_asks_for_later_rows_only() -> None:
    assert DeleteMatching(TARGET, "stage", ("user_id",)).render().text == (
        'DELETE FROM "main"."pageviews" USING "stage" '
        'WHERE "main"."pageviews"."user_id" = "stage"."user_id"'
    )
    later = DeleteMatching(TARGET, "stage", ("user_id", "event_id"), "time").render().text
    assert '"main"."pageviews"."time" > "stage"."time"' in later


def test_rows_come_once_a_key_in_order_and_only_if_absent() -> None:
    rendered = InsertFromStage(
        TARGET, "stage", ("event_id", "time"), ("event_id",), ("time",), "time", absent_only=True
    ).render()
    assert rendered.text == (
        'INSERT INTO "main"."pageviews" ("event_id", "time") '
        'SELECT s."event_id", s."time" FROM (SELECT "event_id", "time", ROW_NUMBER() OVER '
        '(PARTITION BY "event_id" ORDER BY "time") AS "_copy" FROM "stage") s '
        'LEFT JOIN "main"."pageviews" t ON t."event_id" = s."event_id" '
        'WHERE s."_copy" = 1 AND t."event_id" IS NULL ORDER BY s."time"'
    )


def test_the_union_view_binds_to_nothing() -> None:
    view = CreateUnionView(Table("v", "s"), (Table("a", "s"), Table("b", "s")), ("id",), "which")
    assert view.render().text == (
        'CREATE OR REPLACE VIEW "s"."v" AS '
        'SELECT "id", CAST(\'a\' AS VARCHAR(127)) AS "which" FROM "s"."a" UNION ALL '
        'SELECT "id", CAST(\'b\' AS VARCHAR(127)) AS "which" FROM "s"."b" WITH NO SCHEMA BINDING'
    )


def test_a_column_type() -> None:
    assert Column("a", "INTEGER").sql_type == "INTEGER"
