"""Feeds as load-test files declare and use them, in a process without a master."""

from pathlib import Path
from typing import Any

import gevent
import pytest

from obswarm import ObswarmError, StopUser, feed
from obswarm.feeds import FeedServer
from tests.support.patience import HANG_S


@pytest.fixture(autouse=True)
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Reasons for which the run was stopped; no feed is declared yet."""
    reasons: list[str] = []
    monkeypatch.setattr(feed, "_declared", {})
    monkeypatch.setattr(feed, "_supply", None)
    return reasons


def supplied(stopped: list[str]) -> None:
    feed.set_supply(feed.LocalSupply(FeedServer(feed.definitions()), stopped.append))


def test_rows_come_in_order_and_their_end_stops_the_run(stopped: list[str], tmp_path: Path) -> None:
    (tmp_path / "accounts.csv").write_text("name\na\nb\n")
    accounts = feed.csv(tmp_path / "accounts.csv")
    supplied(stopped)
    assert [accounts.next(), accounts.next()] == [{"name": "a"}, {"name": "b"}]
    for _ in range(2):
        with pytest.raises(StopUser, match="all rows of the feed accounts.csv have been handed out"):
            accounts.next()
    assert set(stopped) == {"all rows of the feed accounts.csv have been handed out"}
    assert feed.used_rows() == {"accounts.csv": 2}


def test_without_a_run_rows_come_from_the_process_itself() -> None:
    assert feed.sequence([5, 6]).next() == 5


def test_another_run_begins_with_the_first_row(stopped: list[str]) -> None:
    numbers = feed.sequence(range(100))
    supplied(stopped)
    assert [numbers.next(), numbers.next()] == [0, 1]
    supplied(stopped)
    assert numbers.next() == 0
    assert numbers.used == 1


def test_two_feeds_of_one_file_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    one, same, other = (feed.csv(tmp_path / "a.csv", policy=policy) for policy in ("unique", "unique", "random"))
    assert one is same
    assert [each.name for each in feed.definitions()] == ["a.csv", "a.csv (2)"]
    assert feed.csv(tmp_path / "a.csv", policy="random") is other


def test_a_feed_has_a_name_whatever_its_path_is() -> None:
    assert feed.csv(".").definition.name == Path.cwd().name
    assert feed.jsonl("/").definition.name == "/"


def test_a_row_is_lent_until_it_is_given_back(stopped: list[str]) -> None:
    accounts = feed.sequence(["a", "b"])
    supplied(stopped)
    first = accounts.checkout()
    with accounts.checkout() as second:
        assert {first.row, second} == {"a", "b"}
        with pytest.raises(TimeoutError, match="feed sequence: all rows have been lent for"):
            accounts.checkout(timeout=0.2)
        waiting = gevent.spawn(accounts.checkout)
        gevent.sleep(0.05)
        first.give_back()
        first.give_back()
        assert waiting.get(timeout=HANG_S).row == first.row
    assert accounts.checkout().row == second
    assert stopped == []


@pytest.mark.parametrize(
    ("declare", "reason"),
    [
        (lambda: feed.csv("a.csv", policy="uniqe"), r"feed\.csv: policy is 'uniqe'; write 'unique' or 'circular' or"),
        (lambda: feed.jsonl("a", on_exhausted="wait"), "on_exhausted is 'wait'; write 'stop' or 'recycle'"),
        (lambda: feed.csv("a.csv", lost="x"), "lost is 'x'; write 'report' or 'again'"),
        (lambda: feed.csv("a.csv", delimiter="||"), "has to be one character"),
        (lambda: feed.csv("a.csv", columns=["a", "a"]), "given twice"),
        (lambda: feed.csv(""), r"feed\.csv: '' is no file; give the path of one"),
        (lambda: feed.jsonl(5), r"feed\.jsonl: 5 is no file; give the path of one"),
        (lambda: feed.sequence("abc"), "str is not a sequence; give a list or a range"),
    ],
)
def test_a_wrong_declaration_is_an_error(declare: Any, reason: str) -> None:
    with pytest.raises(ObswarmError, match=reason):
        declare()
