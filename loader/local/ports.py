"""Free TCP ports on 127.0.0.1, chosen so that they are likely to stay free until they are used.

The kernel hands out source ports of outgoing connections from its ephemeral range; a listener
remembered from yesterday that lies in that range may find its port taken by any client today.
So candidates come from below that range first, and each is proven by a real ``bind``.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from loader.errors import Unreachable

HOST = "127.0.0.1"

_LOWEST = 10_240
_HIGHEST = 65_535
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TRIES = 200


def is_free(port: int) -> bool:
    """Tell whether a server could listen on ``127.0.0.1:port`` now.

    ``SO_REUSEADDR`` is set as the servers themselves set it: a port whose last connections are in
    TIME_WAIT counts as free, one with a listener (on 127.0.0.1 or on all addresses) does not.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
        return True


def choose(
    names: Iterable[str], *, remembered: Mapping[str, int], avoid: Collection[int] = ()
) -> dict[str, int]:
    """Give every name a port: the remembered one where it is still free, else a new one.

    Args:
        names: what the ports are for; the result has exactly these keys, all values distinct.
        remembered: ports of an earlier run, by name.
        avoid: ports that must not be newly chosen (held by other parts, running or not).

    Raises:
        Unreachable: no free port was found after many tries.
    """
    chosen: dict[str, int] = {}
    for name in names:
        port = remembered.get(name)
        if port is None or port in chosen.values() or not is_free(port):
            port = _new({*avoid, *chosen.values(), *remembered.values()})
        chosen[name] = port
    return chosen


def _new(avoid: Collection[int]) -> int:
    first, last = _candidates()
    for _ in range(_TRIES):
        port = random.randint(first, last)  # noqa: S311 - a spread, not a secret
        if port not in avoid and is_free(port):
            return port
    for _ in range(_TRIES):
        port = _from_kernel()
        if port not in avoid:
            return port
    raise Unreachable(
        f"No free TCP port was found on {HOST}.", hint="Stop some servers and try again."
    )


def _candidates() -> tuple[int, int]:
    """Return the first and last port of the larger side of the ephemeral range."""
    try:
        low, high = (int(word) for word in _EPHEMERAL_RANGE.read_text().split())
    except (OSError, ValueError):
        low, high = 32_768, 60_999  # Linux's default; other systems use a higher range.
    if low - _LOWEST >= _HIGHEST - high:
        return _LOWEST, max(low - 1, _LOWEST)
    return min(high + 1, _HIGHEST), _HIGHEST


def _from_kernel() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
