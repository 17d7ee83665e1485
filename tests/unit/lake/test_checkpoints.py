"""The checkpoint's own form: its key, its body, and what counts as damage."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace

import orjson
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.errors import NeedsOperator
from loader.lake import layout
from loader.lake.checkpoints import Checkpoint, Checkpoints, Span, decode_checkpoint
from loader.lake.memory import MemoryStore

TOPIC = "heap.events"
WHOLE = Checkpoint(layout.LOG, TOPIC, 3, 7, 40, ((7, b'{"a":1}\n'), (20, b"no newline"), (30, b"")))


def plain(body: bytes) -> bytes:
    text: bytes = pa.CompressedInputStream(pa.BufferReader(body), "zstd").read()
    return text


def packed(text: bytes) -> bytes:
    body: bytes = pa.compress(text, codec="zstd", asbytes=True)
    return body


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=8))
def test_bodies_are_kept_byte_for_byte(bodies: list[bytes]) -> None:
    original = replace(WHOLE, records=tuple(enumerate(bodies)))
    assert decode_checkpoint(original.encode()) == original


def test_its_lines_are_head_contents_and_records() -> None:
    head, contents, *rest = plain(WHOLE.encode()).split(b"\n")
    assert list(orjson.loads(head)) == ["version", "sha256"]
    assert orjson.loads(contents) == {
        "log": "log",
        "topic": TOPIC,
        "partition": 3,
        "first": 7,
        "next": 40,
        "count": 3,
        "records": [[7, 8], [20, 10], [30, 0]],
    }
    assert rest == [b'{"a":1}', b"no newline"]


@given(st.data())
def test_any_altered_byte_is_damage_or_changes_nothing(data: st.DataObject) -> None:
    """A bit of the zstd frame may mean nothing; what is read is right, or it is not read."""
    body = bytearray(WHOLE.encode())
    where = data.draw(st.integers(0, len(body) - 1))
    body[where] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ValueError):
        assert decode_checkpoint(bytes(body)) == WHOLE


@pytest.mark.parametrize("length", [0, 1, 20, -1])
def test_one_cut_short_is_damaged(length: int) -> None:
    with pytest.raises(ValueError, match=r"decompressed|checksum|char"):
        decode_checkpoint(WHOLE.encode()[:length])


def resealed(contents: bytes) -> bytes:
    digest = hashlib.sha256(contents).hexdigest()
    return packed(orjson.dumps({"version": 1, "sha256": digest}) + b"\n" + contents)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (packed(b""), "char"),
        (packed(b"[]\n"), "no checkpoint"),
        (packed(b'{"version":2}\n'), "version 2; this loader knows 1"),
        (packed(b'{"version":1,"sha256":"00"}\n{}\n'), "checksum"),
        (resealed(b"{}\n"), "no checkpoint"),
        (resealed(b"[]\n"), "no checkpoint"),
        (resealed(b'{"records":[[0,5]],"count":1}\nfour'), "not what it lists"),
        (resealed(b'{"records":[[0,4]],"count":2}\nfour'), "not what it lists"),
        (resealed(b'{"records":[],"count":0}\n'), "not what it lists"),
        (resealed(b'{"records":[[0,4]],"count":1}\nfour'), "no checkpoint"),
    ],
)
def test_what_is_none_is_named(body: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode_checkpoint(body)


@given(st.lists(st.tuples(st.integers(0, 2**63 - 2), st.integers(1, 10**6)), min_size=1))
def test_keys_descend_by_where_they_end(drawn: list[tuple[int, int]]) -> None:
    spans = {(first, min(first + length, 2**63 - 1)) for first, length in drawn}
    keys = {layout.checkpoint(layout.LOG, TOPIC, 0, *span): span for span in spans}
    assert [keys[key][1] for key in sorted(keys)] == sorted((s[1] for s in spans), reverse=True)
    assert all(layout.checkpoint_span(key) == span for key, span in keys.items())


@pytest.mark.parametrize(
    "name",
    [
        "99999999999999999989-0-11.jsonl.zst",
        "99999999999999999989-10-10.jsonl.zst",
        "99999999999999999989-0-10.json",
        "9989-0-10.jsonl.zst",
        "99999999999999999989--10.jsonl.zst",
        "notes.txt",
    ],
)
def test_other_names_are_none_of_a_checkpoint(name: str) -> None:
    assert layout.checkpoint_span(f"checkpoints/log/t/0/{name}") is None


def test_the_spans_from_an_offset_on_and_the_newest() -> None:
    store = MemoryStore()
    known = Checkpoints(store, layout.LOG)
    assert known.newest(TOPIC, 3) is None
    for first, next_ in ((0, 10), (10, 20), (10, 25), (25, 30)):
        assert known.put(replace(WHOLE, first=first, next=next_))
    store.put(f"{layout.checkpoint_folder(layout.LOG, TOPIC, 3)}0-notes.txt", b"?")
    newest = known.newest(TOPIC, 3)
    assert newest is not None
    assert (newest.first, newest.next) == (25, 30)

    def spans(since: int) -> list[tuple[int, int]]:
        return [(span.first, span.next) for span in known.spans(TOPIC, 3, since=since)]

    assert spans(0) == [(0, 10), (10, 25), (10, 20), (25, 30)]
    assert spans(19) == [(10, 25), (10, 20), (25, 30)]
    assert spans(20) == [(10, 25), (25, 30)]
    assert spans(30) == []
    assert Checkpoints(store, layout.REGISTRY).newest(TOPIC, 3) is None


def test_one_that_is_gone_or_damaged_is_none_and_a_warning_is_given_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = MemoryStore()
    known = Checkpoints(store, layout.LOG)
    span = Span(WHOLE.key, WHOLE.first, WHOLE.next)
    assert known.read(span) is None
    store.put(WHOLE.key, WHOLE.encode()[:-5])
    assert known.read(span) is None
    store.put(WHOLE.key, WHOLE.encode())
    assert known.read(span) == WHOLE
    shown = "".join(capsys.readouterr())
    assert shown.count("checkpoint passed over") == 1
    assert WHOLE.key in shown


def test_one_at_anothers_key_is_named() -> None:
    store = MemoryStore()
    other = replace(WHOLE, next=41)
    store.put(WHOLE.key, other.encode())
    with pytest.raises(NeedsOperator) as caught:
        Checkpoints(store, layout.LOG).read(Span(WHOLE.key, WHOLE.first, WHOLE.next))
    assert WHOLE.key in caught.value.message
    assert other.key in caught.value.message
