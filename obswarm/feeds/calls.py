"""Calls of a process for rows of feeds, and for iterations of a limited number."""

from dataclasses import dataclass
from typing import Any

TAKE, LEND, GIVE_BACK, USED = "take", "lend", "give back", "used"
BEGIN, DO_NOT_BEGIN = "begin", "do not begin"
"""Calls for iterations of a quota, in place of rows of a feed."""
ROWS, ROW, NONE_LEFT, WAIT, DONE, GRANTED = "rows", "row", "none left", "wait", "done", "granted"

Answer = list[Any]
"""[ROWS, rows], [ROW, position, row], [NONE_LEFT], [WAIT], [DONE] or [GRANTED, number]."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a process. `number` counts its calls from 1; `used` is how many of the rows that it was handed it has
    used so far; `position` is that of a row that is given back. For iterations, `feed` is the name of the quota, and
    `position` their number."""

    node: str
    number: int
    kind: str
    feed: str
    used: int = 0
    position: int = 0
