"""PostgreSQL's errors and notices in Redshift's words."""

from __future__ import annotations

import re

from loader.local.redshift import wire
from loader.local.redshift.errors import CYCLE, VIOLATION, SqlError
from loader.local.redshift.names import LongNames

_NULL = re.compile(r'null value in column "(?P<column>[^"]+)"')
# Two sessions created one name at the same time, and the other has committed.
_TWICE = re.compile(
    r"pg_(?:type_typname|class_relname)_nsp_index.*=\((?P<name>.*), \d+\)", re.DOTALL
)
_PRINCIPAL = re.compile(r'\brole "(?:(?P<kind>group|role):)?(?P<name>[^"]+)"')
_RELATION = re.compile(
    r"^(permission denied for|must be owner of) (?:table|view|sequence|materialized view|index) "
)
# Redshift begins these with a capital letter, and no other.
_CAPITAL = re.compile(
    r'relation ".*" already exists$|(table|view) ".*" does not exist|schema ".*" already exists'
)
# A nested BEGIN and a stray COMMIT or ROLLBACK are accepted in silence.
_SILENT_NOTICES = frozenset({"25001", "25P01"})


def to_redshift(error: SqlError) -> SqlError:
    """Change code and text where Redshift's differ; anything else is handed on."""
    code, message, detail = error.code, error.message, error.detail
    if code == "23502" and (match := _NULL.search(message)):
        code, message, detail = "XX000", null_text(match["column"]), ""
    elif code == "23505" and (match := _TWICE.search(f"{message} {detail}")):
        code, message, detail = "42P07", f'Relation "{match["name"]}" already exists', ""
    elif code == "40001":
        code, message, detail = "XX000", "1023", f"{VIOLATION} 0, {CYCLE} unknown"
    elif code == "40P01":
        code, message = "XX000", "deadlock detected"
    elif code == "21000" and message.startswith("MERGE"):
        code, message, detail = "XX000", "Found multiple matches to update the same tuple.", ""
    elif code == "428C9":
        code, message, detail = "0A000", "cannot set an identity column to a value", ""
    elif _CAPITAL.match(message):
        message = message[:1].upper() + message[1:]
    elif code == "57014":
        message = "Query cancelled on user's request" if "user request" in message else message
    elif code in ("42501", "42704", "42710", "2BP01", "53300", "28000"):
        message = _PRINCIPAL.sub(
            lambda match: f'{match["kind"] or "user"} "{match["name"]}"', message
        )
        message = _RELATION.sub(r"\1 relation ", message)
        detail = "" if code == "42501" else detail
    message = message.replace("pg_stand_in.", "")
    hint = "" if (code, detail) != (error.code, error.detail) else error.hint
    return SqlError(code, message, detail, error.severity, hint)


def null_text(column: str) -> str:
    """What Redshift says of a NULL in a NOT NULL column."""
    return f"Cannot insert a NULL value into column {column}"


def error_fields(error: SqlError, names: LongNames) -> wire.Fields:
    """The ErrorResponse of an error: only the fields that Redshift sends."""
    fields = {"S": error.severity, "C": error.code, "M": names.restore_text(error.message)}
    if error.detail:
        fields["D"] = names.restore_text(error.detail)
    if error.hint:
        fields["H"] = names.restore_text(error.hint)
    return fields


def notice_fields(body: bytes, names: LongNames) -> wire.Fields | None:
    """A backend's notice for the client; none where Redshift is silent."""
    fields = wire.parse_fields(body)
    if fields.get("C") in _SILENT_NOTICES:
        return None
    return {
        key: names.restore_text(value) for key, value in fields.items() if key in ("S", "C", "M")
    }
