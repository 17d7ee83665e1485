"""Types of settings: how durations, sizes, secrets, hosts and windows are written, and what is refused."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import subprocess
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, SecretStr

from loader.maintenance_window import parse_window

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZES: Final = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def _duration(value: object) -> object:
    """``"24h"`` to seconds; numbers are seconds already."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)", value.strip())
        if not match:
            raise ValueError("a duration is a number and ms, s, m, h or d, e.g. '30s'")
        return float(match[1]) * _UNITS[match[2]]
    return value


def _size(value: object) -> object:
    """``"64MiB"`` to bytes; numbers are bytes already."""
    if isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB)", value.strip())
        if not match:
            raise ValueError("a size is a number and B, KiB, MiB or GiB, e.g. '64MiB'")
        return int(float(match[1]) * _SIZES[match[2]])
    return value


def _secret(value: object) -> object:
    """Resolve ``{file = ...}`` and ``{command = [...]}``."""
    if not isinstance(value, dict):
        return value
    match value:
        case {"file": str(path), **rest} if not rest:
            try:
                return Path(path).expanduser().read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ValueError(f"secret file {path}: {error.strerror}") from None
        case {"command": list(argv), **rest} if not rest and argv:
            try:
                done = subprocess.run(
                    [str(part) for part in argv], capture_output=True, check=True, timeout=30
                )
            except (OSError, subprocess.SubprocessError) as error:
                raise ValueError(
                    f"secret command {argv[0]} failed: {type(error).__name__}"
                ) from None
            return done.stdout.decode().strip()
    raise ValueError('a secret is text, { file = "..." } or { command = ["..."] }')


Duration = Annotated[float, BeforeValidator(_duration)]
Size = Annotated[int, BeforeValidator(_size)]
Secret = Annotated[SecretStr, BeforeValidator(_secret)]
Format = Literal["json", "avro"]


def _window(value: str) -> str:
    parse_window(value)
    return value


MaintenanceWindow = Annotated[str, AfterValidator(_window)]


def _host(value: str) -> str:
    """A host's name or address: no URL, no port, nothing that a resolver chokes on."""
    if ":" in value:
        with contextlib.suppress(ValueError):
            return str(ipaddress.IPv6Address(value))
    labels = value.rstrip(".").split(".")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", value) or not all(
        0 < len(x) < 64 for x in labels
    ):
        raise ValueError("a host is a name or an address, without a scheme, a port or a path")
    return value


Host = Annotated[str, AfterValidator(_host)]


class Section(BaseModel):
    """Base of all sections: frozen, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
