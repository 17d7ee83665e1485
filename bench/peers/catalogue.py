"""Every peer that the benchmark knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bench.peers.bento import Bento
from bench.peers.bytewax import Bytewax
from bench.peers.connect import Connect
from bench.peers.dlt import Dlt
from bench.peers.flink import Flink
from bench.peers.peer import Peer
from bench.peers.quix import Quix
from bench.peers.spark import Spark

PEERS: Final[tuple[Callable[[], Peer], ...]] = (
    Spark,
    Flink,
    Bytewax,
    Quix,
    Connect,
    Bento,
    Dlt,
)
"""In the order of the table."""
