"""A strict local stand-in for Amazon Redshift: a wire proxy before a real PostgreSQL.

A tool for development and tests, never a claim of being Redshift. What Redshift refuses is refused
with its code and text; what the stand-in itself cannot do is refused by name (``stand-in: ...``).
"""

from __future__ import annotations

from loader.local.redshift.bootstrap import prepare_backend
from loader.local.redshift.config import S3, BackendAddress, Listen, Login, StandInConfig
from loader.local.redshift.server import StandIn, StandInThread

__all__ = [
    "S3",
    "BackendAddress",
    "Listen",
    "Login",
    "StandIn",
    "StandInConfig",
    "StandInThread",
    "prepare_backend",
]
