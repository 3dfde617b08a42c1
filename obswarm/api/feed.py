"""Test data: rows of files, queries and values, each handed out to one user of the whole fleet.

from obswarm import feed

accounts = feed.csv("accounts.csv", policy="unique")

class Customer(FastHttpUser):
    def on_start(self):
        account = accounts.next()
        self.client.post("/login", json=account)
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import gevent
from gevent.lock import BoundedSemaphore

from obswarm.api.errors import ObswarmError, StopUser
from obswarm.feeds import LOST, ON_EXHAUSTED, POLICIES, Call, FeedDefinition
from obswarm.feeds.calls import GIVE_BACK, LEND, NONE_LEFT, ROW, ROWS, TAKE
from obswarm.sanitize import clean_text
from obswarm.units import format_limit

if TYPE_CHECKING:
    from obswarm.feeds import FeedServer

_POLL_S = 0.1
"""How often a user that waits for a lent row asks again, in seconds."""
_declared: dict[str, "Feed"] = {}


class RowsExhausted(StopUser):
    """All rows of a feed have been handed out. Ends this user; the run is stopped as well."""


class RowSupply(Protocol):
    """Where the rows of this process come from: the master, or this process itself."""

    def call(self, kind: str, feed: str, used: int, position: int, done: Callable[[list[Any]], None]) -> None:
        """Make a call (obswarm.feeds.Call), and pass the answer to `done`, which is called even if the caller is killed
        while it waits. Returns after that. Raises ObswarmError."""

    def stop(self, detail: str) -> None:
        """Stop the run gracefully."""


class LocalSupply:
    """Rows from a server in this process. `stop_run` stops the run gracefully."""

    def __init__(self, server: "FeedServer", stop_run: Callable[[str], None] = lambda detail: None) -> None:
        self._server = server
        self._number = 0
        self._stop_run = stop_run

    def call(self, kind: str, feed: str, used: int, position: int, done: Callable[[list[Any]], None]) -> None:
        self._number += 1
        done(self._server.call(Call("local", self._number, kind, feed, used, position)))

    def stop(self, detail: str) -> None:
        self._stop_run(detail)


_supply: RowSupply | None = None


def set_supply(supply: RowSupply | None) -> None:
    """Set where the rows of this process come from; None: from the process itself, as for a single user."""
    global _supply  # noqa: PLW0603 - feeds are declared in the load-test file, before there is a run
    _supply = supply
    for each in _declared.values():
        each.reset()


def _supply_for(feed: "Feed") -> RowSupply:
    if _supply is None:
        # Only here: in runs, the supply is set before.
        from obswarm.feeds import FeedServer

        set_supply(LocalSupply(FeedServer(definitions())))
    assert _supply is not None, feed
    return _supply


def definitions() -> list[FeedDefinition]:
    """Return the feeds that were declared in this process."""
    return [each.definition for each in _declared.values()]


def feed_files() -> list[Path]:
    """Return the files of the feeds that were declared in this process."""
    return [Path(each.source) for each in definitions() if isinstance(each.source, str) and Path(each.source).is_file()]


def used_rows() -> dict[str, int]:
    """Return the number of rows that users of this process have taken, by feed."""
    return {name: each.used for name, each in _declared.items() if each.used}


class Lease:
    """A row that was lent to this user: `row`, until `give_back` or the end of a `with` block."""

    def __init__(self, feed: "Feed", position: int, row: Any) -> None:
        self._feed = feed
        self._position = position
        self._is_out = True
        self.row = row

    def give_back(self) -> None:
        """Give the row back, for another user. Later calls do nothing."""
        if self._is_out:
            self._is_out = False
            self._feed.take_back(self._position)

    def __enter__(self) -> Any:
        return self.row

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.give_back()


class Feed:
    """Rows of one source; made by `csv`, `jsonl`, `sequence` and `sql`."""

    def __init__(self, definition: FeedDefinition) -> None:
        self.definition = definition
        self.reset()

    def reset(self) -> None:
        """Forget all rows: another run begins."""
        self._rows: deque[Any] = deque()
        self.used = 0
        """Number of rows that users of this process have taken."""
        self._is_exhausted = False
        self._lock = BoundedSemaphore()

    def __repr__(self) -> str:
        return f"feed {self.definition.name}"

    def next(self) -> Any:
        """Return the next row for this user: of a CSV file and a query, a dict of its columns.

        Waits if rows have to be fetched from the master. When there are no rows left, the run is stopped gracefully,
        and RowsExhausted ends this user.
        """
        while not self._rows:
            self._fetch()
        self.used += 1
        return self._rows.popleft()

    def _fetch(self) -> None:
        with self._lock:
            # Another user may have waited for the same rows.
            if self._rows:
                return
            supply = _supply_for(self)
            if not self._is_exhausted:
                supply.call(TAKE, self.definition.name, self.used, 0, self._fetched)
            if self._is_exhausted:
                detail = f"all rows of the feed {self.definition.name} have been handed out"
                supply.stop(detail)
                raise RowsExhausted(detail)

    def _fetched(self, answer: list[Any]) -> None:
        if answer[0] == ROWS:
            self._rows.extend(answer[1])
        elif answer[0] == NONE_LEFT:
            self._is_exhausted = True

    def checkout(self, timeout: float | None = None) -> Lease:
        """Lend a row to this user alone, until it is given back: `with accounts.checkout() as account: …`, or
        `lease = accounts.checkout()` and `lease.give_back()`. Waits while all rows are lent.

        Raises TimeoutError after `timeout` seconds.
        """
        found: list[Lease] = []
        supply = _supply_for(self)

        def lent(answer: list[Any]) -> None:
            if answer[0] == ROW:
                found.append(Lease(self, answer[1], answer[2]))

        waited_s = 0.0
        try:
            while True:
                supply.call(LEND, self.definition.name, 0, 0, lent)
                if found:
                    return found.pop()
                if timeout is not None and waited_s >= timeout:
                    raise TimeoutError(f"{self}: all rows have been lent for {format_limit(timeout)}.")
                gevent.sleep(_POLL_S)
                waited_s += _POLL_S
        finally:
            # The user was killed meanwhile.
            for lease in found:
                lease.give_back()

    def take_back(self, position: int) -> None:
        """Give a lent row back; see `Lease`."""
        _supply_for(self).call(GIVE_BACK, self.definition.name, 0, position, lambda answer: None)


def csv(
    path: str | os.PathLike[str],
    *,
    policy: str = "unique",
    on_exhausted: str = "stop",
    lost: str = "report",
    encoding: str = "utf-8",
    delimiter: str = ",",
    columns: Sequence[str] | None = None,
    seed: int | None = None,
    name: str = "",
) -> Feed:
    """Declare the rows of a CSV file, at the top of a load-test file. A row is a dict; its keys are the values of the
    first line, or `columns` for a file without such a line. Only the master (or a run without workers) reads the file.

    `policy`: `unique` hands out each row once over the whole fleet, in order; `shuffle` each once in random order;
    `circular` starts over after the last; `random` draws any row at each call. `on_exhausted`, for the first two:
    `stop` the run, or `recycle`, start over. `lost`: rows that a worker had and did not use when it died are only named
    (`report`), or handed out `again`, of which a few may have been used in its last second. `seed` makes the order of
    `shuffle` and `random` the same in each run.

    Raises ObswarmError for other values. The file is read, and all of it is validated, before the run.
    """
    if len(delimiter) != 1:
        raise ObswarmError(f"feed.csv: the delimiter is {delimiter!r}; it has to be one character.")
    names = None if columns is None else tuple(map(str, columns))
    if names is not None and len(set(names)) < len(names):
        raise ObswarmError("feed.csv: a column is given twice.")
    return _declare(
        "csv", path, name, policy, on_exhausted, lost, seed, encoding=encoding, delimiter=delimiter, columns=names
    )


def jsonl(
    path: str | os.PathLike[str],
    *,
    policy: str = "unique",
    on_exhausted: str = "stop",
    lost: str = "report",
    encoding: str = "utf-8",
    seed: int | None = None,
    name: str = "",
) -> Feed:
    """Declare the lines of a file with a JSON value each; see `csv`."""
    return _declare("jsonl", path, name, policy, on_exhausted, lost, seed, encoding=encoding)


def sequence(
    values: Sequence[Any],
    *,
    policy: str = "unique",
    on_exhausted: str = "stop",
    lost: str = "report",
    seed: int | None = None,
    name: str = "sequence",
) -> Feed:
    """Declare values, such as `range(1, 1_000_001)` or a list of texts, numbers, lists and dicts; see `csv`."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise ObswarmError(f"feed.sequence: {type(values).__name__} is not a sequence; give a list or a range.")
    return _declare("sequence", values, name, policy, on_exhausted, lost, seed)


def sql(
    database: str | os.PathLike[str] | Callable[[], Any],
    query: str,
    *,
    policy: str = "unique",
    on_exhausted: str = "stop",
    lost: str = "report",
    seed: int | None = None,
    name: str = "",
) -> Feed:
    """Declare the rows of a query, as dicts: of an SQLite database by its path, or of any database by a function that
    returns a DB-API connection; see `csv`. The query is executed once, before the run, where the file would be read;
    dates and other values that JSON does not have are texts. Its ORDER BY has to make the order unique if the master of
    a fleet is to continue after a restart."""
    if callable(database):
        name = name or getattr(database, "__name__", "sql")
        return _declare("sql", database, name, policy, on_exhausted, lost, seed, query=query)
    return _declare("sql", database, name, policy, on_exhausted, lost, seed, query=query)


def _declare(
    kind: str, source: Any, name: str, policy: str, on_exhausted: str, lost: str, seed: int | None, **options: Any
) -> Feed:
    for what, value, allowed in (
        ("policy", policy, POLICIES),
        ("on_exhausted", on_exhausted, ON_EXHAUSTED),
        ("lost", lost, LOST),
    ):
        if value not in allowed:
            raise ObswarmError(f"feed.{kind}: {what} is {value!r}; write {' or '.join(map(repr, allowed))}.")
    if not callable(source) and kind != "sequence":
        if not isinstance(source, str | os.PathLike) or not os.fspath(source):
            raise ObswarmError(f"feed.{kind}: {source!r} is no file; give the path of one.")
        source = os.path.abspath(source)
        name = name or Path(source).name or str(source)
    definition = FeedDefinition(
        clean_text(name), kind, source, policy, on_exhausted, lost, None if seed is None else int(seed), **options
    )
    number, unique = 1, definition.name
    while unique in _declared and _declared[unique].definition != replace(definition, name=unique):
        # Two feeds of one file are two feeds.
        number += 1
        unique = f"{definition.name} ({number})"
    if unique in _declared:
        return _declared[unique]
    made = _declared[unique] = Feed(replace(definition, name=unique))
    return made
