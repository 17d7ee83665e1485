"""A line plot as SVG: enough for a page of documentation, and nothing to install."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from pathlib import Path

_WIDTH, _HEIGHT = 820, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 44, 48
_COLORS = ("#2563eb", "#d97706", "#059669", "#7c3aed", "#dc2626", "#0891b2")
_FONT = 'font-family="system-ui, sans-serif" font-size="12" fill="#334155"'


@dataclass(frozen=True, slots=True)
class Line:
    """A named series of points ``(x, y)``."""

    name: str
    points: Sequence[tuple[float, float]]


def plot(
    path: Path,
    title: str,
    axes: tuple[str, str],
    lines: Sequence[Line],
    *,
    rule: tuple[float, str] | None = None,
    steps: Sequence[str] = (),
) -> None:
    """Draw lines from zero on both axes.

    Args:
        path: where to.
        title: of the whole.
        axes: what stands below, and what at the side.
        lines: what is drawn.
        rule: a height that is marked, with its name.
        steps: names of ``x`` = 0, 1, 2 ... where those are no numbers of the axis.
    """
    high = max([y for line in lines for _, y in line.points] + ([rule[0]] if rule else []))
    wide = max(x for line in lines for x, _ in line.points)
    top, right = _round(high * 1.05), wide or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + x / right * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - y / top * (_HEIGHT - _TOP - _BOTTOM),
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="22" {_FONT} font-weight="600">{escape(title)}</text>',
    ]
    for y in _ticks(top):
        x0, at = place(0, y)
        x1, _ = place(right, y)
        parts.append(f'<path d="M{x0:.1f} {at:.1f}H{x1:.1f}" stroke="#e2e8f0"/>')
        parts.append(
            f'<text x="{x0 - 8:.1f}" y="{at + 4:.1f}" {_FONT} text-anchor="end">{y:g}</text>'
        )
    for x, shown in enumerate(steps) if steps else ((x, f"{x:g}") for x in _ticks(right)):
        at, y0 = place(x, 0)
        parts.append(
            f'<text x="{at:.1f}" y="{y0 + 18:.1f}" {_FONT} text-anchor="middle">{escape(shown)}</text>'
        )
    for number, line in enumerate(lines):
        color = _COLORS[number % len(_COLORS)]
        drawn = " ".join("{:.1f},{:.1f}".format(*place(x, y)) for x, y in line.points)
        parts.append(
            f'<polyline points="{drawn}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        )
        at = _WIDTH - _RIGHT - 90 * (len(lines) - number)
        parts.append(f'<rect x="{at}" y="14" width="10" height="10" fill="{color}"/>')
        parts.append(f'<text x="{at + 14}" y="23" {_FONT}>{escape(line.name)}</text>')
    if rule is not None:
        x0, at = place(0, rule[0])
        x1, _ = place(right, rule[0])
        parts.append(
            f'<path d="M{x0:.1f} {at:.1f}H{x1:.1f}" stroke="#dc2626" stroke-dasharray="5 4"/>'
        )
        parts.append(f'<text x="{x0 + 6:.1f}" y="{at - 5:.1f}" {_FONT}>{escape(rule[1])}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(
        f'<text x="{middle}" y="{_HEIGHT - 10}" {_FONT} text-anchor="middle">{escape(axes[0])}</text>'
    )
    parts.append(f'<text x="8" y="{_TOP - 8}" {_FONT}>{escape(axes[1])}</text>')
    path.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def _round(value: float) -> float:
    """The next round number."""
    unit = 10 ** floor(log10(value)) / 2
    return float(ceil(value / unit) * unit)


def _ticks(end: float) -> list[float]:
    """Four to ten round numbers from 0 to ``end``."""
    unit = 10 ** floor(log10(end))
    step = next(unit * part for part in (1.0, 0.5, 0.2, 0.1) if end / (unit * part) >= 4)
    return [step * number for number in range(floor(end / step) + 1)]
