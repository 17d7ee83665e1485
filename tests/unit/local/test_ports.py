from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from loader.local import ports


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((ports.HOST, 0)) as server:
        yield server


def test_a_listener_makes_its_port_not_free(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert not ports.is_free(port)
    listener.close()
    assert ports.is_free(port)


def test_a_listener_on_all_addresses_counts_too() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - that is the case
        assert not ports.is_free(server.getsockname()[1])


def test_a_remembered_port_is_kept_while_it_is_free() -> None:
    first = ports.choose(("a", "b"), remembered={})
    assert ports.choose(("a", "b"), remembered=first, avoid=first.values()) == first


def test_a_remembered_port_that_is_taken_is_chosen_anew(listener: socket.socket) -> None:
    taken = listener.getsockname()[1]
    kept = ports.choose(("b",), remembered={})["b"]
    chosen = ports.choose(("a", "b"), remembered={"a": taken, "b": kept})
    assert chosen["b"] == kept
    assert chosen["a"] not in {taken, kept}
    assert ports.is_free(chosen["a"])


def test_names_never_share_a_port() -> None:
    names = [f"part{number}" for number in range(50)]
    same = ports.choose(("x",), remembered={})["x"]
    chosen = ports.choose(names, remembered=dict.fromkeys(names[:5], same), avoid=range(11_000))
    assert list(chosen) == names
    assert len(set(chosen.values())) == len(names)
    assert all(port >= 11_000 for port in chosen.values())


def test_new_ports_lie_outside_the_range_of_outgoing_connections() -> None:
    first, last = ports._candidates()
    assert 10_240 <= first < last <= 65_535
    with socket.socket() as client:
        client.bind((ports.HOST, 0))
        assert not first <= client.getsockname()[1] <= last
