"""Draws response times by percentile as SVG."""

from collections.abc import Callable, Mapping

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 340, 60, 40, 50
_COLOURS = ("#999999", "#1f77b4", "#d62728")
_DASHES = ("6 4", "none", "none")
_MARKS = (0, 50, 80, 90, 95, 99, 100)


def draw(curves: Mapping[str, Callable[[float], float]]) -> str:
    """Return a picture of curves, each a function from a share (0 to 1) to seconds."""
    shares = [number / 200 for number in range(200)] + [0.999]
    highest = max(curve(share) for curve in curves.values() for share in shares) * 1.05
    right, bottom = _WIDTH - 20, _HEIGHT - _BOTTOM

    def x(share: float) -> float:
        return round(_LEFT + share * (right - _LEFT), 1)

    def y(seconds: float) -> float:
        return round(bottom - seconds / highest * (bottom - _TOP), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif"'
        ' font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
    ]
    for half in range(int(highest * 2) + 1):
        level = y(half / 2)
        parts.append(f'<line x1="{_LEFT}" x2="{right}" y1="{level}" y2="{level}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{level + 4}" text-anchor="end">{half / 2:g} s</text>')
    parts += [f'<text x="{x(mark / 100)}" y="{bottom + 18}" text-anchor="middle">{mark}</text>' for mark in _MARKS]
    parts.append(f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 12}" text-anchor="middle">percentile</text>')
    for number, (name, curve) in enumerate(curves.items()):
        points = " ".join(f"{x(share)},{y(curve(share))}" for share in shares)
        colour = _COLOURS[number]
        style = f'stroke="{colour}" stroke-width="2" stroke-dasharray="{_DASHES[number]}"'
        parts.append(f'<polyline points="{points}" fill="none" {style}/>')
        parts.append(f'<text x="{_LEFT + 10 + number * 220}" y="22" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])
