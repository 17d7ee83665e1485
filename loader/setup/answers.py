"""The answers of `setup`, as a configuration file that only its owner can read."""

from __future__ import annotations

import contextlib
import copy
import os
import re
import shlex
import shutil
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import tomli_w

from loader import config
from loader.errors import UsageError
from loader.model.names import schema_name

DEFAULT_SCHEMA: Final = "main_production"
_HEADER: Final = """\
# Written by `heap-loader setup`. Every key with its meaning: heap-loader config reference.

"""


@dataclass(frozen=True, slots=True)
class Password:
    """Where the warehouse's password comes from.

    Attributes:
        kind: ``file``, ``command`` or ``env``.
        value: the path, the command line's words with blanks between, or nothing.
    """

    kind: str
    value: str = ""

    @classmethod
    def parse(cls, text: str) -> Password:
        """``file:PATH``, ``command:PROGRAM ARGUMENT...`` or ``env``.

        Raises:
            UsageError: it is none of them.
        """
        kind, _, value = text.partition(":")
        if kind == "env" and not value:
            return cls(kind)
        if kind in {"file", "command"} and value.strip():
            return cls(kind, value.strip())
        raise UsageError(
            # Not shown: it may be the password itself.
            "--password-from names no place where a password is.",
            hint="file:PATH, 'command:PROGRAM ARGUMENT...', or env "
            "(HEAP_LOADER_WAREHOUSE__PASSWORD).",
        )

    def document(self) -> dict[str, Any]:
        """What stands in the file: never the password itself."""
        if self.kind == "file":
            return {"password": {"file": self.value}}
        if self.kind == "command":
            return {"password": {"command": shlex.split(self.value)}}
        return {}


@dataclass(frozen=True, slots=True)
class Answers:
    """What was asked for; None and empty are left to their defaults.

    Attributes:
        warehouse: keys of the section, in order.
        tunnel: keys of ``[warehouse.ssh_tunnel]``; empty for none.
        password: where the password is; None with IAM.
        others: further sections by name.
    """

    warehouse: dict[str, Any]
    tunnel: dict[str, Any] = field(default_factory=dict)
    password: Password | None = None
    others: dict[str, dict[str, Any]] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """As TOML's tables."""
        warehouse = {key: value for key, value in self.warehouse.items() if value is not None}
        if self.password is not None:
            warehouse |= self.password.document()
        if self.tunnel:
            warehouse["ssh_tunnel"] = {k: v for k, v in self.tunnel.items() if v is not None}
        kept = {
            name: {key: value for key, value in section.items() if value is not None}
            for name, section in self.others.items()
        }
        return {
            **{name: section for name, section in kept.items() if section},
            "warehouse": warehouse,
        }


def schema_of(project: str | None, environment: str | None) -> str:
    """The schema's default: project and environment in snake case.

    Raises:
        UsageError: one of them is missing, or holds no letter or digit.
    """
    if not project and not environment:
        return DEFAULT_SCHEMA
    if not project or not environment:
        raise UsageError("A schema is named after a project and an environment: give both.")
    try:
        name = schema_name(project, environment)
    except ValueError as error:
        raise UsageError(f"No schema can be named after them: {error}.") from None
    # Redshift's names begin with a letter or an underscore where they are not quoted.
    return name if re.match(r"[a-z_]", name) else f"_{name}"


def _merged(before: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    merged = {**before, **document}
    for name in document.keys() - {"warehouse"}:
        if isinstance(before.get(name), dict):
            merged[name] = {**before[name], **document[name]}
    return merged


def settings_of(document: dict[str, Any], path: Path) -> config.Settings:
    """The settings that the file will hold, checked before it is written."""
    # The environment's keys are put into the document: they are not to be written.
    return config.from_document(copy.deepcopy(document), str(path))


def write(path: Path, document: dict[str, Any], *, replace: bool) -> Path | None:
    """Write the file with mode 0600.

    Of an old file only ``[warehouse]`` is made anew; elsewhere keys that were not asked for are kept.

    Returns:
        Where the old file is kept, if there was one.

    Raises:
        UsageError: there is a file and ``replace`` is not set, or it cannot be written.
    """
    old: Path | None = None
    if path.exists():
        if not replace:
            raise UsageError(
                f"{path} exists.", hint="--replace writes its [warehouse] anew and keeps the rest."
            )
        try:
            before = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read: {error}.") from None
        document = _merged(before, document)
        old = path.with_name(path.name + ".old")
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_HEADER + tomli_w.dumps(document))
        if old is not None:
            # A copy: at no moment is there no configuration.
            shutil.copy2(path, old)
        scratch.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.") from None
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink()
    return old
