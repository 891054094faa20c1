"""A picture of what was found in a recording: signals as bars, engagement, quality, over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from pathlib import Path

    from plugins.stream.analysis.findings import Result

WIDTH: Final = 1_200
LEFT: Final = 170
RIGHT: Final = 24
TOP: Final = 52
ROW: Final = 26
QUALITY_HEIGHT: Final = 120
TICKS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
MOST_TICKS: Final = 20
FONT_SIZE: Final = 13

INK: Final = "#1c2430"
GRID: Final = "#e3e7ee"
PAPER: Final = "#ffffff"
SHADES: Final = {"low": "#b9cdf0", "medium": "#6f98e0", "high": "#2559b8"}
STATES: Final = {"engaged": "#3f9d6b", "neutral": "#c9ced8", "disengaged": "#d07b4f"}
VALUES: Final = {
    "quality_index": "#1c2430",
    "clarity": "#2559b8",
    "authority": "#8d4fb0",
    "energy": "#d07b4f",
    "rapport": "#3f9d6b",
    "learning": "#b08b1e",
}


def draw_timeline(result: Result, path: Path) -> None:
    """Write a PNG; OSError when it cannot be written."""
    kinds = sorted({signal.signal_type for signal in result.signals})
    rows = max(1, len(kinds)) + 1
    height = TOP + rows * ROW + 40 + QUALITY_HEIGHT + 60
    image = Image.new("RGB", (WIDTH, height), PAPER)
    canvas = _Canvas(ImageDraw.Draw(image), max(result.duration, 1.0))
    canvas.text(16, 14, f"{result.duration:.1f} s of media, {len(result.signals)} signals")
    bottom = TOP + rows * ROW + 40 + QUALITY_HEIGHT
    canvas.grid(TOP, bottom)
    for number, kind in enumerate(kinds):
        y = TOP + number * ROW
        canvas.text(16, y + 5, kind)
        for signal in result.signals:
            if signal.signal_type == kind:
                canvas.bar(signal.start, signal.end, y, SHADES[signal.probability])
    if not kinds:
        canvas.text(16, TOP + 5, "no signals")
    y = TOP + (rows - 1) * ROW
    canvas.text(16, y + 5, "state")
    for period in result.engagement:
        canvas.bar(period.start, period.end, y, STATES[period.state])
    _draw_quality(canvas, result, TOP + rows * ROW + 40)
    _draw_legend(canvas, bottom + 34)
    image.save(path, format="PNG")


def _draw_quality(canvas: _Canvas, result: Result, top: int) -> None:
    for value in (0, 50, 100):
        y = top + QUALITY_HEIGHT * (100 - value) / 100
        canvas.line([(LEFT, y), (WIDTH - RIGHT, y)], GRID)
        canvas.text(LEFT - 34, y - 8, str(value))
    canvas.text(16, top - 8, "quality")
    for name, color in VALUES.items():
        points = [
            (canvas.x(moment), top + QUALITY_HEIGHT * (100 - period.values[name]) / 100)
            for period in result.quality_timeline
            for moment in (period.start, period.end)
        ]
        canvas.line(points, color, 3 if name == "quality_index" else 1)


def _draw_legend(canvas: _Canvas, y: int) -> None:
    x = 16.0
    for names in (SHADES, STATES, VALUES):
        for name, color in names.items():
            canvas.box(x, y + 2, 10, color)
            canvas.text(x + 14, y - 2, name.replace("_", " "))
            x += 14 + canvas.width(name) + 14


class _Canvas:
    """Draw on a time axis."""

    def __init__(self, draw: ImageDraw.ImageDraw, seconds: float) -> None:
        self._draw = draw
        self._seconds = seconds
        self._font = ImageFont.load_default(FONT_SIZE)

    def x(self, seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(seconds / self._seconds, 0.0), 1.0)

    def text(self, x: float, y: float, text: str) -> None:
        self._draw.text((x, y), text, fill=INK, font=self._font)

    def width(self, text: str) -> float:
        return self._draw.textlength(text, font=self._font)

    def box(self, x: float, y: float, side: float, color: str) -> None:
        self._draw.rectangle((x, y, x + side, y + side), fill=color)

    def line(self, points: list[tuple[float, float]], color: str, width: int = 1) -> None:
        self._draw.line(points, fill=color, width=width)

    def bar(self, start: float, end: float, y: float, color: str) -> None:
        left, right = self.x(start), self.x(end)
        self._draw.rectangle((left, y + 4, max(right, left + 2), y + ROW - 4), fill=color)

    def grid(self, top: int, bottom: int) -> None:
        fitting = (tick for tick in TICKS if self._seconds / tick <= MOST_TICKS)
        step = next(fitting, TICKS[-1])
        for number in range(int(self._seconds // step) + 1):
            x = self.x(number * step)
            self._draw.line([(x, top), (x, bottom)], fill=GRID)
            self.text(x - 8, bottom + 8, f"{number * step} s")
