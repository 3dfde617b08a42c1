"""Handing out rows: each once, also over repeated calls, dead processes and a master that is started again."""

import json
import os
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obswarm.errors import ObswarmError
from obswarm.feeds import Call, FeedDefinition, FeedServer
from obswarm.feeds.calls import DONE, GIVE_BACK, LEND, NONE_LEFT, ROW, ROWS, TAKE, WAIT
from obswarm.feeds.server import format_rows


def definition(count: int = 1000, **options: Any) -> FeedDefinition:
    return FeedDefinition("f", "sequence", range(count), seed=3, **options)


class Process:
    """A process of a fleet, as far as its calls go."""

    def __init__(self, node: str, server: FeedServer) -> None:
        self.node, self.server, self.number, self.used = node, server, 0, 0

    def call(self, kind: str = TAKE, position: int = 0) -> list[Any]:
        self.number += 1
        return self.again(kind, position)

    def again(self, kind: str = TAKE, position: int = 0) -> list[Any]:
        return self.server.call(Call(self.node, self.number, kind, "f", self.used, position))


@given(
    st.integers(1, 3000),
    st.sampled_from(["unique", "shuffle"]),
    st.lists(st.sampled_from(["take", "repeat", "restart"]), max_size=60),
    st.randoms(),
)
@settings(deadline=None)
def test_no_row_is_handed_out_twice(
    tmp_path_factory: pytest.TempPathFactory, count: int, policy: str, events: list[str], chance: random.Random
) -> None:
    path = tmp_path_factory.mktemp("feed") / "run.feeds"
    server = FeedServer([definition(count, policy=policy)], path, "r")
    processes = [Process(f"w{number}", server) for number in range(4)]
    handed: list[int] = []
    for event in events:
        process = chance.choice(processes)
        if event == "restart":
            server = FeedServer([definition(count, policy=policy)], path, "r")
            for each in processes:
                each.server = server
        elif event == "take":
            answer = process.call()
            # The answer may have got lost, or its sender may have been killed.
            assert process.again() == answer
            if answer[0] == ROWS:
                handed += answer[1]
                process.used += len(answer[1])
        elif process.number:
            process.again()
    assert len(set(handed)) == len(handed)
    while (answer := processes[0].call())[0] == ROWS:
        handed += answer[1]
        processes[0].used += len(answer[1])
    assert sorted(handed) == list(range(count)), "and none is left out"


def test_blocks_grow_and_become_small_towards_the_end() -> None:
    process = Process("w", FeedServer([definition(10_000)]))
    sizes = []
    while (answer := process.call())[0] == ROWS:
        sizes.append(len(answer[1]))
    assert sizes[:4] == [10, 20, 40, 80]
    assert max(sizes) == 1000
    assert sizes[-3:] == [1, 1, 1]
    assert answer == [NONE_LEFT]


def test_a_block_of_large_rows_is_cut() -> None:
    server = FeedServer([FeedDefinition("f", "sequence", ["x" * 100_000] * 50)])
    assert len(Process("w", server).call()[1]) == 2


@pytest.mark.parametrize(
    ("policy", "options"), [("circular", {}), ("random", {}), ("unique", {"on_exhausted": "recycle"})]
)
def test_other_policies_never_end(policy: str, options: dict[str, str]) -> None:
    process = Process("w", FeedServer([definition(7, policy=policy, **options)]))
    rows = [row for _ in range(8) for row in process.call()[1]]
    assert set(rows) == set(range(7))
    if policy != "random":
        assert rows == [number % 7 for number in range(len(rows))]


def test_rows_that_a_dead_process_did_not_use_are_named(tmp_path: Path) -> None:
    server = FeedServer([definition()], tmp_path / "f", "r")
    lost, other = Process("lost", server), Process("other", server)
    assert lost.call()[1] == list(range(10))
    server.note_used("lost", {"f": 4})
    other.call()
    assert server.gone("lost") == "as far as it had reported, it had not used rows 5 to 10 of f"
    assert server.use() == {"f": {"rows": 1000, "handed_out": 20, "unused": 16}}
    assert server.summary() == ["Feed f: 20 rows of 1,000 handed out, 16 of them not used."]
    restarted = FeedServer([definition()], tmp_path / "f", "r")
    assert restarted.summary() == server.summary()
    other.server = restarted
    assert other.call()[1][0] == 20, "they are not handed out again"


def test_rows_that_a_dead_process_did_not_use_are_handed_out_again_if_asked_for(tmp_path: Path) -> None:
    server = FeedServer([definition(lost="again")], tmp_path / "f", "r")
    lost, other = Process("lost", server), Process("other", server)
    lost.call()
    server.note_used("lost", {"f": 4})
    assert (
        server.gone("lost")
        == "as far as it had reported, it had not used rows 5 to 10 of f, which are handed out again"
    )
    other.server = FeedServer([definition(lost="again")], tmp_path / "f", "r")
    assert [other.call()[1], other.call()[1][0]] == [[4, 5, 6, 7, 8, 9], 10]


def test_a_row_is_lent_to_one_at_a_time(tmp_path: Path) -> None:
    server = FeedServer([definition(2)], tmp_path / "f", "r")
    one, other = Process("one", server), Process("other", server)
    assert one.call(LEND) == [ROW, 0, 0]
    assert one.again(LEND) == [ROW, 0, 0]
    assert other.call(LEND) == [ROW, 1, 1]
    assert one.call(LEND) == [WAIT]
    assert other.call(GIVE_BACK, 0) == [DONE], "another's row"
    assert one.call(LEND) == [WAIT]
    assert other.call(GIVE_BACK, 1) == [DONE]
    assert one.call(LEND) == [ROW, 1, 1]
    one.server = other.server = FeedServer([definition(2)], tmp_path / "f", "r")
    assert other.call(LEND) == [WAIT]
    other.server.gone("one")
    assert {tuple(other.call(LEND)) for _ in range(2)} == {(ROW, 0, 0), (ROW, 1, 1)}


def test_rows_that_have_changed_are_refused_after_a_restart(tmp_path: Path) -> None:
    Process("w", FeedServer([definition(10)], tmp_path / "f", "r")).call()
    with pytest.raises(ObswarmError, match="its rows have changed since an earlier master began this run"):
        FeedServer([definition(11)], tmp_path / "f", "r")
    assert Process("w", FeedServer([definition(11)], tmp_path / "f", "another run")).call()[1][0] == 0


def test_a_query_that_returns_its_rows_in_another_order_is_refused_after_a_restart(tmp_path: Path) -> None:
    def of_rows(*rows: int) -> FeedServer:
        values = " UNION ALL ".join(f"SELECT {row} AS a" for row in rows)
        query = FeedDefinition("f", "sql", lambda: sqlite3.connect(":memory:"), query=values)
        return FeedServer([query], tmp_path / "f", "r")

    Process("w", of_rows(1, 2)).call()
    assert of_rows(1, 2).use() == {"f": {"rows": 2, "handed_out": 1, "unused": 1}}
    with pytest.raises(
        ObswarmError, match=r"have changed .* \(a query needs an ORDER BY to return them in the same order\)"
    ):
        of_rows(2, 1)


def test_a_journal_whose_last_line_is_cut_off_is_read_up_to_it(tmp_path: Path) -> None:
    path = tmp_path / "f"
    process = Process("w", FeedServer([definition()], path, "r"))
    process.call()
    with open(path, "a") as file:
        file.write('["w", 2, "take", "f", 0, 10, 3')
    process.server = FeedServer([definition()], path, "r")
    assert process.call()[1][0] == 10
    assert all(json.loads(line) for line in path.read_text().splitlines())
    process.server.finish()
    assert not path.exists()


def test_a_journal_that_cannot_be_written_is_named_and_rows_are_handed_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    server = FeedServer([definition()], tmp_path / "file" / "f", "r")
    assert Process("w", server).call()[0] == ROWS
    assert "cannot be noted" in caplog.text


def test_a_disk_that_becomes_full_is_named_once_and_rows_are_handed_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process("w", FeedServer([definition()], tmp_path / "f", "r"))
    first = process.call()[1]
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda descriptor, content: len(content) - 1)
        second = process.call()[1]
    third = process.call()[1]
    assert caplog.text.count("cannot be noted in") == 1
    assert first + second + third == list(range(70)), "each once, while the master lives"


def test_an_unknown_feed_is_an_error() -> None:
    with pytest.raises(ObswarmError, match="a feed 'g' that this one lacks"):
        FeedServer([definition()]).call(Call("w", 1, TAKE, "g"))


def test_rows_are_named_as_people_count_them() -> None:
    assert format_rows([0]) == "row 1"
    assert format_rows([0, 1, 2, 7, 9, 10]) == "rows 1 to 3, 8, 10 to 11"
    assert format_rows(range(0, 100, 2)).endswith("37, 39 and 30 more")
