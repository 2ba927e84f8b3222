"""A picture of how cost grows: processor seconds by number of files, both in powers of ten."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import count
from math import ceil, floor, log10

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 400, 64, 24, 180, 48
COLOURS = ("#0b6e99", "#b54708", "#3b7a2a", "#7a3b8f", "#8a1c1c", "#555555")


def growth_plot(cases: Mapping[str, Mapping[int, float]]) -> str:
    """The SVG of one line a case, through its figures by size."""
    sizes = [size for figures in cases.values() for size in figures]
    values = [value for figures in cases.values() for value in figures.values()]
    first, last = floor(log10(min(sizes))), ceil(log10(max(sizes)))
    low, high = floor(log10(min(values))), ceil(log10(max(values)))

    def x(size: float) -> float:
        return LEFT + (log10(size) - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (log10(value) - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = []
    labels: list[tuple[float, float, str, str]] = []
    for power in range(first, last + 1):
        parts.append(_line(x(10**power), TOP, x(10**power), HEIGHT - BOTTOM))
        parts.append(_text(x(10**power), HEIGHT - BOTTOM + 18, f"{10**power:,}", "middle"))
    for power in range(low, high + 1):
        parts.append(_line(LEFT, y(10.0**power), WIDTH - RIGHT, y(10.0**power)))
        parts.append(_text(LEFT - 6, y(10.0**power) + 4, f"{10.0**power:g} s", "end"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "files", "middle"))
    for (case, figures), index in zip(cases.items(), count()):
        colour = COLOURS[index % len(COLOURS)]
        points = [(x(size), y(value)) for size, value in sorted(figures.items())]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3" fill="{colour}"/>' for px, py in points]
        labels.append((points[-1][1] + 4, points[-1][0] + 8, case, colour))
    bottom = 0.0
    for py, px, case, colour in sorted(labels):
        bottom = max(py, bottom + 14)  # below the one before
        parts.append(_text(px, bottom, case, "start", colour))
    view = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12"'
    body = "\n".join(parts)
    return f'<svg {view} role="img">\n<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#dddddd"/>'


def _text(x: float, y: float, text: str, anchor: str, colour: str = "#333333") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
