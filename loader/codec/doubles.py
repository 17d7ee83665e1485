"""Compiled: a double's shortest decimal text, exactly as Python's ``repr`` writes it.

The digits come from Raffaello Giulietti's Schubfach ("The Schubfach way to render doubles", 2021):
of the decimals that read back as the same double the shortest, and of those the closest. That is what
``repr`` gives too; a test compares the two.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from loader.codec.compiled import inner

#: The longest text of a double: -2.2250738585072014e-308.
MAX_DOUBLE_TEXT: Final = 24

_LEAST_POWER: Final = -292
_MOST_POWER: Final = 324
_HIDDEN_BIT: Final = np.uint64(1 << 52)
_FRACTION: Final = np.uint64((1 << 52) - 1)
_EXPONENT: Final = np.uint64(0x7FF)
_BIAS: Final = 1075


def _powers_of_ten() -> npt.NDArray[np.uint64]:
    """10^k as 128-bit numbers with the highest bit set, rounded up; high word, then low word."""
    table = np.zeros((_MOST_POWER - _LEAST_POWER + 1, 2), np.uint64)
    for power in range(_LEAST_POWER, _MOST_POWER + 1):
        shift = ((power * 1741647) >> 19) - 127  # floor(log2(10^k)) - 127
        above, below = (10**power, 1) if power >= 0 else (1, 10**-power)
        above, below = (above, below << shift) if shift >= 0 else (above << -shift, below)
        scaled = -(-above // below)
        table[power - _LEAST_POWER] = (scaled >> 64, scaled & ((1 << 64) - 1))
    return table


_POWERS: Final = _powers_of_ten()


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def _high_product(_context: Any, one: Any, other: Any) -> Any:  # noqa: ARG001
    """The upper 64 bits of a product of two uint64."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        wide = ir.IntType(128)
        left, right = (builder.zext(argument, wide) for argument in arguments)
        product = builder.lshr(builder.mul(left, right), ir.Constant(wide, 64))
        return builder.trunc(product, ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def widened(_context: Any, bits: Any) -> Any:  # noqa: ARG001
    """The bits of the double that a float is; its own bits are the lower half of ``bits``."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        half = builder.trunc(arguments[0], ir.IntType(32))
        wide = builder.fpext(builder.bitcast(half, ir.FloatType()), ir.DoubleType())
        return builder.bitcast(wide, ir.IntType(64))

    return types.uint64(types.uint64), generate


@inner
def _round_to_odd(high: Any, low: Any, number: Any) -> Any:
    """The product of a 128-bit and a 64-bit number, over 2^128, rounded to odd."""
    carried = _high_product(low, number)
    middle = high * number + carried
    product = _high_product(high, number)
    if middle < carried:
        product = product + np.uint64(1)
    if middle > np.uint64(1):
        product = product | np.uint64(1)
    return product


@inner
def shortest(bits: Any) -> tuple[Any, Any]:
    """Digits (uint64, perhaps with zeros at the end) and power of ten of a finite double's amount.

    Args:
        bits: uint64, the double; its sign does not matter.
    """
    one, two, four = np.uint64(1), np.uint64(2), np.uint64(4)
    forty = np.uint64(40)
    fraction = bits & _FRACTION
    exponent = np.int64((bits >> np.uint64(52)) & _EXPONENT)
    if exponent != 0:
        number = _HIDDEN_BIT | fraction
        power = exponent - _BIAS
        if -53 < power <= 0:
            whole = number >> np.uint64(-power)
            if whole << np.uint64(-power) == number:
                return whole, np.int64(0)
    else:
        number = fraction
        power = np.int64(1 - _BIAS)
    odd = number & one
    closer = fraction == np.uint64(0) and exponent > 1
    below = four * number - two + (one if closer else np.uint64(0))
    above = four * number + two
    ten = (power * 1262611 - (524031 if closer else 0)) >> 22
    shift = np.uint64(power + ((-ten * 1741647) >> 19) + 1)
    high = _POWERS[-ten - _LEAST_POWER, 0]
    low = _POWERS[-ten - _LEAST_POWER, 1]
    lower = _round_to_odd(high, low, below << shift) + odd
    middle = _round_to_odd(high, low, (four * number) << shift)
    upper = _round_to_odd(high, low, above << shift) - odd
    digits = middle // four
    if digits >= np.uint64(10):
        fewer = digits // np.uint64(10)
        under = lower <= forty * fewer
        over = forty * fewer + forty <= upper
        if under != over:
            return fewer + (one if over else np.uint64(0)), ten + 1
    under = lower <= four * digits
    over = four * digits + four <= upper
    if under != over:
        return digits + (one if over else np.uint64(0)), ten
    half = four * digits + two
    up = middle > half or (middle == half and (digits & one) != np.uint64(0))
    return digits + (one if up else np.uint64(0)), ten


@inner
def digit_count(number: Any) -> Any:
    """How many decimal digits a uint64 has."""
    count = 1
    while number >= np.uint64(10000):
        number = number // np.uint64(10000)
        count += 4
    if number >= np.uint64(1000):
        return count + 3
    if number >= np.uint64(100):
        return count + 2
    if number >= np.uint64(10):
        return count + 1
    return count


@inner
def put_digits(to: Any, at: Any, number: Any, count: Any) -> Any:
    """Write the ``count`` digits of a uint64; returns the place behind."""
    ten = np.uint64(10)
    for place in range(at + count - 1, at - 1, -1):
        rest = number // ten
        to[place] = np.uint8(np.uint64(48) + number - rest * ten)
        number = rest
    return at + count


@inner
def put_double(to: Any, at: Any, bits: Any) -> Any:
    """Write a double as ``repr`` does, at most ``MAX_DOUBLE_TEXT`` bytes.

    Args:
        to: bytes, with room.
        at: where to write.
        bits: uint64, the double.

    Returns:
        The place behind, or -1 for what is not finite.
    """
    if (bits >> np.uint64(52)) & _EXPONENT == _EXPONENT:
        return -1
    if bits >> np.uint64(63) != np.uint64(0):
        to[at] = 45  # -
        at += 1
    if bits << np.uint64(1) == np.uint64(0):
        to[at], to[at + 1], to[at + 2] = 48, 46, 48
        return at + 3
    digits, power = shortest(bits)
    ten = np.uint64(10)
    while True:
        rest = digits // ten
        if rest * ten != digits:
            break
        digits = rest
        power += 1
    count = digit_count(digits)
    point = count + power  # digits before the decimal point
    if point > 16 or point < -3:
        return _put_scientific(to, at, digits, count, point - 1)
    if point <= 0:
        to[at], to[at + 1] = 48, 46
        at += 2
        for _ in range(-point):
            to[at] = 48
            at += 1
        return put_digits(to, at, digits, count)
    if power >= 0:
        at = put_digits(to, at, digits, count)
        for _ in range(power):
            to[at] = 48
            at += 1
        to[at], to[at + 1] = 46, 48
        return at + 2
    end = put_digits(to, at + 1, digits, count)
    for place in range(at, at + point):
        to[place] = to[place + 1]
    to[at + point] = 46
    return end


@inner
def _put_scientific(to: Any, at: Any, digits: Any, count: Any, exponent: Any) -> Any:
    end = put_digits(to, at + 1, digits, count)
    to[at] = to[at + 1]
    if count > 1:
        to[at + 1] = 46
        at = end
    else:
        at += 1
    to[at] = 101  # e
    to[at + 1] = 43 if exponent >= 0 else 45
    amount = np.uint64(abs(exponent))
    return put_digits(to, at + 2, amount, max(2, digit_count(amount)))
