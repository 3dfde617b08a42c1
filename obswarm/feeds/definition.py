"""The definition of a feed in a load test."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

POLICIES = ("unique", "circular", "random", "shuffle")
ON_EXHAUSTED = ("stop", "recycle")
LOST = ("report", "again")


@dataclass(frozen=True, slots=True)
class FeedDefinition:
    """A feed: where its rows come from, and how they are handed out.

    `source` is the path of a `csv` or `jsonl` file, the values of a `sequence`, or for `sql` the path of an SQLite
    database or a function that returns a DB-API connection. `lost` says what becomes of the rows that a worker had and
    did not use when it died.
    """

    name: str
    kind: str
    source: str | Sequence[Any] | Callable[[], Any]
    policy: str = "unique"
    on_exhausted: str = "stop"
    lost: str = "report"
    seed: int | None = None
    encoding: str = "utf-8"
    delimiter: str = ","
    columns: tuple[str, ...] | None = None
    query: str = ""

    @property
    def repeats(self) -> bool:
        """Whether rows are handed out again when all were."""
        return self.policy in ("circular", "random") or self.on_exhausted == "recycle"
