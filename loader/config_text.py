"""The settings as text: the commented reference, and what is in force with secrets hidden."""

from __future__ import annotations

from typing import Any

import tomli_w
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from loader.config import Settings

HIDDEN = "********"


def shown(settings: Settings) -> dict[str, Any]:
    """The settings in force as a document; secrets become stars, unset keys are left out."""
    return _shown(settings)


def _shown(section: BaseModel) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            value = _shown(value)
        elif isinstance(value, SecretStr):
            value = HIDDEN if value.get_secret_value() else ""
        elif name == "client":
            # Passwords of SASL and TLS stand here under many names.
            value = {key: _client_value(key, text) for key, text in value.items()}
        if value is not None:
            document[field.alias or name] = value
    return document


def _client_value(key: str, value: object) -> object:
    secret = any(word in key for word in ("password", "secret", "key.pem", "jaas", "token"))
    return HIDDEN if secret else value


def as_toml(document: dict[str, Any]) -> str:
    """A document as TOML."""
    return tomli_w.dumps(document)


def reference() -> str:
    """The whole configuration with its defaults, every key under its explanation.

    It is itself a valid configuration: keys without a default are commented out.
    """
    lines = [
        "# heap-loader.toml: every key, its meaning and its default.",
        "# An environment variable HEAP_LOADER_<SECTION>__<KEY> overrides a key.",
        '# A secret may be text, { file = "path" } or { command = ["program", "argument"] }.',
        "# Durations are seconds or text such as '90s', '5m', '24h'; sizes bytes or '64MiB'.",
    ]
    _section(lines, Settings(), ())
    return "\n".join(lines) + "\n"


def _section(lines: list[str], section: BaseModel, path: tuple[str, ...]) -> None:
    inner: list[tuple[str, BaseModel]] = []
    for name, field in type(section).model_fields.items():
        key = field.alias or name
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            inner.append((key, value))
            continue
        lines.append(f"# {field.description}{_bounds(field)}")
        lines.append(_entry(key, value))
    for key, value in inner:
        lines.append("")
        doc = (type(value).__doc__ or "").strip().splitlines()[0]
        lines.append(f"# {doc}")
        if any(not isinstance(item, BaseModel) for _, item in value):
            lines.append(f"[{'.'.join((*path, key))}]")
        _section(lines, value, (*path, key))


def _entry(key: str, value: object) -> str:
    if value is None or value is PydanticUndefined:
        return f"# {key} = "
    if isinstance(value, SecretStr):
        return f'# {key} = "..."'
    if isinstance(value, dict):
        return f"{key} = {{}}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return tomli_w.dumps({key: value}).strip()


def _bounds(field: FieldInfo) -> str:
    """The range of a number, from its own constraints."""
    parts = []
    for constraint in field.metadata:
        for name, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<")):
            bound = getattr(constraint, name, None)
            if bound is not None:
                parts.append(f"{sign} {bound}")
    return f" ({', '.join(parts)})" if parts else ""
