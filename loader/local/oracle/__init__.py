"""The oracle: what the warehouse must hold after some traffic, computed the plain way."""

from loader.local.oracle.files import write
from loader.local.oracle.identity import Identities, Merge
from loader.local.oracle.truth import Oracle

__all__ = ["Identities", "Merge", "Oracle", "write"]
