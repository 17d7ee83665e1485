"""``heap-loader dead-letters``: what was refused, why, and sending it again."""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from loader.cli.common import Json, context, print_json

if TYPE_CHECKING:
    from loader.deadletters.letters import Content, Filters, Found, Letter
    from loader.deadletters.redriving import Report

app = typer.Typer(
    help="What was refused: list it, look at it, send it again.", no_args_is_help=True
)

Topic = Annotated[str | None, typer.Option(help="Only messages of this topic.")]
Reason = Annotated[str | None, typer.Option(help="Only this reason, e.g. missing_field.")]
Partition = Annotated[
    int | None, typer.Option(min=0, help="Only messages of this partition of their topic.")
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Only messages whose Kafka time is this or later. ISO 8601, else UTC."
    ),
]
Until = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only messages whose Kafka time is before this.")
]
FromOffset = Annotated[
    int | None,
    typer.Option(min=0, help="Only messages whose offset in their partition is this or higher."),
]
ToOffset = Annotated[
    int | None, typer.Option(min=0, help="Only messages whose offset is below this.")
]
Limit = Annotated[int | None, typer.Option(min=1, help="At most this many.")]

_HEX_WIDTH = 16
#: Seconds between two lines of progress where there is no terminal.
_PROGRESS_SECONDS = 5.0


def _filters(
    topic: str | None,
    reason: str | None,
    partition: int | None,
    since: str | None,
    until: str | None,
    from_offset: int | None,
    to_offset: int | None,
) -> Filters:
    from loader.deadletters.letters import Filters, moment

    return Filters(
        topic=topic,
        partition=partition,
        reason=reason,
        since_us=moment(since, "--since"),
        until_us=moment(until, "--until"),
        from_offset=from_offset,
        to_offset=to_offset,
    )


@app.command(
    "list",
    epilog="Example: heap-loader dead-letters list --reason missing_field --since 2026-01-31",
)
def list_(
    *,
    topic: Topic = None,
    reason: Reason = None,
    partition: Partition = None,
    since: Since = None,
    until: Until = None,
    from_offset: FromOffset = None,
    to_offset: ToOffset = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """Show the letters in the dead-letter topic: one line each, then a summary.

    A message that has several letters is shown once, with their number. The state is what the lake
    says: counted as refused, pending (will be read again), or loaded after all.
    """
    from loader.deadletters.reading import listing

    filters = _filters(topic, reason, partition, since, until, from_offset, to_offset)
    progress = _Progress("reading dead letters")
    found = listing(context.settings(), filters, limit=limit, on_read=progress.show)
    progress.end()
    if json:
        print_json(
            {
                "topic": found.topic,
                "letters": [_document(one) for one in found.found],
                "summary": found.summary,
                "total": found.letters,
                "not_letters": found.strangers,
            }
        )
        return
    for one in found.found:
        typer.echo(_line(one))
    if found.letters > len(found.found):
        typer.echo(f"... and {found.letters - len(found.found):,} more.")
    for row in found.summary:
        typer.echo(
            f"{row['topic']}  {_plain(str(row['reason']))}: {row['letters']:,} "
            f"messages in {row['copies']:,} letters"
        )
    typer.echo(f"{found.topic}: {found.letters:,} refused messages.")
    if found.strangers:
        typer.echo(f"{found.strangers:,} messages there are no letters.")


def _line(one: Found) -> str:
    """One letter: its place, the message's place, reason, time, size, state, error."""
    letter = one.letter
    copies = f"  {len(one.copies)} copies" if len(one.copies) > 1 else ""
    again = ", redriven" if one.redriven else ""
    return (
        f"{letter.place!s:<8} {letter.origin}  {_plain(letter.reason)}  {_brief(letter.time_ms)}  "
        f"{letter.size:,} bytes  {one.state}{again}{copies}  {_plain(letter.error)}"
    )


def _document(one: Found) -> dict[str, Any]:
    letter = one.letter
    return {
        **_identity(letter),
        "dl_reason": letter.reason,
        "dl_error": letter.error,
        "dl_time": _time(letter.time_ms, missing=None),
        "written": _time(letter.written_ms, missing=None),
        "size": letter.size,
        "copies": max(len(one.copies), 1),
        "copy_places": [{"partition": p, "offset": o} for p, o in one.copies],
        "state": str(one.state),
        "counted": one.state == "counted",
        "redriven": one.redriven,
    }


def _identity(letter: Letter) -> dict[str, Any]:
    return {
        "partition": letter.place.partition,
        "offset": letter.place.offset,
        "dl_topic": letter.origin.topic,
        "dl_partition": letter.origin.partition,
        "dl_offset": letter.origin.offset,
    }


@app.command(epilog="Example: heap-loader dead-letters show heap.events:2:4711")
def show(
    place: Annotated[
        str,
        typer.Argument(
            help="PARTITION:OFFSET in the dead-letter topic, or TOPIC:PARTITION:OFFSET of the message."
        ),
    ],
    *,
    raw: Annotated[
        bool, typer.Option("--raw", help="Only the message's value, byte by byte, to stdout.")
    ] = False,
    json: Json = False,
) -> None:
    """Show one letter: why the message was refused, its key, headers and value.

    A value that is no text is shown in hexadecimal. Values may hold personal data.
    """
    from loader.deadletters.letters import where
    from loader.deadletters.reading import find

    progress = _Progress("reading dead letters")
    found, content = find(context.settings(), where(place), on_read=progress.show)
    progress.end()
    if raw:
        sys.stdout.buffer.write(content.value or b"")
        sys.stdout.buffer.flush()
    elif json:
        print_json(
            {
                **_document(found),
                "key": _data(content.key),
                "headers": [{"name": n, "value": _data(v)} for n, v in content.headers],
                "value": _data(content.value),
            }
        )
    else:
        for line in _shown(found, content):
            typer.echo(line)


def _shown(found: Found, content: Content) -> Iterator[str]:
    letter = found.letter
    places = ", ".join(map(str, found.copies))
    again = ", redriven" if found.redriven else ""
    yield f"letter   {letter.place}, written {_time(letter.written_ms)}"
    if len(found.copies) > 1:
        yield f"copies   {len(found.copies)}: {places}"
    yield f"message  {letter.origin}, Kafka time {_time(letter.time_ms)}"
    yield f"state    {found.state}{again}"
    yield f"reason   {_plain(letter.reason)}"
    yield f"error    {_plain(letter.error)}"
    yield "key      " + "\n         ".join(_readable(content.key))
    for name, value in content.headers:
        yield f"header   {_plain(name)} = " + "\n         ".join(_readable(value))
    size = "null" if content.value is None else f"{len(content.value):,} bytes"
    yield f"value    {size}"
    if content.value:
        yield from _readable(content.value)


@app.command(
    epilog="Example: heap-loader dead-letters redrive --reason not_decodable --dry-run",
)
def redrive(
    *,
    topic: Topic = None,
    reason: Reason = None,
    partition: Partition = None,
    since: Since = None,
    until: Until = None,
    from_offset: FromOffset = None,
    to_offset: ToOffset = None,
    limit: Limit = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent, and send nothing.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Also send what would be refused again.")
    ] = False,
    json: Json = False,
) -> None:
    """Send refused messages to their topics again, each once.

    Sent are messages that the lake counts as refused, that were not sent again before, and that the
    loader would accept now. Each keeps its key, value, headers and Kafka time.
    """
    from loader.deadletters import redriving

    filters = _filters(topic, reason, partition, since, until, from_offset, to_offset)
    reading, sending = _Progress("reading dead letters"), _Progress("sent again")
    report = redriving.redrive(
        context.settings(),
        filters,
        dry_run=dry_run,
        limit=limit,
        force=force,
        on_read=reading.show,
        on_sent=lambda done: sending.show(
            len(done.sent), min(limit or done.selected, done.selected)
        ),
    )
    sending.end()
    if json:
        print_json(_redriven(report))
        return
    if dry_run:
        for sent in report.sent:
            letter = sent.letter
            typer.echo(
                f"would send {letter.origin}  {_plain(letter.reason)}  {_brief(letter.time_ms)}  "
                f"{letter.size:,} bytes"
            )
    typer.echo(f"{len(report.sent):,} messages {'would be ' if dry_run else ''}sent again.")
    for decision, count in report.decisions.items():
        if decision in _WORDS and count:
            typer.echo(f"{count:,} {_WORDS[decision]}.")
    if report.left:
        typer.echo(f"{report.left:,} beyond the limit were left.")


_WORDS = {
    "already_redriven": "were sent again before",
    "pending": "are not counted in the lake yet: they will be read again by themselves",
    "loaded": "were loaded after all",
    "unknown_topic": "are of a topic that the configuration does not name",
    "still_refused": "would be refused again: mend the cause, or --force",
    "overtaken": "are definitions that a later one has replaced",
}


def _redriven(report: Report) -> dict[str, Any]:
    skipped = {word: report.decisions.get(word, 0) for word in _WORDS}  # type: ignore[call-overload]
    return {
        "dry_run": report.dry_run,
        "selected": report.selected,
        "sent": len(report.sent),
        "skipped": skipped,
        "left": report.left,
        "messages": [
            {
                **_identity(sent.letter),
                "sent_partition": sent.partition,
                "sent_offset": sent.offset,
            }
            for sent in report.sent
        ],
    }


def _time(time_ms: int, missing: str | None = "-") -> str | None:
    from loader.model.times import format_time

    return (format_time(time_ms * 1000) if time_ms >= 0 else "") or missing


def _brief(time_ms: int) -> str:
    """To the second, and without a blank: one word of a line."""
    text = _time(time_ms) or "-"
    return text if text == "-" else f"{text[:19]}Z"


def _data(data: bytes | None) -> dict[str, str] | None:
    """Bytes in JSON: as text if they are UTF-8, else in base64."""
    if data is None:
        return None
    try:
        return {"text": data.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _plain(text: str) -> str:
    """Text for one line of a terminal: what is not printable is escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def _text(data: bytes) -> str | None:
    """Bytes as text if they are UTF-8 without control characters but tabs and line ends."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    control = any((ord(c) < 32 and c not in "\t\r\n") or 127 <= ord(c) < 160 for c in text)
    return None if control else text


def _readable(data: bytes | None) -> Iterator[str]:
    """Lines that show bytes: escaped text, or hexadecimal with offsets where it is none."""
    if data is None:
        yield "(null)"
        return
    text = _text(data)
    if text is not None:
        yield from (_plain(line) for line in text.split("\n"))
        return
    for start in range(0, len(data), _HEX_WIDTH):
        row = data[start : start + _HEX_WIDTH]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{start:08x}  {row.hex(' '):<{3 * _HEX_WIDTH}} {shown}"


class _Progress:
    """One line that is rewritten on a terminal; a plain line now and then without one."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._live = sys.stderr.isatty() and not context.verbose
        self._shown = time.monotonic()

    def show(self, done: int, total: int) -> None:
        """Show how far it is."""
        now = time.monotonic()
        text = f"{self._label}: {done:,} of {total:,}"
        if self._live:
            sys.stderr.write(f"\r\x1b[2K{text}")
            sys.stderr.flush()
        elif now - self._shown >= _PROGRESS_SECONDS:
            self._shown = now
            sys.stderr.write(f"{text}\n")

    def end(self) -> None:
        """Clear the line."""
        if self._live:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
