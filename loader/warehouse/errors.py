"""What a warehouse answers when it refuses, sorted into the loader's kinds of errors.

The driver raises ``ProgrammingError`` for nearly everything, so the SQLSTATE and the text decide
(the driver's own source; AWS docs: serializable isolation, Redshift load error reference).
"""

from __future__ import annotations

import re
from typing import Any, Final

from loader.errors import LoaderError, NeedsOperator, Terminal, Transient, Unreachable

DUPLICATE_COLUMN: Final = "42701"
DUPLICATE_TABLE: Final = "42P07"

_AUTHENTICATION: Final = frozenset({"28000", "28P01"})
_GOING_DOWN: Final = frozenset({"57P01", "57P02", "57P03"})
_CONFLICT = re.compile(
    r"\b10(?:23|18)\b|conflict with concurrent transaction|deadlock|in resize mode", re.IGNORECASE
)
_HINTS: Final = {
    "42501": "Grant the loader's user what is missing: heap-loader doctor prints the statement.",
    "57014": "A time limit (warehouse.statement_timeout, the user's own, a WLM rule) or a person ended it.",
}


class ConnectionLost(Transient):
    """The socket was closed. What the server did with the last statement is not known."""


class Refused(Terminal):
    """The warehouse, its bastion or AWS does not let us in: no retry helps. Exit status 4."""

    exit_code = Unreachable.exit_code


class TransactionConflict(Transient):
    """Another transaction won; the whole transaction is to be tried again."""


class StatementRefused(Terminal):
    """The server refused a statement.

    Attributes:
        sqlstate: five characters; empty where the server sent none.
    """

    def __init__(self, message: str, *, hint: str = "", sqlstate: str = "") -> None:
        super().__init__(message, hint=hint)
        self.sqlstate = sqlstate


class LoadRefused(StatementRefused):
    """A COPY failed on its files."""


def fields_of(error: BaseException) -> dict[str, str]:
    """The error fields (``C``, ``M``, ``D`` ...) of a driver's exception; empty where it has none."""
    first: Any = error.args[0] if error.args else None
    return {str(k): str(v) for k, v in first.items()} if isinstance(first, dict) else {}


def classify(fields: dict[str, str], where: str, statement: str) -> LoaderError:
    """An answered error as one of ours.

    Args:
        fields: of the ErrorResponse.
        where: ``host:port/database``.
        statement: the text without secrets.
    """
    code, text, detail = fields.get("C", ""), fields.get("M", ""), fields.get("D", "")
    if code in _AUTHENTICATION:
        return refused_login(where, text)
    if code in _GOING_DOWN:
        return ConnectionLost(f"{where}: {text}.")
    if code == "40001" or (code in {"XX000", "40P01", ""} and _CONFLICT.search(text)):
        return TransactionConflict(f"{where}: {text}.", hint="Tried again by itself.")
    if code in _HINTS:
        return StatementRefused(
            f"{where}: {text}, in: {_short(statement)}.", hint=_HINTS[code], sqlstate=code
        )
    if "Spectrum Scan Error" in text or "Problem reading manifest" in text:
        return _load_error(text, detail, where, statement)
    return StatementRefused(
        f"{where}: {text} (SQLSTATE {code or 'none'}), in: {_short(statement)}.", sqlstate=code
    )


def refused_login(where: str, text: str) -> Unreachable:
    """The credentials, the user or the database are not accepted."""
    return Unreachable(
        f"{where} refused the login: {text}.",
        hint="Check warehouse.user, warehouse.password and warehouse.database.",
    )


def _load_error(text: str, detail: str, where: str, statement: str) -> LoaderError:
    """A COPY that failed on a file: the server's DETAIL names the file, the column and the fault."""
    context = _boxed(detail, "context") or " ".join(detail.split())
    message = f"{where}: {text}. {context} In: {_short(statement)}."
    if re.search(r"not found|NoSuchKey|does not exist|InvalidRange|Status 416", text + context):
        return NeedsOperator(
            message, hint="A COPY file of this sync is missing or altered: run the sync again."
        )
    return LoadRefused(
        message,
        hint="Nothing was changed. The file is not what its table expects: report it, and keep it.",
        sqlstate="XX000",
    )


def _boxed(detail: str, field: str) -> str:
    """One field of the server's multi-line DETAIL block; it may be continued on further lines."""
    match = re.search(rf"^\s*{field}:\s*(.*?)(?=^\s*\w+:\s|\Z)", detail, re.DOTALL | re.MULTILINE)
    return " ".join(match[1].split()).strip("- ") if match else ""


def _short(statement: str) -> str:
    return statement if len(statement) <= 200 else statement[:200] + "..."
