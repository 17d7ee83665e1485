"""Secrets leave a statement's text before it is noted; kinds are told by the first words."""

from __future__ import annotations

from datetime import datetime

import pytest

from loader.local.redshift.history import Note, masked


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("COPY t FROM 's3://b/k' IAM_ROLE 'arn'", "COPY t FROM 's3://b/k' IAM_ROLE 'arn'"),
        (
            "COPY t FROM 's3://b/k' credentials 'aws_x=1;y=2'",
            "COPY t FROM 's3://b/k' credentials '***'",
        ),
        ("copy t from 'u' WITH CREDENTIALS AS 'k'", "copy t from 'u' WITH CREDENTIALS AS '***'"),
        (
            "UNLOAD ('x') TO 'u' ACCESS_KEY_ID 'a' SECRET_ACCESS_KEY /* c */ 'it''s' SESSION_TOKEN 't'",
            "UNLOAD ('x') TO 'u' ACCESS_KEY_ID '***' SECRET_ACCESS_KEY /* c */ '***' SESSION_TOKEN '***'",
        ),
        ("CREATE USER u PASSWORD 'a\\'b'", "CREATE USER u PASSWORD '***'"),
        ("SELECT 'password' AS hint", "SELECT 'password' AS hint"),
        ("ALTER USER u PASSWORD 'open", ""),
    ],
)
def test_masking(given: str, kept: str) -> None:
    assert masked(given) == kept


@pytest.mark.parametrize(
    ("text", "kind", "writes"),
    [
        ("select 1", "QUERY", False),
        ("(select 1)", "QUERY", False),
        ("CREATE TABLE t AS SELECT 1", "QUERY", True),
        ("CREATE TEMP TABLE t (a int)", "DDL", True),
        ("copy t from 'x'", "QUERY", True),
        ("SET query_group TO 'a'", "UTILITY", False),
        ("", "UTILITY", False),
    ],
)
def test_kinds(text: str, kind: str, writes: bool) -> None:
    note = Note("u", 1, 1, "", text, datetime(2026, 1, 1))  # noqa: DTZ001 - logs have no zone
    assert (note.kind, note.writes) == (kind, writes)
