"""What a run comes to, and the table of all of them."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.table import Table

from bench.content import Written
from bench.measure import Measured


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of one system.

    Attributes:
        messages: messages read.
        per_second: messages a second, from the first poll to the last file.
        with_start_up_per_second: the same from the start of the process.
        cpu_seconds_per_million: user and system seconds of the system's process tree, a million
            messages; Kafka's and S3's are their own.
        peak_mb: largest resident size of the process tree.
        files_per_million: Parquet files; None where none are written.
        median_file_mb: size of the median file.
        bytes_per_event: bytes in files, an event.
        s3_requests_per_million: None where the system does not say.
    """

    messages: int
    per_second: float
    with_start_up_per_second: float
    cpu_seconds_per_million: float
    peak_mb: float
    files_per_million: float | None = None
    median_file_mb: float | None = None
    bytes_per_event: float | None = None
    s3_requests_per_million: float | None = None


def figures(
    messages: int,
    *,
    steady: float,
    with_start_up: float,
    measured: Measured,
    written: Written | None = None,
    s3_requests: float | None = None,
) -> Figures:
    """Put a run's figures together; seconds are above 0."""
    million = messages / 1e6
    return Figures(
        messages,
        messages / steady,
        messages / with_start_up,
        measured.cpu / million,
        measured.peak_mb,
        None if written is None else written.files / million,
        None if written is None else written.median_bytes / 1e6,
        None if written is None else written.bytes / messages,
        None if s3_requests is None else s3_requests / million,
    )


@dataclass(slots=True)
class Series:
    """The runs of one system on one format and target.

    Attributes:
        system: its title.
        target: ``disk``, ``s3``, or empty where nothing is written.
        failure: why it has no (further) rounds; empty where it has.
    """

    system: str
    format: str
    target: str
    rounds: list[Figures] = field(default_factory=list)
    failure: str = ""

    def median(self, name: str) -> float | None:
        """The median of one figure, or None where it does not apply."""
        values = [value for r in self.rounds if (value := getattr(r, name)) is not None]
        return statistics.median(values) if values else None

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


_COLUMNS: Mapping[str, tuple[str, str, float]] = {
    "per_second": ("k events/s\nsteady", ",.0f", 1e-3),
    "with_start_up_per_second": ("with\nstart-up", ",.0f", 1e-3),
    "cpu_seconds_per_million": ("CPU s\nper M", ",.2f", 1),
    "peak_mb": ("peak\nMB", ",.0f", 1),
    "files_per_million": ("files\nper M", ",.0f", 1),
    "median_file_mb": ("median\nfile MB", ",.2f", 1),
    "bytes_per_event": ("file B\nan event", ",.0f", 1),
    "s3_requests_per_million": ("S3 requests\nper M", ",.0f", 1),
}


def table(series: Sequence[Series], title: str, raw: str, ours: str) -> Table:
    """All systems: medians, and ranges of what varies, with the ratios that travel.

    Args:
        series: in the order of the rows.
        title: above it.
        raw: the system whose speed is 1 in "share of raw".
        ours: the system that the others are compared with.
    """
    made = Table(
        title=f"{title}, {platform.machine()}, medians (and ranges)",
        header_style="bold",
        title_justify="left",
    )
    for heading in ("system", "format", "to"):
        made.add_column(heading)
    for heading, _, _ in _COLUMNS.values():
        made.add_column(heading, justify="right")
    made.add_column("share\nof raw", justify="right")
    made.add_column("ours is\nx times", justify="right")
    speeds = {(s.system, s.format): s.median("per_second") for s in series}
    for one in series:
        if not one.rounds:
            made.add_row(one.system, one.format, one.target, "[red]failed")
            continue
        speed = one.median("per_second")
        made.add_row(
            one.system + (" [red](failed later)" if one.failure else ""),
            one.format,
            one.target,
            *(_cell(one, name, form, scale) for name, (_, form, scale) in _COLUMNS.items()),
            _ratio(speed, speeds.get((raw, one.format))),
            "" if one.system in {raw, ours} else _ratio(speeds.get((ours, one.format)), speed, 1),
        )
    return made


def _cell(series: Series, name: str, form: str, scale: float) -> str:
    median = series.median(name)
    if median is None:
        return ""
    shown = format_number(median * scale, form)
    values = [getattr(r, name) * scale for r in series.rounds]
    if len(values) == 1 or name not in {"per_second", "cpu_seconds_per_million"}:
        return shown
    return f"{shown} ({format_number(min(values), form)}-{format_number(max(values), form)})"


def format_number(value: float, form: str = ",.0f") -> str:
    """A figure as the table shows it: a small one with a digit more, not as 0."""
    return format(value, ",.1f" if form == ",.0f" and value < 10 else form)


def _ratio(above: float | None, below: float | None, digits: int = 2) -> str:
    return f"{above / below:.{digits}f}" if above and below else ""
