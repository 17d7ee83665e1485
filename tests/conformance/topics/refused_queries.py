"""Queries and writes that PostgreSQL takes and Redshift does not."""

from __future__ import annotations

from tests.conformance.case import refused

CASES = (
    refused("SELECT 1; SELECT 2", "42601",
            "cannot insert multiple commands into a prepared statement", "observed",
            client="redshift_connector", name="two statements in one Parse"),
    refused("INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "42601",
            'syntax error at or near "ON"', "observed"),
    refused("SELECT DISTINCT ON (id) id FROM t", "0A000", "SELECT DISTINCT ON is not supported",
            "observed", inferred="code"),
)  # fmt: skip
