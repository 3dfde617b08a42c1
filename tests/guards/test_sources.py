"""Sources that fail, are slow, or answer out of order: what guards see then, on a clock of the test's own."""

import math

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.engine import Ramp
from obswarm.guards import Guard, GuardStateMachine
from obswarm.guards.polling import ASK_EVERY_S, AT_ONCE, QueryPolling
from obswarm.guards.state_machine import NoData
from obswarm.stats import GuardState
from obswarm.targets import Sample, SourceError
from tests.guards.simulation import Simulation
from tests.support.fake_time import FakeTime

AWAY = SourceError("Prometheus is away")


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    return FakeTime(monkeypatch)


def simulation(time: FakeTime, *rules, **options) -> Simulation:
    return Simulation(time, rules, Ramp(10, 10), **options)


def notes_of(made: Simulation) -> list[str]:
    return [mark.text for mark in made.run._annotations if mark.kind == "guard"]


def test_the_targets_side_is_asked_and_its_absence_is_seen(time: FakeTime) -> None:
    made = simulation(time, Guard("promql(up) > 5", "hold", no_data_after="3s", on_no_data="stop"))
    made.second()
    assert (made.guards[0].state, made.guards[0].value) == ("ok", 1.0)
    made.source.answer = 9.0
    made.second()
    assert made.guards[0].state == "tripped"
    made.source.answer = AWAY
    made.seconds(2)
    assert made.guards[0].state == "tripped"
    made.seconds(2)
    assert (made.guards[0].state, made.guards[0].no_data_reason) == ("no_data", "Prometheus is away")
    assert made.reason == "guard: The guard promql(up) > 5 has had no data for 3 s: Prometheus is away"
    assert (made.guards[0].trips, made.guards[0].stopped) == ((("hold", 1),), "no data for 3 s")
    made.close()


@pytest.mark.parametrize(
    ("query", "from_s"),
    [
        ("sum(rate(obswarm_requests_total[5s]))", 10),
        ("obswarm:error_ratio_all:rate5s", 10),
        ('max_over_time(up{job="obswarm"}[30s:1s] offset 5s)', 37),
        ("sum(rate(target_requests_total[1m]))", 0),
    ],
)
def test_what_promql_says_of_our_own_series_counts_once_it_cannot_be_about_an_earlier_run(
    time: FakeTime, query: str, from_s: int
) -> None:
    made = simulation(time, Guard(f"promql({query}) > 5", "notify"), alerts_grace_s=10.0)
    made.source.answer = 9.0
    made.source.takes_s = 2.0
    states = []
    for _ in range(60):
        made.second()
        states.append(made.guards[0].state)
    made.close()
    # Answers take 2 s, and what counts is the time that they are about.
    assert states.index("tripped") == pytest.approx(from_s + 2, abs=1)


@pytest.mark.parametrize("for_s", [3, 5, 10])
def test_a_source_that_fails_every_third_second_trips_once_it_has_seen_enough(time: FakeTime, for_s: int) -> None:
    made = simulation(time, Guard(f"promql(x) > 5 for {for_s}s", "notify", name="it"))
    tripped_s = None
    for second in range(40):
        made.source.answer = AWAY if second % 3 == 2 else 9.0
        made.second()
        assert made.guards[0].state != "no_data"
        if tripped_s is None and made.guards[0].trips == (("notify", 1),):
            tripped_s = second + 1
    made.close()
    assert tripped_s == pytest.approx(for_s * 3 / 2, abs=2)
    (guard,) = made.guards
    assert guard.seen_ratio == pytest.approx(2 / 3, abs=0.03)
    assert (guard.no_data_s, guard.watched_s) == (pytest.approx(40 / 3, abs=1), pytest.approx(40, abs=1))
    assert guard.no_data_reason == "Prometheus is away"
    partly = [note for note in notes_of(made) if "has seen" in note]
    assert len(partly) == 1
    assert "of the last 20 s: Prometheus is away" in partly[0]


@pytest.mark.parametrize("takes_s", [0.4, 1.0, 2.0, 2.9])
@pytest.mark.parametrize("for_s", [0, 3])
def test_a_slow_source_trips_as_much_later_as_it_takes(time: FakeTime, takes_s: float, for_s: int) -> None:
    made = simulation(time, Guard(f"promql(x) > 5 for {for_s}s", "notify"))
    made.source.takes_s = takes_s
    made.seconds(8)
    made.source.answer = 9.0
    seconds = 0
    while not made.guards[0].trips[:1] or made.guards[0].trips[0][1] == 0:
        made.second()
        seconds += 1
        assert seconds < 30
    made.close()
    # Since the last of those that may be under way, before the condition and after its for; then the second ends.
    between_s = max(ASK_EVERY_S, takes_s - (AT_ONCE - 1) * ASK_EVERY_S)
    assert for_s + takes_s <= seconds <= for_s + takes_s + 2 * between_s + 1
    assert made.guards[0].no_data_s == 0


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
    made = simulation(time, Guard("promql(x) > 5", "hold", name="held"), Guard("promql(x) > 5 for 10s", "notify"))
    made.source.answer = 9.0
    made.seconds(8)
    made.source.answer = answer
    made.seconds(4)
    assert [guard.state for guard in made.guards] == ["tripped", "pending"], "shorter than what goes stale"
    made.seconds(4)
    assert [(guard.state, guard.no_data_reason) for guard in made.guards] == [("no_data", reason)] * 2
    made.source.answer = 9.0
    made.seconds(2)
    assert [guard.state for guard in made.guards] == ["tripped", "pending"]
    made.seconds(7)
    assert [guard.state for guard in made.guards] == ["tripped", "pending"], "the 8 s before do not count"
    made.seconds(3)
    assert [guard.state for guard in made.guards] == ["tripped", "tripped"]
    made.close()


def test_a_source_that_begins_late_is_not_one_that_fails(time: FakeTime) -> None:
    made = simulation(time, Guard("promql(x) > 5", "notify"))
    made.source.answer = None
    made.seconds(9)
    made.source.answer = 1.0
    made.seconds(30)
    made.close()
    assert notes_of(made) == []
    assert made.guards[0].seen_ratio == 1.0
    assert made.guards[0].no_data_s == pytest.approx(9, abs=1)


def test_a_gap_does_not_clear_either(time: FakeTime) -> None:
    made = simulation(time, Guard("promql(x) > 5", "hold", clear_for="4s"))
    made.source.answer = 9.0
    made.seconds(3)
    made.source.answer = 1.0
    made.seconds(2)
    made.source.answer = AWAY
    made.seconds(30)
    made.source.answer = 1.0
    made.seconds(3)
    assert made.guards[0].state == "tripped"
    made.seconds(3)
    assert made.guards[0].state == "ok"
    made.close()


def test_without_any_answer_it_says_so_from_the_begin(time: FakeTime) -> None:
    made = simulation(time, Guard("promql(x) > 5", no_data_after="5s", on_no_data="stop"))
    made.source.takes_s = 1e6
    made.second()
    assert (made.guards[0].state, made.guards[0].no_data_reason) == (
        "no_data",
        "the target's metrics have not answered yet",
    )
    made.seconds(9)
    assert made.reason.endswith("has had no data for 5 s: the target's metrics have not answered for 5 s")
    assert made.guards[0].no_data_s == made.guards[0].watched_s > 0
    made.close()


def test_two_guards_on_a_query_share_its_questions_and_each_has_its_own_tolerance(time: FakeTime) -> None:
    impatient = Guard("promql(x) > 5 for 2s", "notify", name="impatient", no_data_after="1s")
    made = simulation(time, Guard("promql(x) > 5 for 4s", "notify", name="patient"), impatient)
    made.source.answer = 9.0
    made.seconds(2)
    made.source.answer = AWAY
    made.seconds(2)
    assert [guard.state for guard in made.guards] == ["pending", "no_data"]
    made.source.answer = 9.0
    made.seconds(2)
    assert [guard.state for guard in made.guards] == ["pending", "pending"]
    made.seconds(2)
    assert [guard.state for guard in made.guards] == ["tripped", "tripped"]
    made.close()


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
    made = QueryPolling(source, "x", time.monotonic)
    made.start()
    yield source, made
    made.close()
    time.advance(0)
    assert not source.waiting, "nothing is left under way"


def test_an_overtaken_question_keeps_the_reason_that_was_known_of_the_gap(time: FakeTime, polling) -> None:
    source, made = polling
    time.advance(1.5)
    first, second, *others = source.asked
    source.waiting[first].set_exception(AWAY)
    for at_s in others:
        source.waiting[at_s].set(9.0)
    time.advance(0.5)
    source.waiting[source.asked[-1]].set(9.0)
    time.advance(0)
    reasons = [(at_s, str(why)) for at_s, why in made.take() if isinstance(why, NoData)]
    assert reasons == [(first, "Prometheus is away"), (second, "Prometheus is away")]


def test_answers_are_given_in_the_order_of_the_times_that_they_are_about(time: FakeTime, polling) -> None:
    source, made = polling
    time.advance(1.0)
    first, second, third = source.asked
    source.waiting[second].set(2.0)
    time.advance(0)
    assert made.take() == []
    source.waiting[first].set(1.0)
    time.advance(0)
    assert made.take() == [(first, (1.0,)), (second, (2.0,))]
    source.waiting[third].set_exception(AWAY)
    time.advance(0)
    ((at_s, why),) = made.take()
    assert (at_s, str(why), type(why)) == (third, "Prometheus is away", NoData)


def test_one_that_later_ones_have_overtaken_is_given_up(time: FakeTime, polling) -> None:
    source, made = polling
    time.advance(1.5)
    first, *others = source.asked
    for at_s in others:
        source.waiting[at_s].set(9.0)
    time.advance(0)
    (at_s, why), *answers = made.take()
    assert (at_s, str(why)) == (first, "no answer came before those to later questions")
    assert answers == [(each, (9.0,)) for each in others]
    time.advance(0.5)
    assert first not in source.waiting, "and takes no place any more"


def test_few_questions_are_under_way(time: FakeTime, polling) -> None:
    source, made = polling
    time.advance(20.0)
    assert len(source.asked) == source.most_at_once == AT_ONCE
    source.waiting[source.asked[0]].set(1.0)
    time.advance(0.5)
    assert len(source.asked) == AT_ONCE + 1
    assert [values for _, values in made.take()] == [(1.0,)]


def test_answers_that_nobody_takes_are_not_kept_for_ever(time: FakeTime, polling) -> None:
    source, made = polling
    time.advance(0)
    for _ in range(200):
        source.waiting[source.asked[-1]].set(1.0)
        time.advance(0.5)
    taken = made.take()
    assert 100 <= len(taken) <= 120
    assert taken[-1][0] == source.asked[-2]


def test_no_question_is_under_way_for_ever(monkeypatch: pytest.MonkeyPatch, polling) -> None:
    _, made = polling
    monkeypatch.setattr("obswarm.guards.polling.ANSWER_WITHIN_S", 0.01)
    assert str(made._values(0.0)) == "no answer within 0.01 s"


STEPS = st.lists(st.tuples(st.sampled_from("hhhnm"), st.floats(0.1, 1.9)), min_size=1, max_size=60)


@given(STEPS, st.sampled_from([0.0, 1.0, 3.0, 8.0]), st.sampled_from([0.0, 2.0, 5.0]))
def test_it_trips_when_what_was_seen_of_its_condition_is_as_long_as_its_for(
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


def test_nan_is_no_value_of_a_guard(time: FakeTime) -> None:
    made = simulation(time, Guard("promql(x) > 5", "notify"))
    made.source.answer = math.nan
    made.seconds(7)
    (guard,) = made.guards
    assert (guard.value, guard.shown, guard.no_data_reason) == (None, "–", "x is not a number (NaN)")
    made.source.answer = math.inf
    made.seconds(2)
    assert made.guards[0].shown == "+Inf"
    made.source.answer = math.nan
    made.seconds(7)
    (guard,) = made.guards
    assert (guard.value, guard.shown, guard.state) == (math.inf, "+Inf", "no_data")


def test_a_query_that_filters_what_there_is_has_an_answer(time: FakeTime) -> None:
    guard = Guard("promql(x == 0) == 0", "stop", no_data_after="3s", on_no_data="stop", clear_for=0)
    made = simulation(time, guard, Guard("promql(x == 0) == 0", "notify", name="other"))
    made.source.answer = []
    made.seconds(20)
    assert notes_of(made) == []
    for view in made.guards:
        assert (view.state, view.value, view.shown, view.no_data_s, view.seen_ratio) == (
            "ok",
            None,
            "no series",
            0,
            1.0,
        )
        assert view.no_data_reason == view.no_data_reason == ""
    made.source.answer = None
    made.seconds(10)
    assert made.reason == "guard: The guard promql(x == 0) == 0 has had no data for 3 s: no series for x == 0"
    made.close()
