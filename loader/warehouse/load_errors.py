"""What a failed COPY says of its file: never the value, which may be a person's.

The answer to COPY names the file and the column; the server's own table of load errors has the line
and the type too, for whoever may read it (AWS docs: SYS_LOAD_ERROR_DETAIL). Reading that takes
seconds, so it is done after a failure only.
"""

from __future__ import annotations

import re
from typing import Any

from loader.errors import LoaderError
from loader.warehouse.errors import LoadRefused
from loader.warehouse.session import Session
from loader.warehouse.system import LastLoadError, SessionProcess

#: ``Invalid digit, Value 'x', Pos 0`` and the like.
_VALUE = re.compile(r"(?i)\b(value)(s?:?\s*)(?:'[^']*'|\"[^\"]*\")")


def without_values(text: str) -> str:
    """The text of a load error with quoted values blotted out."""
    return _VALUE.sub(r"\1\2'***'", text)


def explain(session: Session, error: LoadRefused) -> None:
    """Add to an error what the server's table of load errors knows of it.

    Args:
        session: the session whose COPY failed, outside the transaction.
        error: gets the file, the line, the column and its type, where they can be read.
    """
    try:
        process = int(session.execute(SessionProcess()).rows[0][0])
        rows = session.execute(LastLoadError(process)).rows
    except LoaderError:
        return
    if rows:
        error.message = f"{error.message} {_sentence(rows[0])}"
        error.args = (error.message,)


def _sentence(row: tuple[Any, ...]) -> str:
    file, line, column, kind, length, code, text = row
    parts = [f"file {file}"]
    if line:
        parts.append(f"row {line}")
    if column:
        parts.append(
            f"column {column}" + (f" ({kind} {length or ''}".rstrip() + ")" if kind else "")
        )
    return f"Load error {code} at {', '.join(parts)}: {without_values(str(text or ''))}."
