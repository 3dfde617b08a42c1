"""FeedServer: hands out rows to the processes of a fleet, each row to one of them, and remembers who has which.

A process numbers its calls, and repeats a call until it is answered; a repeated call gets the same answer. Each answer
is in the journal before it is given, so that a master that is started again does not hand out a row twice.
"""

import logging
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgpack

from obswarm.errors import ObswarmError
from obswarm.feeds.calls import (
    BEGIN,
    DO_NOT_BEGIN,
    DONE,
    GIVE_BACK,
    GRANTED,
    LEND,
    NONE_LEFT,
    ROW,
    ROWS,
    TAKE,
    USED,
    WAIT,
    Answer,
    Call,
)
from obswarm.feeds.definition import FeedDefinition
from obswarm.feeds.journal import FeedJournal
from obswarm.feeds.order import row_number
from obswarm.feeds.quota import Quota
from obswarm.units import counted

if TYPE_CHECKING:
    from obswarm.feeds.rows import RowReader

logger = logging.getLogger(__name__)

_FIRST_BLOCK = 10
_LARGEST_BLOCK = 1_000
_LARGEST_SCATTERED_BLOCK = 200
"""The same of rows in random order, each of which is in another part of the file."""
_MOST_BLOCK_BYTES = 256 * 1024
_SHARE_OF_REST = 4
"""A block is at most this part of each process's share of the remaining rows, so that few are left over in the end."""
_MOST_RANGES = 20
_ORDERED = " (a query needs an ORDER BY to return them in the same order)"


@dataclass(slots=True)
class _Held:
    """Positions that a process was handed and has not used, as ranges [begin, end), in the order of their use."""

    ranges: deque[list[int]] = field(default_factory=deque)
    used: int = 0
    block: int = _FIRST_BLOCK

    def note_used(self, used: int) -> None:
        fresh, self.used = max(0, used - self.used), max(used, self.used)
        while fresh and self.ranges:
            first = self.ranges[0]
            step = min(fresh, first[1] - first[0])
            first[0] += step
            fresh -= step
            if first[0] == first[1]:
                self.ranges.popleft()


class _Feed:
    """The state of one feed."""

    def __init__(self, definition: FeedDefinition, rows: "RowReader", seed: int) -> None:
        self.definition = definition
        self.rows = rows
        self.seed = seed
        self.limit = None if definition.repeats else rows.count
        self.next = 0
        self.again: deque[list[int]] = deque()
        """Ranges of positions to hand out again."""
        self.held: dict[str, _Held] = {}
        self.abandoned = 0
        """Number of rows that processes had and did not use when they died, and that are not handed out again."""
        self.lent: dict[int, str] = {}
        self.free: deque[int] = deque()
        """Rows that were given back, by position."""
        is_scattered = definition.policy in ("shuffle", "random")
        self._largest_block = _LARGEST_SCATTERED_BLOCK if is_scattered else _LARGEST_BLOCK
        self._last_read: tuple[int, list[Any]] = -1, []
        """Position and rows of the block that was read last."""

    def numbers(self, begin: int, end: int) -> list[int]:
        policy, seed, count = self.definition.policy, self.seed, self.rows.count
        return [row_number(policy, seed, count, position) for position in range(begin, end)]

    def restore_seed(self, seed: int) -> None:
        """Set the seed of an earlier process of the same run."""
        self.seed = seed

    def abandon(self, held: _Held) -> None:
        """Note that what a process held is not used by anybody."""
        self.abandoned += sum(end - begin for begin, end in held.ranges)

    def read(self, begin: int, end: int) -> list[Any]:
        """Return the rows at these positions."""
        at, rows = self._last_read
        if at != begin or len(rows) < end - begin:
            rows = self.rows.read(self.numbers(begin, end))
            self._last_read = begin, rows
        return rows[: end - begin]

    def block(self, node: str) -> tuple[int, int] | None:
        """Return the positions to hand out next, None if there are none."""
        held = self.held.setdefault(node, _Held())
        size = held.block
        if self.again:
            begin, end = self.again[0]
            return begin, min(end, begin + size)
        if self.limit is not None:
            rest = self.limit - self.next
            if rest <= 0:
                return None
            size = min(size, max(1, rest // (_SHARE_OF_REST * len(self.held))))
        return self.next, self.next + size

    def hand_out(self, node: str, begin: int, end: int) -> None:
        """Note that a process was handed these positions."""
        held = self.held.setdefault(node, _Held())
        if self.again and self.again[0][0] == begin:
            self.again[0][0] = end
            if end >= self.again[0][1]:
                self.again.popleft()
        else:
            self.next = max(self.next, end)
        held.ranges.append([begin, end])
        held.block = min(self._largest_block, held.block * 2)


class FeedServer:
    """The feeds of a run, and its limited numbers of iterations (`quotas`, by name). `journal` is the file of a master;
    None in a process without one. Raises ObswarmError if a feed's rows cannot be read, or are not those of the run that
    is continued."""

    def __init__(
        self,
        definitions: Sequence[FeedDefinition],
        journal: Path | None = None,
        run_id: str = "",
        *,
        quotas: Mapping[str, int] | None = None,
    ) -> None:
        self.quotas = {name: Quota(number) for name, number in (quotas or {}).items()}
        self._feeds: dict[str, _Feed] = {}
        for definition in definitions:
            # Only here: few load tests have feeds.
            from obswarm.feeds.rows import open_rows

            seed = definition.seed if definition.seed is not None else secrets.randbits(48)
            self._feeds[definition.name] = _Feed(definition, open_rows(definition), seed)
        self._last: dict[str, tuple[int, list[Any]]] = {}
        """By process, the number of its last call, and its journal entry."""
        self._journal = FeedJournal(journal, run_id) if journal is not None and self else None
        if self._journal is not None:
            self._restore(self._journal.open())
            self._journal.write({name: [feed.seed, *feed.rows.identity] for name, feed in self._feeds.items()})

    def __bool__(self) -> bool:
        return bool(self._feeds or self.quotas)

    def _restore(self, entries: Sequence[Any]) -> None:
        for entry in entries:
            if isinstance(entry, dict):
                self._check_same(entry)
            else:
                self._apply(entry)

    def _check_same(self, seen: Mapping[str, Any]) -> None:
        for name, feed in self._feeds.items():
            seed, *identity = seen.get(name, (feed.seed, *feed.rows.identity))
            if identity != feed.rows.identity:
                raise ObswarmError(
                    f"feed {name}: its rows have changed since an earlier master began this run"
                    f"{_ORDERED if feed.definition.kind == 'sql' else ''}. Restore them, or use --fresh to start a new"
                    " run."
                )
            feed.restore_seed(seed)

    # Calls.
    def call(self, call: Call) -> Answer:
        """Answer a call. Raises ObswarmError for an unknown feed, and if its rows cannot be read."""
        what = self.quotas if call.kind in (BEGIN, DO_NOT_BEGIN) else self._feeds
        if call.feed not in what:
            noun = "a limit of iterations" if what is self.quotas else "a feed"
            raise ObswarmError(f"The load test of the worker {call.node} has {noun} {call.feed!r} that this one lacks.")
        number, entry = self._last.get(call.node, (0, []))
        if call.number <= number:
            return self._answer(entry) if call.number == number else [DONE]
        entry = self._entry(call)
        *_, begin, end = entry
        # A call without an effect may be repeated to a later process.
        if self._journal is not None and end > begin:
            self._journal.write(entry)
        self._apply(entry)
        return self._answer(entry)

    def note_used(self, node: str, used: Mapping[str, int]) -> None:
        """Note how many of the rows that a process was handed it has used so far, by feed."""
        for name, number in used.items():
            feed = self._feeds.get(name)
            held = None if feed is None else feed.held.get(node)
            if held is not None and number > held.used:
                entry = [node, 0, USED, name, number, 0, 0]
                if self._journal is not None:
                    self._journal.write(entry)
                self._apply(entry)

    def note_ended(self, ended: Mapping[tuple[str, str], int]) -> None:
        """Note how many iterations of each quota each process has ended so far, by (quota, node). All statistics of
        processes that were gone before are among them."""
        for (name, node), number in ended.items():
            if name in self.quotas:
                self.quotas[name].note_ended(node, number)
        for quota in self.quotas.values():
            quota.settle()

    def _entry(self, call: Call) -> list[Any]:
        """Return the journal's entry of a new call: [node, number, kind, feed, used, begin, end]."""
        begin = end = 0
        if call.kind == BEGIN:
            has, end = self.quotas[call.feed].next_grant(call.node, call.position)
            return [call.node, call.number, call.kind, call.feed, has, begin, end]
        if call.kind == DO_NOT_BEGIN:
            return [call.node, call.number, call.kind, call.feed, 0, begin, call.position]
        feed = self._feeds[call.feed]
        if call.kind == TAKE:
            block = feed.block(call.node)
            if block is not None:
                begin, end = block[0], self._fitting(feed, *block)
        elif call.kind == LEND:
            if feed.free:
                begin, end = feed.free[0], feed.free[0] + 1
            elif feed.next < feed.rows.count:
                begin, end = feed.next, feed.next + 1
        elif call.kind == GIVE_BACK:
            begin, end = call.position, call.position + 1
        return [call.node, call.number, call.kind, call.feed, call.used, begin, end]

    def _fitting(self, feed: _Feed, begin: int, end: int) -> int:
        """Return the end of the part of a block that is not too large for a message; it has at least one row."""
        total = 0
        for position, row in zip(range(begin, end), feed.read(begin, end), strict=True):
            total += len(msgpack.packb(row, unicode_errors="backslashreplace"))
            if total > _MOST_BLOCK_BYTES and position > begin:
                return position
        return end

    def _apply(self, entry: Sequence[Any]) -> None:
        node, number, kind, name, used, begin, end = entry
        if number:
            self._last[node] = number, list(entry)
        if kind == _GONE:
            self._free(node)
            return
        quota = self.quotas.get(name) if kind in (BEGIN, DO_NOT_BEGIN) else None
        if quota is not None:
            if kind == BEGIN:
                quota.grant(node, used, end)
            else:
                quota.give_back(node, end)
            return
        feed = self._feeds.get(name)
        if feed is None:
            return
        if kind in (TAKE, USED):
            feed.held.setdefault(node, _Held()).note_used(used)
        if kind == TAKE and end > begin:
            feed.hand_out(node, begin, end)
        elif kind == LEND and end > begin:
            if feed.free and feed.free[0] == begin:
                feed.free.popleft()
            feed.next = max(feed.next, end)
            feed.lent[begin] = node
        elif kind == GIVE_BACK and feed.lent.get(begin) == node:
            del feed.lent[begin]
            feed.free.append(begin)

    def _answer(self, entry: Sequence[Any]) -> Answer:
        _, _, kind, name, _, begin, end = entry
        if kind == BEGIN:
            return [GRANTED, end]
        if kind == DO_NOT_BEGIN:
            return [DONE]
        feed = self._feeds[name]
        if kind == TAKE:
            return [ROWS, feed.read(begin, end)] if end > begin else [NONE_LEFT]
        if kind == LEND:
            return [ROW, begin, feed.rows.read([begin])[0]] if end > begin else [WAIT]
        return [DONE]

    # Processes that are gone.
    def gone(self, node: str) -> str:
        """Note that a process is dead. Rows that were lent to it are free again; of a feed whose lost rows are handed
        out again, so are those that it had and did not use. Returns which rows it had not used as far as is known, as
        text for the loss; empty if there are none."""
        texts = []
        for feed in self._feeds.values():
            held = feed.held.get(node)
            if held is not None and held.ranges:
                again = ", which are handed out again" if feed.definition.lost == "again" else ""
                texts.append(f"{self._unused(feed, held)} of {feed.definition.name}{again}")
        entry = [node, 0, _GONE, "", 0, 0, 0]
        if self._journal is not None and self:
            self._journal.write(entry)
        self._apply(entry)
        return f"as far as it had reported, it had not used {' and '.join(texts)}" if texts else ""

    def _free(self, node: str) -> None:
        for quota in self.quotas.values():
            quota.leave(node)
        for feed in self._feeds.values():
            for position in [each for each, by in feed.lent.items() if by == node]:
                del feed.lent[position]
                feed.free.append(position)
            held = feed.held.pop(node, None)
            if held is not None and feed.definition.lost == "again":
                feed.again.extend(held.ranges)
            elif held is not None:
                feed.abandon(held)

    def _unused(self, feed: _Feed, held: _Held) -> str:
        numbers = sorted({number for begin, end in held.ranges for number in feed.numbers(begin, end)})
        return format_rows(numbers)

    def use(self) -> dict[str, dict[str, int]]:
        """Return by feed how many rows it has (`rows`), how many were handed out (`handed_out`; those that are handed
        out again once more count once), and how many of these are not used as far as is known (`unused`)."""
        found = {}
        for name, feed in self._feeds.items():
            unused = sum(end - begin for held in feed.held.values() for begin, end in held.ranges)
            unused += feed.abandoned + sum(end - begin for begin, end in feed.again)
            found[name] = {"rows": feed.rows.count, "handed_out": feed.next, "unused": unused}
        return found

    def summary(self) -> list[str]:
        """Return a sentence for each feed that has handed out rows: how many, and how many of them are not used."""
        sentences = []
        for name, use in self.use().items():
            if use["handed_out"]:
                rest = f", {use['unused']:,} of them not used" if use["unused"] else ""
                sentences.append(
                    f"Feed {name}: {counted(use['handed_out'], 'row')} of {use['rows']:,} handed out{rest}."
                )
        return sentences

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()

    def finish(self) -> None:
        """The run has ended properly: remove the journal."""
        if self._journal is not None:
            self._journal.remove()


_GONE = "gone"


def format_rows(numbers: Sequence[int]) -> str:
    """Format ascending numbers of rows, from 0, as people count them: `rows 1, 3 to 17`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    shown = [f"{a + 1}" if a == b else f"{a + 1} to {b + 1}" for a, b in ranges[:_MOST_RANGES]]
    rest = len(numbers) - sum(b - a + 1 for a, b in ranges[:_MOST_RANGES])
    return f"{'row' if len(numbers) == 1 else 'rows'} {', '.join(shown)}{f' and {rest:,} more' if rest else ''}"
