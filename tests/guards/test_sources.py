"""Guards with sources that fail, are slow, or respond out of order, with a fake clock."""

import math

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.engine import Ramp
from obswarm.guards import Guard, GuardStateMachine
from obswarm.guards.polling import MAX_CONCURRENT, POLL_INTERVAL_S, QueryPolling
from obswarm.guards.state_machine import NoData
from obswarm.record import GuardState
from obswarm.targets import Sample, SourceError
from tests.guards.simulation import Simulation
from tests.support.fake_time import FakeTime

AWAY = SourceError("Prometheus is away")


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    return FakeTime(monkeypatch)


def simulation(time: FakeTime, *rules, **options) -> Simulation:
    return Simulation(time, rules, Ramp(10, 10), **options)


def notes_of(simulated: Simulation) -> list[str]:
    return [mark.text for mark in simulated.run.annotations if mark.kind == "guard"]


def test_a_source_is_queried_and_its_failure_is_no_data(time: FakeTime) -> None:
    simulated = simulation(time, Guard("promql(up) > 5", "hold", no_data_after="3s", on_no_data="stop"))
    simulated.second()
    assert (simulated.guards[0].state, simulated.guards[0].value) == ("ok", 1.0)
    simulated.source.answer = 9.0
    simulated.second()
    assert simulated.guards[0].state == "tripped"
    simulated.source.answer = AWAY
    simulated.seconds(2)
    assert simulated.guards[0].state == "tripped"
    simulated.seconds(2)
    assert (simulated.guards[0].state, simulated.guards[0].no_data_reason) == ("no_data", "Prometheus is away")
    assert simulated.reason == "guard: The guard promql(up) > 5 has had no data for 3s: Prometheus is away"
    assert (simulated.guards[0].trips, simulated.guards[0].stopped) == ((("hold", 1),), "no data for 3s")
    simulated.close()


@pytest.mark.parametrize(
    ("query", "from_s"),
    [
        ("sum(rate(obswarm_requests_total[5s]))", 10),
        ("obswarm:error_ratio_all:rate5s", 10),
        ('max_over_time(up{job="obswarm"}[30s:1s] offset 5s)', 37),
        ("sum(rate(target_requests_total[1m]))", 0),
    ],
)
def test_queries_of_our_own_series_count_once_they_cannot_reach_an_earlier_run(
    time: FakeTime, query: str, from_s: int
) -> None:
    simulated = simulation(time, Guard(f"promql({query}) > 5", "notify"), alerts_grace_s=10.0)
    simulated.source.answer = 9.0
    simulated.source.takes_s = 2.0
    states = []
    for _ in range(60):
        simulated.second()
        states.append(simulated.guards[0].state)
    simulated.close()
    # Answers take 2s, and what counts is the time that they are about.
    assert states.index("tripped") == pytest.approx(from_s + 2, abs=1)


@pytest.mark.parametrize("for_s", [3, 5, 10])
def test_with_a_source_that_fails_every_third_second_a_guard_trips_after_enough_values(
    time: FakeTime, for_s: int
) -> None:
    simulated = simulation(time, Guard(f"promql(x) > 5 for {for_s}s", "notify", name="it"))
    tripped_s = None
    for second in range(40):
        simulated.source.answer = AWAY if second % 3 == 2 else 9.0
        simulated.second()
        assert simulated.guards[0].state != "no_data"
        if tripped_s is None and simulated.guards[0].trips == (("notify", 1),):
            tripped_s = second + 1
    simulated.close()
    assert tripped_s == pytest.approx(for_s * 3 / 2, abs=2)
    (guard,) = simulated.guards
    assert guard.data_ratio == pytest.approx(2 / 3, abs=0.03)
    assert (guard.no_data_s, guard.watched_s) == (pytest.approx(40 / 3, abs=1), pytest.approx(40, abs=1))
    assert guard.no_data_reason == "Prometheus is away"
    partly = [note for note in notes_of(simulated) if "has had values for" in note]
    assert len(partly) == 1
    assert "of the last 20s: Prometheus is away" in partly[0]


@pytest.mark.parametrize("takes_s", [0.4, 1.0, 2.0, 2.9])
@pytest.mark.parametrize("for_s", [0, 3])
def test_with_a_slow_source_a_guard_trips_later_by_the_response_time(
    time: FakeTime, takes_s: float, for_s: int
) -> None:
    simulated = simulation(time, Guard(f"promql(x) > 5 for {for_s}s", "notify"))
    simulated.source.takes_s = takes_s
    simulated.seconds(8)
    simulated.source.answer = 9.0
    seconds = 0
    while not simulated.guards[0].trips[:1] or simulated.guards[0].trips[0][1] == 0:
        simulated.second()
        seconds += 1
        assert seconds < 30
    simulated.close()
    # Since the last of those that may be under way, before the condition and after its for; then the second ends.
    between_s = max(POLL_INTERVAL_S, takes_s - (MAX_CONCURRENT - 1) * POLL_INTERVAL_S)
    assert for_s + takes_s <= seconds <= for_s + takes_s + 2 * between_s + 1
    assert simulated.guards[0].no_data_s == 0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (AWAY, "Prometheus is away"),
        (None, "no series for x"),
        (float("nan"), "x is not a number (NaN)"),
        (KeyError("kind"), "KeyError: 'kind'"),
    ],
)
def test_after_a_long_gap_for_begins_anew_and_what_has_tripped_stays(
    time: FakeTime, answer: object, reason: str
) -> None:
    simulated = simulation(time, Guard("promql(x) > 5", "hold", name="held"), Guard("promql(x) > 5 for 10s", "notify"))
    simulated.source.answer = 9.0
    simulated.seconds(8)
    simulated.source.answer = answer
    simulated.seconds(4)
    assert [guard.state for guard in simulated.guards] == ["tripped", "pending"], "shorter than what goes stale"
    simulated.seconds(4)
    assert [(guard.state, guard.no_data_reason) for guard in simulated.guards] == [("no_data", reason)] * 2
    simulated.source.answer = 9.0
    simulated.seconds(2)
    assert [guard.state for guard in simulated.guards] == ["tripped", "pending"]
    simulated.seconds(7)
    assert [guard.state for guard in simulated.guards] == ["tripped", "pending"], "the 8 s before do not count"
    simulated.seconds(3)
    assert [guard.state for guard in simulated.guards] == ["tripped", "tripped"]
    simulated.close()


def test_a_late_first_value_is_not_a_gap(time: FakeTime) -> None:
    simulated = simulation(time, Guard("promql(x) > 5", "notify"))
    simulated.source.answer = None
    simulated.seconds(9)
    simulated.source.answer = 1.0
    simulated.seconds(30)
    simulated.close()
    assert notes_of(simulated) == []
    assert simulated.guards[0].data_ratio == 1.0
    assert simulated.guards[0].no_data_s == pytest.approx(9, abs=1)


def test_a_gap_does_not_clear_either(time: FakeTime) -> None:
    simulated = simulation(time, Guard("promql(x) > 5", "hold", clear_for="4s"))
    simulated.source.answer = 9.0
    simulated.seconds(3)
    simulated.source.answer = 1.0
    simulated.seconds(2)
    simulated.source.answer = AWAY
    simulated.seconds(30)
    simulated.source.answer = 1.0
    simulated.seconds(3)
    assert simulated.guards[0].state == "tripped"
    simulated.seconds(3)
    assert simulated.guards[0].state == "ok"
    simulated.close()


def test_without_any_response_the_state_is_no_data_from_the_start(time: FakeTime) -> None:
    simulated = simulation(time, Guard("promql(x) > 5", no_data_after="5s", on_no_data="stop"))
    simulated.source.takes_s = 1e6
    simulated.second()
    assert (simulated.guards[0].state, simulated.guards[0].no_data_reason) == (
        "no_data",
        "no response from the metric source yet",
    )
    simulated.seconds(9)
    assert simulated.reason.endswith("has had no data for 5s: no response from the metric source for 5s")
    assert simulated.guards[0].no_data_s == simulated.guards[0].watched_s > 0
    simulated.close()


def test_guards_with_the_same_query_share_requests_and_each_has_its_own_no_data_after(time: FakeTime) -> None:
    impatient = Guard("promql(x) > 5 for 2s", "notify", name="impatient", no_data_after="1s")
    simulated = simulation(time, Guard("promql(x) > 5 for 4s", "notify", name="patient"), impatient)
    simulated.source.answer = 9.0
    simulated.seconds(2)
    simulated.source.answer = AWAY
    simulated.seconds(2)
    assert [guard.state for guard in simulated.guards] == ["pending", "no_data"]
    simulated.source.answer = 9.0
    simulated.seconds(2)
    assert [guard.state for guard in simulated.guards] == ["pending", "pending"]
    simulated.seconds(2)
    assert [guard.state for guard in simulated.guards] == ["tripped", "tripped"]
    simulated.close()


class Answers:
    """A source whose answer to each question comes when the test says so."""

    stale_after_s = 5.0

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.waiting: dict[float, gevent.event.AsyncResult] = {}
        self.most_at_once = 0

    def query(self, query: str, at_s: float | None = None) -> list[Sample]:
        assert at_s is not None
        self.asked.append(at_s)
        self.waiting[at_s] = gevent.event.AsyncResult()
        self.most_at_once = max(self.most_at_once, len(self.waiting))
        try:
            return [Sample({}, self.waiting[at_s].get())]
        finally:
            del self.waiting[at_s]


@pytest.fixture
def polling(time: FakeTime):
    source = Answers()
    simulated = QueryPolling(source, "x", time.monotonic)
    simulated.start()
    yield source, simulated
    simulated.close()
    time.advance(0)
    assert not source.waiting, "nothing is left under way"


def test_an_overtaken_query_keeps_the_reason_of_the_gap(time: FakeTime, polling) -> None:
    source, simulated = polling
    time.advance(1.5)
    first, second, *others = source.asked
    source.waiting[first].set_exception(AWAY)
    for at_s in others:
        source.waiting[at_s].set(9.0)
    time.advance(0.5)
    source.waiting[source.asked[-1]].set(9.0)
    time.advance(0)
    reasons = [(at_s, str(why)) for at_s, why in simulated.take() if isinstance(why, NoData)]
    assert reasons == [(first, "Prometheus is away"), (second, "Prometheus is away")]


def test_results_are_returned_in_the_order_of_their_times(time: FakeTime, polling) -> None:
    source, simulated = polling
    time.advance(1.0)
    first, second, third = source.asked
    source.waiting[second].set(2.0)
    time.advance(0)
    assert simulated.take() == []
    source.waiting[first].set(1.0)
    time.advance(0)
    assert simulated.take() == [(first, (1.0,)), (second, (2.0,))]
    source.waiting[third].set_exception(AWAY)
    time.advance(0)
    ((at_s, why),) = simulated.take()
    assert (at_s, str(why), type(why)) == (third, "Prometheus is away", NoData)


def test_a_query_that_later_ones_overtook_is_cancelled(time: FakeTime, polling) -> None:
    source, simulated = polling
    time.advance(1.5)
    first, *others = source.asked
    for at_s in others:
        source.waiting[at_s].set(9.0)
    time.advance(0)
    (at_s, why), *answers = simulated.take()
    assert (at_s, str(why)) == (first, "later queries have returned earlier")
    assert answers == [(each, (9.0,)) for each in others]
    time.advance(0.5)
    assert first not in source.waiting, "and takes no place any more"


def test_the_number_of_concurrent_queries_is_limited(time: FakeTime, polling) -> None:
    source, simulated = polling
    time.advance(20.0)
    assert len(source.asked) == source.most_at_once == MAX_CONCURRENT
    source.waiting[source.asked[0]].set(1.0)
    time.advance(0.5)
    assert len(source.asked) == MAX_CONCURRENT + 1
    assert [values for _, values in simulated.take()] == [(1.0,)]


def test_the_number_of_untaken_results_is_limited(time: FakeTime, polling) -> None:
    source, simulated = polling
    time.advance(0)
    for _ in range(200):
        source.waiting[source.asked[-1]].set(1.0)
        time.advance(0.5)
    taken = simulated.take()
    assert 100 <= len(taken) <= 120
    assert taken[-1][0] == source.asked[-2]


def test_a_query_times_out(monkeypatch: pytest.MonkeyPatch, polling) -> None:
    _, simulated = polling
    monkeypatch.setattr("obswarm.guards.polling.TIMEOUT_S", 0.01)
    assert str(simulated._values(0.0)) == "no response within 0.01s"


STEPS = st.lists(st.tuples(st.sampled_from("hhhnm"), st.floats(0.1, 1.9)), min_size=1, max_size=60)


@given(STEPS, st.sampled_from([0.0, 1.0, 3.0, 8.0]), st.sampled_from([0.0, 2.0, 5.0]))
def test_a_guard_trips_when_its_condition_has_held_for_long_enough_without_gaps(
    steps: list[tuple[str, float]], for_s: float, stale_after_s: float
) -> None:
    """h: the condition holds, n: it does not, m: the value is missing."""
    guard = GuardStateMachine(
        Guard(f"promql(x) > 5 for {for_s}s" if for_s else "promql(x) > 5", clear_for=0), stale_after_s
    )
    now = held_s = missing_s = all_missing_s = 0.0
    seen_any, tripped, before = False, False, "m"
    for kind, lasts_s in steps:
        value = {"h": 9.0, "n": 1.0, "m": NoData("away")}[kind]
        if before == "m" and seen_any and kind != "m" and missing_s >= stale_after_s - 1e-9:
            held_s = 0.0
        change = guard.update(now, value)
        if kind == "n":
            held_s, tripped = 0.0, False
        if kind == "h":
            due = not tripped and held_s >= for_s - 1e-6
            assert change.tripped <= (not tripped and held_s >= for_s - 1e-6), "early"
            assert change.tripped or not (not tripped and held_s >= for_s + 1e-6), "late"
            tripped = tripped or due
        else:
            assert not change.tripped
        is_missing_s = missing_s if kind == "m" else 0.0
        assert (guard.state is GuardState.NO_DATA) == (
            kind == "m" and (not seen_any or is_missing_s >= stale_after_s - 1e-9)
        )
        seen_any = seen_any or kind != "m"
        missing_s = missing_s + lasts_s if kind == "m" else 0.0
        all_missing_s += lasts_s if kind == "m" else 0.0
        if kind == "h":
            held_s += lasts_s
        before = kind
        now += lasts_s
    # A question that is due now; nothing has come.
    assert guard.coverage.missing_s(now) == pytest.approx(all_missing_s, abs=1e-6) or before != "m"
    ratio = guard.coverage.ratio(now)
    assert ratio is None or -1e-9 <= ratio <= 1 + 1e-9


def test_nan_is_no_data(time: FakeTime) -> None:
    simulated = simulation(time, Guard("promql(x) > 5", "notify"))
    simulated.source.answer = math.nan
    simulated.seconds(7)
    (guard,) = simulated.guards
    assert (guard.value, guard.shown, guard.no_data_reason) == (None, "–", "x is not a number (NaN)")
    simulated.source.answer = math.inf
    simulated.seconds(2)
    assert simulated.guards[0].shown == "+Inf"
    simulated.source.answer = math.nan
    simulated.seconds(7)
    (guard,) = simulated.guards
    assert (guard.value, guard.shown, guard.state) == (math.inf, "+Inf", "no_data")


def test_a_query_that_filters_out_all_series_is_false(time: FakeTime) -> None:
    guard = Guard("promql(x == 0) == 0", "stop", no_data_after="3s", on_no_data="stop", clear_for=0)
    simulated = simulation(time, guard, Guard("promql(x == 0) == 0", "notify", name="other"))
    simulated.source.answer = []
    simulated.seconds(20)
    assert notes_of(simulated) == []
    for view in simulated.guards:
        assert (view.state, view.value, view.shown, view.no_data_s, view.data_ratio) == (
            "ok",
            None,
            "no series",
            0,
            1.0,
        )
        assert view.no_data_reason == view.no_data_reason == ""
    simulated.source.answer = None
    simulated.seconds(10)
    assert simulated.reason == "guard: The guard promql(x == 0) == 0 has had no data for 3s: no series for x == 0"
    simulated.close()
