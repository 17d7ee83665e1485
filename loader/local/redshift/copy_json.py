"""JSON files as records: by key (``auto``), by JSONPaths, or each object whole (``noshred``).

A file is a run of JSON values with any white space between them (AWS docs: COPY from JSON format).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from loader.local.redshift.copy_errors import LoadError
from loader.local.redshift.copy_records import Field, Record
from loader.local.redshift.copy_text_values import FieldError
from loader.local.redshift.copy_types import Target

MAX_OBJECT = 4 << 20
_SPACE = re.compile(r"\s*")
_STEP = re.compile(
    r"""\.([A-Za-z_0-9$\u0080-\U0010ffff-]+)|\[(\d+)\]|\[(?:'([^']*)'|"([^"]*)")\]"""
)
Path = list[str | int]
Fields = Callable[[Any], list[Field]]


class Number(str):
    """A number as it was written: not a digit of it is lost."""

    __slots__ = ()


_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number)


def records(text: str, fields: Fields) -> Iterator[Record]:
    """Cut a file into objects.

    Args:
        text: the file.
        fields: makes the fields of one object, see :func:`by_key` and :func:`by_path`.
    """
    at, line = 0, 1
    while True:
        space = _SPACE.match(text, at)
        start = space.end() if space else at
        line += text.count("\n", at, start)
        if start >= len(text):
            return
        try:
            value, at = _DECODER.raw_decode(text, start)
        except ValueError:
            end = text.find("\n", start)
            at = len(text) if end < 0 else end
            raw = text[start:at]
            yield Record(line, raw, [], FieldError(1216, "Invalid value."))
            continue
        raw = text[start:at]
        yield _record(line, raw, value, fields)
        line += raw.count("\n")


def _record(line: int, raw: str, value: Any, fields: Fields) -> Record:
    if len(raw) > MAX_OBJECT:
        reason = f"JSON object is longer than {MAX_OBJECT} bytes"
        return Record(line, raw, [], FieldError(1216, reason))
    try:
        return Record(line, raw, fields(value))
    except FieldError as error:
        return Record(line, raw, [], error)


def by_key(targets: Sequence[Target], *, ignore_case: bool) -> Fields:
    """``auto``: the member named like the column; an absent one is NULL."""

    def fields(value: Any) -> list[Field]:
        if not isinstance(value, dict):
            raise FieldError(1216, "Invalid value.")
        found = {key.lower(): item for key, item in value.items()} if ignore_case else value
        names = [t.name.lower() if ignore_case else t.name for t in targets]
        return [
            _field(found.get(name), target) for name, target in zip(names, targets, strict=True)
        ]

    return fields


def whole(targets: Sequence[Target]) -> Fields:
    """``noshred``: each object is one SUPER value.

    Raises:
        LoadError: there is not exactly one column, of type SUPER.
    """
    if [target.type_name for target in targets] != ["super"]:
        text = "JSON noshred option requires exactly one SUPER column"
        raise LoadError(8001, text, message=text)
    return lambda value: [Field(render(value))]


def by_path(paths: Sequence[Path], targets: Sequence[Target]) -> Fields:
    """One path a column, in the order of the columns.

    Raises:
        LoadError: there are more paths than columns, or fewer.
    """
    if len(paths) != len(targets):
        text = (
            "Number of jsonpaths and the number of columns should match. JSONPath size: "
            f"{len(paths)}, Number of columns in table or column list: {len(targets)}"
        )
        raise LoadError(8001, text, message=text)

    def fields(value: Any) -> list[Field]:
        return [
            _field(_walk(value, path), target) for path, target in zip(paths, targets, strict=True)
        ]

    return fields


def read_paths(document: bytes) -> list[Path] | None:
    """The paths of a JSONPaths file; None where its key is another: COPY then goes by ``auto``.

    Raises:
        LoadError: it is no JSON, or a path is malformed.
    """
    try:
        value = json.loads(document)
    except ValueError:
        text = "Invalid JSONPaths file: not valid JSON"
        raise LoadError(8001, text, message=text) from None
    if not isinstance(value, dict) or list(value) != ["jsonpaths"]:
        return None
    return [_path(str(item)) for item in value["jsonpaths"]]


def _path(text: str) -> Path:
    steps: Path = []
    at = 1
    while text[:1] == "$" and at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            break
        word, index, single, double = match.groups()
        steps.append(int(index) if index is not None else word or single or double or "")
        at = match.end()
    if text[:1] != "$" or at < len(text) or not steps:
        said = f"Invalid JSONPath format: {text}"
        raise LoadError(8001, said, message=said)
    return steps


def _walk(value: Any, path: Path) -> Any:
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                reason = "Invalid JSONPath format: Not an array or index out of range."
                raise FieldError(1216, reason)
            value = value[step]
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def _field(value: Any, target: Target) -> Field:
    if value is None:
        return Field(None, quoted=True)
    if target.type_name != "super" and isinstance(value, str):
        return Field(str(value), quoted=True)
    return Field(render(value), quoted=True)


def render(value: Any) -> str:
    """A value as JSON, numbers as they were written."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{render(k)}:{render(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(render, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
