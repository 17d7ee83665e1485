"""Settings: one TOML file, typed, every key documented; environment variables override it.

``HEAP_LOADER_<SECTION>__<KEY>`` sets a key (``HEAP_LOADER_BATCH__MAX_ROWS=50000``). A secret may be
given as text, as ``{ file = "path" }`` or as ``{ command = ["program", "argument"] }``. An unknown
key is an error that names the nearest right one.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from loader.config_sections import (
    Batch,
    Consumer,
    DeadLetters,
    Executor,
    Kafka,
    Lake,
    SchemaRegistry,
    Sync,
    Topic,
    Topics,
)
from loader.config_types import Section
from loader.config_warehouse import CopyCredentials, Iam, SshTunnel, Warehouse
from loader.errors import UsageError

#: Settings with their sections, and how they are read.
__all__ = [
    "DEFAULT_FILE",
    "ENVIRONMENT_PREFIX",
    "Batch",
    "Consumer",
    "CopyCredentials",
    "DeadLetters",
    "Executor",
    "Iam",
    "Kafka",
    "Lake",
    "SchemaRegistry",
    "Settings",
    "SshTunnel",
    "Sync",
    "Topic",
    "Topics",
    "Warehouse",
    "from_document",
    "load",
]

DEFAULT_FILE: Final = "heap-loader.toml"
ENVIRONMENT_PREFIX: Final = "HEAP_LOADER_"


class Settings(Section):
    """Everything."""

    kafka: Kafka = Kafka()
    topics: Topics = Topics()
    schema_registry: SchemaRegistry = SchemaRegistry()
    lake: Lake = Lake()
    batch: Batch = Batch()
    consumer: Consumer = Consumer()
    warehouse: Warehouse = Warehouse()
    sync: Sync = Sync()
    dead_letters: DeadLetters = DeadLetters()
    executor: Executor = Executor()


def load(path: Path | None = None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        path: the file; None looks for ``HEAP_LOADER_CONFIG``, then for ``./heap-loader.toml``, and
            takes the defaults where neither is there.
        environment: instead of ``os.environ``.

    Raises:
        UsageError: the file is missing, is not TOML, or has an unknown or ill-typed key.
    """
    env = os.environ if environment is None else environment
    named = path or (Path(env["HEAP_LOADER_CONFIG"]) if env.get("HEAP_LOADER_CONFIG") else None)
    file = named or Path(DEFAULT_FILE)
    document: dict[str, Any] = {}
    if named is not None or file.exists():
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(
                f"{file}: {error.strerror or error}.",
                hint="Name a configuration with --config FILE or HEAP_LOADER_CONFIG.",
            ) from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} is not TOML: {error}.") from None
    return from_document(document, str(file), env)


def from_document(
    document: dict[str, Any], where: str, environment: Mapping[str, str] | None = None
) -> Settings:
    """The settings of a TOML document and the environment.

    Args:
        document: as a file holds it; the environment's keys are put into it.
        where: what messages call it.
        environment: instead of ``os.environ``.

    Raises:
        UsageError: an unknown or ill-typed key.
    """
    origins = _override(document, os.environ if environment is None else environment)
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        raise UsageError(_explain(error, where, origins)) from None


def _override(document: dict[str, Any], env: Mapping[str, str]) -> dict[str, str]:
    """Apply ``HEAP_LOADER_A__B__C=text`` to the document; returns dotted key to variable name."""
    origins: dict[str, str] = {}
    for variable, text in sorted(env.items()):
        if not variable.startswith(ENVIRONMENT_PREFIX) or "__" not in variable:
            continue
        path = variable.removeprefix(ENVIRONMENT_PREFIX).lower().split("__")
        place = document
        for step in path[:-1]:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                raise UsageError(f"{variable}: {step} is not a section.")
            place = inner
        place[path[-1]] = text
        origins[".".join(path)] = variable
    return origins


def _explain(error: ValidationError, file: str, origins: Mapping[str, str]) -> str:
    """One line a fault: the key, where it stands, what is wrong, the nearest right key."""
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        key = ".".join(str(step) for step in fault["loc"])
        where = f"environment variable {origins[key]}" if key in origins else file
        if fault["type"] == "extra_forbidden":
            known = _keys_of([str(step) for step in fault["loc"][:-1]])
            near = difflib.get_close_matches(str(fault["loc"][-1]), known, n=1, cutoff=0.0)
            prefix = ".".join(str(step) for step in fault["loc"][:-1])
            right = f"{prefix}.{near[0]}" if prefix and near else "".join(near)
            lines.append(f"{where}: unknown key {key}. The nearest right one is {right}.")
        else:
            message = fault["msg"].removeprefix("Value error, ")
            lines.append(f"{where}: {key}: {message}.")
    return "\n".join(lines)


def _keys_of(path: list[str]) -> list[str]:
    """The keys of the section at ``path``, as a file writes them."""
    model: type[BaseModel] = Settings
    for step in path:
        field = next((f for name, f in model.model_fields.items() if step in {name, f.alias}), None)
        if field is None or not isinstance(field.annotation, type):
            return []
        model = field.annotation
    return [field.alias or name for name, field in model.model_fields.items()]
