"""Compiled: many bytes in one step, and the characters that JSON is made of.

As in ``primitives``, reads go up to ``PADDING`` bytes beyond the place that is asked for. That padding
is zeros, which end every string and every number: a search that starts in a message ends in the array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from loader.codec.compiled import inner
from loader.codec.primitives import element

QUOTE: Final = 0x22
COMMA: Final = 0x2C
MINUS: Final = 0x2D
DOT: Final = 0x2E
ZERO: Final = 0x30
NINE: Final = 0x39
COLON: Final = 0x3A
BACKSLASH: Final = 0x5C
OPEN_LIST: Final = 0x5B
CLOSE_LIST: Final = 0x5D
OPEN_OBJECT: Final = 0x7B
CLOSE_OBJECT: Final = 0x7D

#: Four bytes as ``load32`` gives them.
NULL: Final = int.from_bytes(b"null", "little")
TRUE: Final = int.from_bytes(b"true", "little")
FALS: Final = int.from_bytes(b"fals", "little")
E: Final = 0x65

#: To an int64: an int that comes of unsigned bytes is unsigned, and makes a float with one that is not.
signed: Final = cast("Callable[[Any], int]", np.int64)

#: How many bytes ``stops`` and ``wide`` look at.
BLOCK: Final = 32

_BYTE: Final = ir.IntType(8)


def _block(context: Any, builder: Any, signature: Any, arguments: Any, size: int) -> Any:
    pointer = element(context, builder, signature.args[0], arguments[0], arguments[1])
    kind = ir.VectorType(_BYTE, size)
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)


def _same(size: int, byte: int) -> Any:
    return ir.Constant(ir.VectorType(_BYTE, size), [byte] * size)


def _bits(builder: Any, found: Any, size: int) -> Any:
    """A vector of truths as the low bits of an int64, the first byte's lowest."""
    return builder.zext(builder.bitcast(found, ir.IntType(size)), ir.IntType(64))


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def stops(_context: Any, data: Any, place: Any) -> Any:
    """Which of the ``BLOCK`` bytes at ``data[place:]`` are no plain part of a string.

    Those are the quote, the backslash and control characters. Bit ``i`` of the int64 is byte ``i``.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = _block(context, builder, signature, arguments, BLOCK)
        found = builder.icmp_unsigned("<", block, _same(BLOCK, 0x20))
        for byte in (QUOTE, BACKSLASH):
            found = builder.or_(found, builder.icmp_unsigned("==", block, _same(BLOCK, byte)))
        return _bits(builder, found, BLOCK)

    return types.int64(data, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def wide(_context: Any, data: Any, place: Any) -> Any:
    """Which of the ``BLOCK`` bytes at ``data[place:]`` are 0x80 or above; bits as in ``stops``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = _block(context, builder, signature, arguments, BLOCK)
        return _bits(builder, builder.icmp_signed("<", block, _same(BLOCK, 0)), BLOCK)

    return types.int64(data, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def marks(_context: Any, data: Any, place: Any) -> Any:
    """Which of the ``BLOCK`` bytes at ``data[place:]`` are a quote or a bracket; bits as in ``stops``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = _block(context, builder, signature, arguments, BLOCK)
        # "[" and "{" differ in one bit only, as do "]" and "}".
        curly = builder.or_(block, _same(BLOCK, OPEN_LIST ^ OPEN_OBJECT))
        found = builder.icmp_unsigned("==", block, _same(BLOCK, QUOTE))
        for byte in (OPEN_OBJECT, CLOSE_OBJECT):
            found = builder.or_(found, builder.icmp_unsigned("==", curly, _same(BLOCK, byte)))
        return _bits(builder, found, BLOCK)

    return types.int64(data, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def digits_at(_context: Any, data: Any, place: Any) -> Any:
    """How many of the 16 bytes at ``data[place:]`` are decimal digits before the first that is none."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block = _block(context, builder, signature, arguments, 16)
        digit = builder.sub(block, _same(16, ZERO))
        other = _bits(builder, builder.icmp_unsigned(">", digit, _same(16, 9)), 16)
        other = builder.or_(other, ir.Constant(ir.IntType(64), 1 << 16))
        return builder.cttz(other, ir.Constant(ir.IntType(1), 1))

    return types.int64(data, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def lowest(_context: Any, bits: Any) -> Any:
    """The place of the lowest bit that is set in an int64 other than zero."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def load32(_context: Any, data: Any, place: Any) -> Any:
    """The four bytes at ``data[place:]``, little-endian, as a positive int64; unaligned, unchecked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = element(context, builder, signature.args[0], arguments[0], arguments[1])
        word = builder.bitcast(pointer, ir.IntType(32).as_pointer())
        return builder.zext(builder.load(word, align=1), ir.IntType(64))

    return types.int64(data, types.intp), generate


@inner
def skip(source: Any, place: int, end: int) -> int:
    """The place of the first byte that is no white space, or ``end``."""
    while place < end:
        byte = source[place]
        if byte > 0x20 or not (byte == 0x20 or byte == 0x0A or byte == 0x0D or byte == 0x09):
            break
        place += 1
    return place
