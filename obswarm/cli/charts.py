"""Charts of a series of numbers for a terminal: bars in one line, or a line with a scale."""

import math
from collections.abc import Callable, Sequence

_BARS = "▁▂▃▄▅▆▇█"
_BAR_WIDTH = 32
_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of the dots of a Braille cell, by row from above and column (Unicode, chapter 21.1)."""

_DOTS_HIGH, _DOTS_WIDE = 4, 2
_WIDEST = 8
"""Maximum width of one value, in dots."""


def sparkline(values: Sequence[float | None], width: int = _BAR_WIDTH) -> str:
    """Return the last values as bars; the highest value has the full height."""
    shown = [value or 0.0 for value in values][-width:]
    top = max(shown, default=0)
    if top <= 0:
        return _BARS[0] * len(shown)
    return "".join(_BARS[min(len(_BARS) - 1, int(value / top * (len(_BARS) - 1) + 0.5))] for value in shown)


def scale_top(values: Sequence[float | None]) -> float:
    """Return a round number at or above all values, so that the scale seldom changes; 1 if there are no values."""
    highest = max((value for value in values if value is not None), default=0.0)
    if not 1e-12 < highest < math.inf:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next((step * power for step in _STEPS if highest <= step * power * (1 + 1e-9)), 10.0 * power)


def chart_room(width: int, label_width: int) -> int:
    """Return the number of values that fit in a chart of `width` columns of the terminal."""
    return max(0, width - label_width - 2) * _DOTS_WIDE


def line_chart(
    values: Sequence[float | None], width: int, height: int, label: Callable[[float], str], label_width: int = 8
) -> list[str]:
    """Return a line chart of the last values, oldest on the left, from 0 to a round number, as `height` strings of
    `width` columns.

    The scale is on the left; `label` formats its values. None is a gap. If there are few values, each is wider.
    """
    room = chart_room(width, label_width)
    shown = list(values)[-room:] if room else []
    top = scale_top(shown)
    repeat = max(1, min(_WIDEST, room // max(1, len(shown))))
    shown = [value for value in shown for _ in range(repeat)]
    cells = [[0] * (room // _DOTS_WIDE) for _ in range(height)]
    before: int | None = None
    for place, value in enumerate(shown):
        if value is None:
            before = None
            continue
        level = round(min(value / top, 1.0) * (height * _DOTS_HIGH - 1))
        low, high = (level, level) if before is None else sorted((level, before))
        for dot in range(low if before is None or level <= before else low + 1, high + 1):
            row = height - 1 - dot // _DOTS_HIGH
            cells[row][place // _DOTS_WIDE] |= _DOTS[_DOTS_HIGH - 1 - dot % _DOTS_HIGH][place % _DOTS_WIDE]
        before = level
    scale = {0: label(top), height - 1: label(0.0)}
    if height % 2:
        scale[height // 2] = label(top / 2)
    return [
        f"{scale.get(number, ''):>{label_width}} {'┤' if number in scale else '│'}"
        + "".join(chr(_BRAILLE + bits) for bits in row)
        for number, row in enumerate(cells)
    ]
