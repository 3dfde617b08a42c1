"""The search for the first suspect when guards trip: once for those that trip together, with pauses, and bounded."""

import logging
from collections.abc import Callable, Iterator

import gevent
import pytest
from gevent.event import Event

from obswarm.guards import suspects as module
from obswarm.guards.suspects import TripSuspects
from tests.support.patience import HANG_S, wait_until

SUSPECT = "MySQL (db): waiting for row locks rose from 0 to 30 at 0:16"


class Finder:
    """Returns the suspects of `found` one after the other, the last one again and again."""

    def __init__(self, *found: str) -> None:
        self._found = list(found)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        return self._found.pop(0) if len(self._found) > 1 else self._found[0]


@pytest.fixture
def announced() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def make(
    announced: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Callable[[], str]], TripSuspects]]:
    monkeypatch.setattr(module, "_TRIES_S", (0.0, 0.01))
    made: list[TripSuspects] = []

    def call(find: Callable[[], str]) -> TripSuspects:
        made.append(TripSuspects(find, lambda guard, suspect: announced.append((guard, suspect))))
        return made[-1]

    yield call
    for each in made:
        each.close()


def test_guards_that_trip_together_get_one_suspect(make, announced) -> None:
    find = Finder(SUSPECT)
    suspects = make(find)
    suspects.tripped("a")
    suspects.tripped("b")
    wait_until(lambda: len(announced) == 2, HANG_S)
    assert (find.calls, announced) == (1, [("a", SUSPECT), ("b", SUSPECT)])
    assert suspects.found == {"a": SUSPECT, "b": SUSPECT}
    assert suspects.added_to("The guard b tripped: p95 is 2s") == (
        f"The guard b tripped: p95 is 2s; first suspect: {SUSPECT}"
    )
    assert suspects.added_to("The guard c tripped: p95 is 2s") == "The guard c tripped: p95 is 2s"


def test_a_suspect_is_searched_again_if_the_incident_was_too_young(make, announced) -> None:
    find = Finder("", SUSPECT)
    make(find).tripped("a")
    wait_until(lambda: bool(announced), HANG_S)
    assert find.calls == 2


def test_without_a_suspect_nothing_is_announced(make, announced) -> None:
    find = Finder("")
    suspects = make(find)
    suspects.tripped("a")
    wait_until(lambda: find.calls == 2, HANG_S)
    suspects.close()
    assert (announced, suspects.found) == ([], {})


def test_a_guard_that_trips_again_soon_starts_no_further_search(make, announced) -> None:
    find = Finder(SUSPECT)
    suspects = make(find)
    suspects.tripped("a")
    wait_until(lambda: bool(announced), HANG_S)
    suspects.tripped("a")
    suspects.close()
    assert find.calls == 1
    assert suspects.found == {}, "the suspect of the earlier trip is not that of this one"


def test_the_end_of_the_run_does_not_wait_for_the_second_attempt(make, announced, monkeypatch) -> None:
    monkeypatch.setattr(module, "_TRIES_S", (1000.0, 1000.0))
    find = Finder("", SUSPECT)
    suspects = make(find)
    suspects.tripped("a")
    gevent.sleep(0)
    suspects.close()
    assert (find.calls, announced) == (1, [])


def test_the_end_of_the_run_waits_for_a_search_only_for_so_long(make, announced, monkeypatch) -> None:
    monkeypatch.setattr(module, "_AT_END_S", 0.01)
    never = Event()

    def find() -> str:
        never.wait()
        return SUSPECT

    suspects = make(find)
    suspects.tripped("a")
    suspects.close()
    never.set()
    gevent.sleep(0.01)
    assert announced == []
    suspects.tripped("b")
    assert suspects.found == {}


def test_a_search_that_fails_is_logged(make, announced, caplog) -> None:
    def find() -> str:
        raise OSError("no process can be started")

    suspects = make(find)
    with caplog.at_level(logging.WARNING):
        suspects.tripped("a")
        wait_until(lambda: bool(caplog.messages), HANG_S)
    assert caplog.messages == ["There is no first suspect for the guard a: no process can be started."]
    assert announced == []
