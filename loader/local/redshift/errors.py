"""The one error that a client of the stand-in sees: SQLSTATE, text, and the optional boxed DETAIL."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False, slots=True)
class SqlError(Exception):
    """Sent to the client as an ErrorResponse.

    Attributes:
        code: SQLSTATE, five characters.
        message: Redshift's text, or a text starting ``stand-in:`` where Redshift would do the work.
        detail: the DETAIL field, empty for none.
        severity: ``ERROR``, or ``FATAL`` where the connection ends with it.
        hint: the HINT field, empty for none.
    """

    code: str
    message: str
    detail: str = ""
    severity: str = "ERROR"
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def not_here(what: str) -> SqlError:
    """Redshift can do it, the stand-in cannot: refused by name, never ignored."""
    return SqlError("0A000", f"stand-in: {what} is not supported here")


def syntax_error(near: str) -> SqlError:
    """What the server says where its grammar ends."""
    return SqlError("42601", f'syntax error at or near "{near}"')


def unsupported(what: str) -> SqlError:
    """A PostgreSQL feature that Redshift does not have; ``what`` is the whole text."""
    return SqlError("0A000", what)


LEADER_ONLY = (
    "Specified types or functions (one per INFO message) not supported on Redshift tables."
)
ABORTED = SqlError(
    "25P02",
    "current transaction is aborted, commands ignored until end of transaction block",
)
VIOLATION = "Serializable isolation violation on table -"
CYCLE = "transactions forming the cycle are:"
