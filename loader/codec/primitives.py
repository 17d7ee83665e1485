"""The smallest compiled pieces: eight or sixteen bytes at a time, UTF-8.

They read and write a little beyond what they are asked for, so every byte array that they see ends in
``PADDING`` bytes that belong to nobody.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from loader.codec.compiled import compiled

#: Bytes behind the end of every array that these functions read or write.
PADDING: Final = 32
#: Bytes of a cache line, and of how long a text lines are asked for ahead: those of a longer one would drive
#: each other out of the cache.
LINE: Final = 64
MOST_AHEAD: Final = 4096

_HIGH_BITS: Final = np.uint64(0x8080808080808080)


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def load64(_context: Any, data: Any, place: Any) -> Any:  # noqa: ARG001
    """The eight bytes at ``data[place:]``, little-endian, as uint64; unaligned, unchecked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = element(context, builder, signature.args[0], arguments[0], arguments[1])
        word = builder.bitcast(pointer, ir.IntType(64).as_pointer())
        return builder.load(word, align=1)

    return types.uint64(data, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def copy16(_context: Any, to: Any, at: Any, source: Any, place: Any) -> Any:  # noqa: ARG001
    """Copy sixteen bytes from ``source[place:]`` to ``to[at:]``; unaligned, unchecked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.VectorType(ir.IntType(8), 16).as_pointer()
        read = element(context, builder, signature.args[2], arguments[2], arguments[3])
        write = element(context, builder, signature.args[0], arguments[0], arguments[1])
        chunk = builder.load(builder.bitcast(read, kind), align=1)
        builder.store(chunk, builder.bitcast(write, kind), align=1)
        return context.get_dummy_value()

    return types.void(to, types.intp, source, types.intp), generate


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]
def prefetch(_context: Any, data: Any, place: Any) -> Any:  # noqa: ARG001
    """Ask for the cache line of ``data[place]``, which will be read soon; any place will do."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        line = element(context, builder, signature.args[0], arguments[0], arguments[1])
        prefetched(builder, line)
        return context.get_dummy_value()

    return types.void(data, types.intp), generate


def prefetched(builder: Any, pointer: Any) -> None:
    """LLVM: the prefetch of an address, for intrinsics."""
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
    ask = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
    # LLVM Language Reference, llvm.prefetch: to read, to be kept in all levels, of data.
    how = [ir.Constant(word, value) for value in (0, 3, 1)]
    builder.call(ask, [builder.bitcast(pointer, byte), *how])


def element(context: Any, builder: Any, kind: Any, array: Any, place: Any) -> Any:
    """LLVM: the address of one element of an array, for intrinsics that read or write there."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(data, [place])


@compiled
def copy(to: Any, at: int, source: Any, place: int, size: int) -> None:
    """Copy ``size`` bytes; up to fifteen bytes behind them are overwritten too."""
    done = 0
    while done < size:
        copy16(to, at + done, source, place + done)
        done += 16


@compiled
def is_ascii(data: Any, start: int, stop: int) -> bool:
    """True if ``data[start:stop]`` holds bytes below 0x80 only. Reads up to seven bytes behind."""
    place = start
    found = np.uint64(0)
    while place + 8 < stop:
        found |= load64(data, place)
        place += 8
    if place < stop:
        # Of the last word the bytes that are not ours are shifted out.
        found |= load64(data, place) << np.uint64(8 * (8 - (stop - place)))
    return bool((found & _HIGH_BITS) == np.uint64(0))


@compiled
def is_utf8(data: Any, start: int, stop: int) -> bool:
    """True if ``data[start:stop]`` is well-formed UTF-8 (Unicode, table 3-7)."""
    if is_ascii(data, start, stop):
        return True
    place = start
    while place < stop:
        byte = data[place]
        if byte < 0x80:
            place += 1
            continue
        if byte < 0xC2 or byte > 0xF4:
            return False
        size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        if place + size > stop:
            return False
        second = data[place + 1]
        low, high = 0x80, 0xBF
        if byte == 0xE0:
            low = 0xA0
        elif byte == 0xED:
            high = 0x9F
        elif byte == 0xF0:
            low = 0x90
        elif byte == 0xF4:
            high = 0x8F
        if second < low or second > high:
            return False
        for later in range(2, size):
            if data[place + later] & 0xC0 != 0x80:
                return False
        place += size
    return True
