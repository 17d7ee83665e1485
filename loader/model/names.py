"""Names of tables and columns, made from names that came with data.

Everything that becomes an identifier passes through here, so an identifier holds nothing but
``[a-z0-9_]`` and at most 127 bytes (AWS docs: Redshift names and identifiers). Quoting is still done
by the warehouse's one quoting function; this module makes sure that there is little to quote.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

#: AWS docs: names and identifiers, 1 to 127 bytes.
MAX_IDENTIFIER_BYTES: Final = 127
_SUFFIX_DIGITS: Final = 8

_OUTSIDE = re.compile(r"[^a-z0-9]+")


def table_name(name: str, category: str | None = None) -> str:
    """Snake-case of category and name: ``("Sign Up - Click Link")`` gives ``sign_up_click_link``.

    Raises:
        ValueError: nothing is left of the name but punctuation.
    """
    joined = f"{category} {name}" if category else name
    snake = _OUTSIDE.sub("_", joined.lower()).strip("_")
    if not snake:
        raise ValueError(f"no letter or digit in the name {joined!r}")
    return shorten(snake, joined)


def column_name(prop: str, taken: frozenset[str] = frozenset()) -> str:
    """The column of a custom property.

    Lower-cased, camelCase is not split, every run of other characters becomes one ``_``, a leading
    one is dropped and a trailing one kept. A name in ``taken`` (the built-in columns) gets a leading
    ``_``, which no other property can have: ``email`` gives ``_email``. Names without a letter or a
    digit become ``property_`` and a hash.
    """
    snake = _OUTSIDE.sub("_", prop.lower())
    snake = snake.removeprefix("_")
    if not snake.strip("_"):
        return "property_" + _digest(prop)
    if snake in taken:
        snake = "_" + snake
    return shorten(snake, prop)


def schema_name(project: str, environment: str) -> str:
    """``("My iOS App", "development")`` gives ``my_ios_app_development``."""
    return table_name(environment, project)


def shorten(identifier: str, original: str) -> str:
    """Cut to 127 bytes; a cut name ends in a hash of ``original``, so that two never meet."""
    if len(identifier) <= MAX_IDENTIFIER_BYTES:
        return identifier
    head = identifier[: MAX_IDENTIFIER_BYTES - _SUFFIX_DIGITS - 1].rstrip("_")
    return f"{head}_{_digest(original)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_SUFFIX_DIGITS]
