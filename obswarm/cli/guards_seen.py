"""Summary of a run's guards: their extreme values, and how long they had no data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from obswarm.record import GuardState, GuardView, Snapshot, lacks_data
from obswarm.report import NO_REQUEST_SELECTED, no_data_text

if TYPE_CHECKING:
    from rich.text import Text

_NO_DATA = "had no data"


@dataclass(slots=True)
class _Seen:
    lowest: tuple[float, str] | None = None
    """A value, and the same formatted."""
    highest: tuple[float, str] | None = None


class GuardsSeen:
    """Lowest and highest value of each guard over the run, by the guard's name."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def add(self, snapshot: Snapshot) -> None:
        for guard in snapshot.guards:
            seen = self._seen.setdefault(guard.name, _Seen())
            now = (
                [(guard.value, guard.shown)]
                if guard.state is not GuardState.NO_DATA and guard.value is not None
                else []
            )
            for value in (*guard.extremes, *now):
                seen.lowest = min(seen.lowest or value, value)
                seen.highest = max(seen.highest or value, value)

    def lines(self, guards: Sequence[GuardView]) -> "list[Text]":
        """Return a sentence for each guard in its final state, including guards that did not trip."""
        return [self._line(guard) for guard in guards]

    def _line(self, guard: GuardView) -> "Text":
        # rich is imported at the end of a run.
        from obswarm.cli.text_console import plain

        head = f"guard {guard.title} → {guard.action}:"
        if not guard.matched:
            return plain(f"{head} {NO_REQUEST_SELECTED}", "bold yellow")
        trips = sum(count for _, count in guard.trips)
        verdict = f"tripped {trips} ×" if trips else "did not trip"
        if guard.stopped:
            verdict += f"; stopped the run: {guard.stopped}"
        is_shown = guard.state is GuardState.PENDING or (guard.state is GuardState.NO_DATA and not guard.stopped)
        state = f" ({guard.state.label})" if is_shown else ""
        values = self._values(guard)
        no_data = no_data_text(guard.no_data_s, guard.watched_s)
        text = f"{head} {verdict}{state}, {values}"
        if no_data and values != _NO_DATA:
            text += f", {no_data}"
        if guard.suspect:
            text += f"; first suspect: {guard.suspect}"
        reason = guard.no_data_reason if no_data or guard.state is GuardState.NO_DATA else ""
        if reason:
            text += f": {reason}"
        lacks = values == _NO_DATA or lacks_data(guard.no_data_s, guard.watched_s)
        is_fine = guard.state is GuardState.OK and not lacks
        return plain(text, "bold yellow" if trips or guard.stopped else "green" if is_fine else "yellow")

    def _values(self, guard: GuardView) -> str:
        seen = self._seen.get(guard.name, _Seen())
        if guard.shown == "–" and seen.highest is None:
            return _NO_DATA
        parts = [f"last {guard.shown}"]
        if seen.lowest is not None and seen.highest is not None and seen.lowest[1] != seen.highest[1]:
            parts.append(f"lowest {seen.lowest[1]}, highest {seen.highest[1]}")
        return ", ".join(parts)
