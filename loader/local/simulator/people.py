"""People of the world: their ids, devices and places, each a function of seed and number.

A person has an anonymous id per device and cookie, and a canonical one that is a hash of the
identity: the same identity gives the same id everywhere (the SDK's identify call works so).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np

from loader.local.simulator import content
from loader.local.simulator.hashing import Bools, Floats, Ints, mix, share, unique_ids

_ID_BITS: Final = 53
#: Devices (or cookies) that a person uses over time.
DEVICES_EACH: Final = 3
_ANONYMOUS, _DEVICE, _PLACE, _KNOWN, _ADDRESS = range(11, 16)


@dataclass(frozen=True, slots=True)
class People:
    """``count`` people of the world ``seed``."""

    seed: int
    count: int

    def pick(self, uniform: Floats) -> Ints:
        """Numbers of people; low numbers come more often, as some people use a product more."""
        return np.minimum((self.count * uniform**1.7).astype(np.int64), self.count - 1)

    def anonymous(self, person: Ints, slot: Ints) -> Ints:
        """The id of a person's device before anybody logs in."""
        return unique_ids(self.seed, _ANONYMOUS, person * DEVICES_EACH + slot)

    def is_known(self, person: Ints) -> Bools:
        """Whether the person has an account."""
        return share(self.seed, _KNOWN, person) < 0.55

    def device(self, person: Ints, slot: Ints) -> Ints:
        """Row of the device pool; slot 1 is a phone with the app, the others are browsers."""
        word = mix(self.seed, _DEVICE, person * DEVICES_EACH + slot) >> np.uint64(8)
        phones = len(content.DEVICES) - content.WEB_DEVICES
        web = (word % np.uint64(content.WEB_DEVICES)).astype(np.int64)
        phone = (word % np.uint64(phones)).astype(np.int64) + content.WEB_DEVICES
        return np.where(slot == 1, phone, web)

    def place(self, person: Ints) -> Ints:
        """Row of the place pool."""
        return (mix(self.seed, _PLACE, person) % np.uint64(len(content.PLACES))).astype(np.int64)

    def address(self, person: Ints) -> Ints:
        """IPv4 address as a 32-bit number."""
        return (mix(self.seed, _ADDRESS, person) & np.uint64(0xFFFFFFFF)).astype(np.int64)


def identity(seed: int, person: int, generation: int = 0) -> str:
    """The customer's own key of a person; generation 1 is the one after a change of address."""
    domain = ("example.com", "acme.example", "bücher.example")[(seed + person) % 3]
    return f"user{person}{'.new' * generation}@{domain}"


def canonical_id(seed: int, name: str) -> int:
    """The id of an identity: 53 bits of its hash."""
    digest = hashlib.blake2b(
        name.encode(), digest_size=8, key=seed.to_bytes(16, "little", signed=True)
    )
    return int.from_bytes(digest.digest(), "big") >> (64 - _ID_BITS)
