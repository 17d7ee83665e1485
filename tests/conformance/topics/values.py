"""Functions and literals of Redshift, and what they give."""

from __future__ import annotations

from tests.conformance.case import value

CASES = (
    value("DATEDIFF(year, '2025-12-31', '2026-01-01')", 1, "AWS docs: DATEDIFF"),
    value("NVL(NULL, NULL, 3)", 3, "AWS docs: NVL"),
)
