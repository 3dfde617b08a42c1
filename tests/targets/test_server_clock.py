"""What a server's clock says of the moment that a question is about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.targets.promql import ServerClock


class Ours:
    """Our clocks: the wall's is `ahead_s` of the other one."""

    def __init__(self, ahead_s: float = 1e9) -> None:
        self.now, self.ahead_s = 100.0, ahead_s

    def clock(self) -> ServerClock:
        return ServerClock(lambda: self.now, lambda: self.now + self.ahead_s)


@given(skew_s=st.floats(-1e4, 1e4), before_s=st.floats(0, 5), after_s=st.floats(0, 5))
def test_a_converted_time_is_never_in_the_servers_future_nor_long_ago(
    skew_s: float, before_s: float, after_s: float
) -> None:
    """`before_s` is how long it takes from the question to the evaluation, `after_s` from there to the answer."""
    ours = Ours()
    server = ours.clock()
    asked_s, answered_s = ours.now, ours.now + before_s + after_s
    ours.now = answered_s
    server.note(asked_s, answered_s, asked_s + before_s + ours.ahead_s + skew_s)
    ours.now += 1
    true_s = ours.now + ours.ahead_s + skew_s
    if abs(skew_s) > before_s + after_s:
        assert true_s - before_s - after_s - 1e-3 <= server.at(ours.now) <= true_s + 1e-3
    else:
        assert abs(server.at(ours.now) - true_s) <= before_s + after_s + 1e-3


def test_a_server_clock_that_agrees_with_the_local_clock_is_not_corrected() -> None:
    ours = Ours()
    server = ours.clock()
    server.note(99.0, 100.0, 1e9 + 99.9)
    assert server.at(99.5) == 1e9 + 99.5


def test_the_server_time_is_requested_at_first_and_once_a_minute() -> None:
    ours = Ours()
    server = ours.clock()
    assert server.at(ours.now) is None
    server.note(99.0, 100.0, 1e9 + 99.5)
    ours.now = 159.9
    assert server.at(ours.now) == pytest.approx(1e9 + 159.9)
    ours.now = 160.1
    assert server.at(ours.now) is None
