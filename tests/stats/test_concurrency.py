"""The most users at a time: of one process, and of many whose reports come in any order."""

import random

import pytest

from obswarm.bounded_msgpack import Unreadable
from obswarm.cluster.wire.user_steps import pack_user_steps, unpack_user_steps
from obswarm.stats import MOST_STEPS, UserStep, UserSum, UserTrack


def test_users_of_less_than_an_interval_count() -> None:
    track = UserTrack()
    for number in range(5):
        track.change(number + 1, 100.0 + number * 0.02)
    for number in range(5):
        track.change(4 - number, 100.3 + number * 0.02)
    assert (track.users, track.peak) == (0, 5)
    steps = track.take(101.0)
    assert max(step.peak for step in steps) == 5
    assert steps[-1].users == 0
    assert track.take(102.0) == []


def test_a_track_is_bounded_and_loses_neither_the_most_nor_the_last() -> None:
    track = UserTrack()
    for number in range(10 * MOST_STEPS):
        track.change(number % 1000, 100.0 + number)
    track.change(7, 10_000.0)
    steps = track.take(10_001.0)
    assert len(steps) == MOST_STEPS
    assert (max(step.peak for step in steps), steps[-1].users) == (999, 7)


class Fleet:
    """Processes with tracks, and what is known of them."""

    def __init__(self, *names: str) -> None:
        self.tracks = {name: UserTrack() for name in names}
        self.sum = UserSum()

    def report(self, name: str, now: float) -> None:
        track = self.tracks[name]
        packed = pack_user_steps(track.take(now))
        self.sum.add(name, unpack_user_steps(packed), track.users, now)


def test_users_that_live_for_a_moment_in_several_processes_are_added_up_when_they_live_together() -> None:
    fleet = Fleet("a", "b")
    for name, began in (("a", 100.1), ("b", 100.2), ("a", 100.6)):
        fleet.tracks[name].change(1, began)
        fleet.tracks[name].change(0, began + 0.15)
    fleet.report("a", 101.0)
    fleet.report("b", 101.0)
    fleet.sum.settle()
    assert fleet.sum.peak == 2


def test_users_that_move_are_not_counted_twice_however_late_a_report_is() -> None:
    fleet = Fleet("a", "b")
    fleet.tracks["a"].change(30, 100.0)
    fleet.report("a", 100.5)
    fleet.report("b", 100.5)
    for number in range(30):
        fleet.tracks["a"].change(29 - number, 101.0 + number * 0.05)
        fleet.tracks["b"].change(number + 1, 101.025 + number * 0.05)
    fleet.report("b", 103.0)
    fleet.sum.settle()
    assert fleet.sum.peak == 30
    fleet.report("a", 103.2)
    fleet.sum.settle()
    fleet.sum.settle(104.0)
    assert fleet.sum.peak == 30


def test_users_of_a_process_that_has_gone_are_not_there_when_others_have_them() -> None:
    fleet = Fleet("a", "b")
    fleet.tracks["a"].change(20, 100.0)
    fleet.tracks["b"].change(20, 100.0)
    fleet.report("a", 101.0)
    fleet.report("b", 101.0)
    fleet.sum.leave("a", 104.0)
    fleet.tracks["b"].change(40, 104.5)
    fleet.report("b", 105.0)
    fleet.sum.settle()
    assert fleet.sum.peak == 40


def test_a_process_that_comes_back_has_the_users_that_it_says() -> None:
    fleet = Fleet("a", "b")
    fleet.tracks["a"].change(20, 100.0)
    fleet.report("a", 101.0)
    fleet.sum.leave("a", 104.0)
    fleet.tracks["b"].change(20, 105.0)
    fleet.report("b", 106.0)
    fleet.report("a", 106.0)
    fleet.sum.settle(106.0)
    assert fleet.sum.peak == 40, "those that were held up are alive as well"


def test_the_sum_is_what_one_track_of_all_would_have() -> None:
    draw = random.Random(7)
    for _ in range(30):
        fleet, whole, users = Fleet("a", "b", "c"), UserTrack(), dict.fromkeys("abc", 0)
        now = 100.0
        for name in "abc":
            fleet.report(name, now)
        for number in range(200):
            now += draw.uniform(0.025, 0.1)
            name = draw.choice("abc")
            users[name] = max(0, users[name] + draw.choice((-1, 1)))
            fleet.tracks[name].change(users[name], now)
            whole.change(sum(users.values()), now)
            if number % 20 == 0:
                fleet.report(draw.choice("abc"), now)
            fleet.sum.settle()
        for name in "abc":
            fleet.report(name, now + 1)
        fleet.sum.settle(now + 2)
        assert fleet.sum.peak == whole.peak


@pytest.mark.parametrize("packed", [b"x", bytes(12 * (MOST_STEPS + 1))])
def test_what_is_no_list_of_steps_is_refused(packed: bytes) -> None:
    with pytest.raises(Unreadable):
        unpack_user_steps(packed)


def test_steps_come_out_as_they_were() -> None:
    steps = [UserStep(0.25, 7, 3), UserStep(0.0, 0, 0)]
    assert unpack_user_steps(pack_user_steps(steps)) == steps
