"""Upper and lower case beyond ASCII, as a table for the backend.

The database counts bytes (SQL_ASCII, locale C), so PostgreSQL itself knows no letters beyond ASCII.
"""

from __future__ import annotations

import sys


def script() -> str:
    """SQL that makes ``pg_stand_in.letter``: each small letter, its big one, and whether that leads back."""
    pairs = []
    for code in range(0x80, sys.maxunicode + 1):
        small = chr(code)
        big = small.upper()
        if small.isprintable() and big != small and len(big) == 1:
            pairs.append(f"('{small}','{big}',{str(big.lower() == small).lower()})")
    rows = ",".join(pairs)
    return (
        "CREATE TABLE IF NOT EXISTS pg_stand_in.letter"
        " (small text PRIMARY KEY, big text NOT NULL, back boolean NOT NULL);\n"
        "CREATE INDEX IF NOT EXISTS letter_big ON pg_stand_in.letter (big);\n"
        f"INSERT INTO pg_stand_in.letter VALUES {rows} ON CONFLICT DO NOTHING;"
    )
