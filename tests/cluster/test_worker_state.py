"""Each delta counts once, whatever the order and number in which it arrives."""

import random
from dataclasses import replace

import pytest

from obswarm.cluster.master.worker_state import WorkerState
from obswarm.cluster.wire.messages import Report, Retransmit
from obswarm.cluster.worker.unacked import MOST_UNACKED, UnackedDeltas
from obswarm.record import WorkerStatus
from obswarm.stats import Recorder
from obswarm.stats.codec import DeltaSum, Malformed, pack_table


def delta(requests: int) -> bytes:
    recorder = Recorder()
    for _ in range(requests):
        recorder.record("GET", "/", 0.01, 1, 200)
    return pack_table(recorder.take())


def member() -> WorkerState:
    return WorkerState("i", "name", 0, 1, b"peer", 100.0, 1.0, ("name",))


def report(sequence: int, packed: bytes, last: int, ended: bool = False) -> Report:
    return Report(1, sequence, packed, {"A": 3}, 1, 0.5, 0.001, 1000, False, 0, last, ended)


def test_a_lossy_repeating_reordering_line_changes_nothing() -> None:
    draw = random.Random(3)
    for _ in range(50):
        unacked, gathered, known = UnackedDeltas(), DeltaSum(), member()
        total = 0
        on_the_way: list[Retransmit] = []
        while known.merged < 20:
            if unacked.last_sequence < 20 and not unacked.is_full and draw.random() < 0.5:
                number = draw.randrange(1, 10)
                total += number
                unacked.put(delta(number))
            on_the_way.extend(Retransmit(*each) for each in unacked.waiting() if draw.random() < 0.6)
            draw.shuffle(on_the_way)
            for _ in range(draw.randrange(len(on_the_way) + 1)):
                known.take_report(on_the_way.pop(), gathered, 1.0)
            if draw.random() < 0.5:
                unacked.acknowledge(known.merged)
        table = gathered.take(10)
        assert sum(stats.requests for stats in table.endpoints.values()) == total
        assert known.messages == 20


def test_a_delta_that_comes_too_early_waits_for_the_one_before() -> None:
    gathered, known = DeltaSum(), member()
    known.take_report(report(2, delta(5), 2), gathered, 1.0)
    assert (known.merged, gathered.deltas) == (0, 0)
    known.take_report(report(1, delta(5), 1), gathered, 1.0)
    known.take_report(report(2, delta(5), 2), gathered, 1.0)
    assert (known.merged, gathered.deltas) == (2, 2)


def test_an_unreadable_delta_counts_nothing_and_is_reported() -> None:
    gathered, known = DeltaSum(), member()
    with pytest.raises(Malformed):
        known.take_report(report(1, b"garbage", 1), gathered, 1.0)
    assert (known.merged, gathered.deltas) == (0, 0)


def test_a_worker_is_complete_when_its_last_delta_is_there() -> None:
    gathered, known = DeltaSum(), member()
    known.take_report(report(0, b"", 2, ended=True), gathered, 1.0)
    assert not known.complete
    for sequence in (1, 2):
        known.take_report(Retransmit(sequence, delta(1)), gathered, 1.0)
    assert known.complete


def test_an_outbox_keeps_what_is_not_acknowledged_and_no_more_than_a_few() -> None:
    unacked = UnackedDeltas()
    for number in range(1, MOST_UNACKED + 1):
        assert not unacked.is_full
        assert unacked.put(b"%d" % number) == number
    assert unacked.is_full
    unacked.acknowledge(3)
    assert [sequence for sequence, _ in unacked.waiting()] == list(range(4, MOST_UNACKED + 1))
    unacked.acknowledge(1)
    assert len(unacked) == MOST_UNACKED - 3


def test_a_missing_worker_is_shown_without_users() -> None:
    gathered, known = DeltaSum(), member()
    assert known.view(1.0) is None
    known.take_report(report(1, delta(1), 1), gathered, 1.0)
    view = known.view(3.5)
    assert view is not None
    assert (view.users, view.state, view.capacity, view.stats_messages, view.stats_lag_s) == (3, "ready", 100.0, 1, 2.5)
    known.state = WorkerStatus.MISSING
    view = known.view(3.5)
    assert view is not None
    assert (view.users, view.cpu_ratio, view.state) == (0, 0.0, "missing")


def test_what_a_worker_said_while_it_was_held_up_is_not_forgotten_for_what_it_says_next() -> None:
    gathered, known = DeltaSum(), member()
    blocked = replace(report(0, b"", 0), cpu_ratio=1.0, loop_lag_s=6.0, saturated=True)
    known.take_report(blocked, gathered, 1.0)
    for _ in range(5):
        known.take_report(replace(blocked, cpu_ratio=0.02, loop_lag_s=0.004), gathered, 1.1)
    view = known.view(2.0)
    assert view is not None
    assert (view.cpu_ratio, view.loop_lag_s, view.saturated) == (1.0, 6.0, True)
    known.worst = None
    known.take_report(replace(blocked, cpu_ratio=0.02, loop_lag_s=0.004, saturated=False), gathered, 2.1)
    known.state = WorkerStatus.LOST
    view = known.view(3.0)
    assert view is not None
    assert (view.cpu_ratio, view.max_cpu_ratio, view.max_loop_lag_s, view.saturated) == (0.0, 1.0, 6.0, True)
