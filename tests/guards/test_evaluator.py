"""GuardEvaluator with a fake RunControl, source and clock."""

import gevent
import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm import clock
from obswarm.api import Environment, Events, ObswarmError
from obswarm.engine import Ramp, StopReason
from obswarm.guards import Guard, GuardEvaluator, parse_action, parse_payload, with_own_names
from obswarm.guards.conditions import OPERATORS
from obswarm.record import Annotation, RunState, Snapshot
from obswarm.stats import Recorder
from tests.guards.simulation import Nobody, Source
from tests.guards.test_alerts import ALERTMANAGER, STARTED_S, at, payload
from tests.support.runs import local_run


class Control:
    def __init__(self, run_id: str = "") -> None:
        self.run_id = run_id
        self.calls: list[object] = []
        self.notes: list[tuple[str, str]] = []
        self.in_force: dict[str, str] = {}
        self.annotations: list[Annotation] = []
        self.guards_before: dict = {}

    def annotate(self, kind: str, text: str) -> None:
        self.notes.append((kind, text))

    def scale(self, share: float, by: str) -> None:
        self.in_force[by] = "scale"
        self.calls.append(("scale", share))

    def hold(self, by: str) -> None:
        self.in_force[by] = "hold"
        self.calls.append("hold")

    def release(self, by: str) -> None:
        if self.in_force.pop(by, None) == "hold" and not self.in_force:
            self.calls.append("release")

    def stop(self, reason: StopReason) -> None:
        self.calls.append(("stop", reason.kind, reason.detail))

    def abort(self, reason: StopReason) -> None:
        self.calls.append(("abort", reason.kind))


class GuardedRun:
    """A GuardEvaluator and snapshots one second apart."""

    def __init__(self, *rules, source=None, on_alert: str = "stop", after: "GuardedRun | None" = None) -> None:
        self.now = 100.0
        self.started_wall_s = STARTED_S
        self.wall_s = self.started_wall_s + 600
        self.evaluator = GuardEvaluator(
            rules, source, parse_action(on_alert), monotonic=lambda: self.now, wall=lambda: self.wall_s
        )
        self.control = Control()
        if after is not None:
            self.control.guards_before = msgpack.unpackb(msgpack.packb(after.evaluator.saved_state()))
            self.control.in_force = dict(after.control.in_force)
            self.wall_s = after.wall_s + 4
        self.notes = self.control.notes
        self.evaluator.start(self.control, self.started_wall_s)
        self.environment = Environment(events=Events(), recorder=Recorder(), user_classes=[Nobody])
        self.run = local_run(self.environment, Ramp(100, 1e6), observer=self.evaluator)
        self.run._log.state = RunState.RUNNING
        self.run._driver.executor.start(0)

    def second(self, good: int = 0, bad: int = 0) -> Snapshot:
        self.now += 1
        self.wall_s += 1
        for _ in range(good):
            self.environment.recorder.record("GET", "/", 0.1, 1, 200)
        for _ in range(bad):
            self.environment.recorder.record("GET", "/", 0.1, 1, 500, "no")
        # A turn for whoever asks the source.
        gevent.sleep(0.001)
        self.run._emit()
        assert self.run.last is not None
        return self.run.last


def test_the_stop_reason_has_guard_value_and_time() -> None:
    guarded = GuardedRun(Guard("error_ratio > 5% for 2s"))
    for _ in range(3):
        assert guarded.control.calls == []
        guarded.second(good=8, bad=2)
    ((_, kind, detail),) = guarded.control.calls
    assert kind == "guard"
    assert detail.startswith("The guard error_ratio > 5% for 2s tripped: error_ratio is 20%, since 20")
    assert guarded.notes == [("guard", detail)]


def test_hold_lasts_while_the_condition_does_and_while_any_guard_holds() -> None:
    guarded = GuardedRun(Guard("error_ratio > 5%", "hold"), Guard("failures > 5", "hold"))
    guarded.second(good=1, bad=9)
    assert guarded.control.calls == ["hold", "hold"]
    guarded.second(good=50, bad=4)
    assert guarded.control.calls == ["hold", "hold"], "one of them still holds"
    guarded.second(good=9)
    assert guarded.control.calls == ["hold", "hold", "release"]
    assert [note for note in guarded.notes if note[0] == "release"] == [
        (
            "release",
            "The guard failures > 5 no longer holds the load, which is still held by guard error_ratio > 5%",
        ),
        ("release", "The guard error_ratio > 5% no longer holds the load"),
    ]


def test_scale_abort_and_notify() -> None:
    guarded = GuardedRun(
        Guard("failures > 0", "scale(50%)"), Guard("failures > 1", "abort"), Guard("failures > 2", "notify")
    )
    guarded.second(bad=3)
    assert guarded.control.calls == [("scale", 0.5), ("abort", "guard")]
    assert len(guarded.notes) == 3
    guarded.second(good=3)
    assert len(guarded.notes) == 3, "only a hold has an end"


def test_snapshots_have_the_guards_states() -> None:
    guarded = GuardedRun(Guard("error_ratio > 50%", "notify", name="mine"), Guard("p95 > 1s", "stop"))
    mine, latency = guarded.second(good=1, bad=3).guards
    assert (mine.name, mine.when, mine.action, mine.state, mine.value, mine.shown) == (
        "mine",
        "error_ratio > 50%",
        "notify",
        "tripped",
        0.75,
        "75%",
    )
    assert mine.trips == (("notify", 1),)
    assert (latency.state, latency.shown, latency.trips) == ("ok", "100 ms", ())


@given(
    values=st.lists(st.floats(allow_infinity=False) | st.integers(-5, 5).map(float), min_size=1, max_size=5),
    conditions=st.lists(
        st.tuples(st.sampled_from(sorted(OPERATORS)), st.integers(-5, 5)), min_size=2, max_size=6, unique=True
    ),
)
def test_guards_that_share_a_query_are_each_decided_by_the_series_that_makes_them_true(values, conditions) -> None:
    rules = [Guard(f"promql(up) {operator} {number}", "notify") for operator, number in conditions]
    guarded = GuardedRun(*rules, source=(source := Source()))
    source.answer = values
    try:
        guarded.second(good=1)
        views = guarded.second(good=1).guards
    finally:
        guarded.evaluator.close()
    for (operator, number), view in zip(conditions, views, strict=True):
        numbers = [value for value in values if value == value]
        holds = any(OPERATORS[operator](value, number) for value in numbers)
        assert view.state == ("no_data" if not numbers else "tripped" if holds else "ok"), (operator, number)
        if numbers:
            assert view.value in numbers
            assert OPERATORS[operator](view.value, number) == holds


def test_guards_of_the_same_text_and_other_actions_are_named_apart() -> None:
    same = [Guard("p95 > 2s", "notify"), Guard("p95 > 2s", "stop"), Guard("rps > 5"), Guard("p95 > 2s", name="mine")]
    assert [rule.name for rule in with_own_names(same)] == [
        "notify: p95 > 2s",
        "stop: p95 > 2s",
        "rps > 5",
        "mine",
    ]


def test_a_guard_that_is_given_twice_is_one() -> None:
    assert with_own_names([Guard("p95 > 2s"), Guard("p99 > 2s"), Guard("p95>2s")]) == [
        Guard("p95 > 2s"),
        Guard("p99 > 2s"),
    ]


@pytest.mark.parametrize(
    "rules",
    [
        [Guard("p95 > 2s"), Guard("p95 > 2s", clear_for=5)],
        [Guard("p95 > 2s", name="mine"), Guard("rps > 5", name="mine")],
        [Guard("p95 > 2s"), Guard("p95 > 2s", "notify"), Guard("rps > 1", name="notify: p95 > 2s")],
    ],
)
def test_two_guards_of_one_name_are_refused(rules) -> None:
    with pytest.raises(ObswarmError, match="give one of them a name of its own"):
        with_own_names(rules)


def test_a_query_without_series_has_no_data() -> None:
    source = Source()
    source.answer = None
    guarded = GuardedRun(Guard("promql(nothing) > 5"), source=source)
    try:
        guarded.second()
        (guard,) = guarded.second().guards
        assert (guard.state, guard.no_data_reason) == ("no_data", "no series for nothing")
    finally:
        guarded.evaluator.close()


def test_alerts_act_when_they_come_and_a_resolved_one_releases_its_hold() -> None:
    guarded = GuardedRun(Guard('alert(severity="critical")', "notify"))
    labels = {"alertname": "A", "severity": "critical", "obswarm_action": "hold"}
    guarded.evaluator.deliver(parse_payload(payload(ALERTMANAGER, labels=labels)))
    assert guarded.control.calls == ["hold"]
    snapshot = guarded.second()
    assert snapshot.guards[0].state == "tripped"
    assert [(alert.alertname, alert.status, alert.source, alert.count) for alert in snapshot.alerts] == [
        ("A", "firing", "alertmanager", 1)
    ]
    guarded.evaluator.deliver(parse_payload(payload(ALERTMANAGER, labels=labels, status="resolved")))
    assert guarded.control.calls == ["hold", "release"]
    assert guarded.notes[-1] == ("release", "The alert A no longer holds the load")
    assert guarded.second().guards[0].state == "ok"


def test_alerts_delivered_to_an_earlier_master_are_known() -> None:
    before = GuardedRun(Guard("alert()", "notify"))
    delivery = parse_payload(payload(ALERTMANAGER, labels={"alertname": "A", "obswarm_action": "hold"}))
    before.evaluator.deliver(delivery)
    before.second()
    guarded = GuardedRun(Guard("alert()", "notify"), after=before)
    (verdict,) = guarded.evaluator.deliver(delivery)
    assert (verdict.action, verdict.reason) == (None, "known already")
    assert (guarded.notes, guarded.control.calls) == ([], [])
    assert guarded.second().guards[0].value == 1
    resolved = payload(ALERTMANAGER, status="resolved", labels={"alertname": "A", "obswarm_action": "hold"})
    (verdict,) = guarded.evaluator.deliver(parse_payload(resolved))
    assert verdict.reason == "resolved"
    assert guarded.control.calls == ["release"]


def test_extremes_and_coverage_of_guards_continue_under_a_later_master() -> None:
    source = Source()
    rules = [Guard("failures > 90", "notify"), Guard("promql(x) > 99", "notify")]
    before = GuardedRun(*rules, source=source)
    source.answer = 7.0
    before.second(bad=5)
    before.second(bad=1)
    earlier = before.second().guards
    source.answer = None
    guarded = GuardedRun(*rules, source=source, after=before)
    guarded.second()
    source.answer = 3.0
    gevent.sleep(0.6)
    guarded.second()
    own, target = guarded.second().guards
    before.evaluator.close()
    guarded.evaluator.close()
    assert own.extremes == ((0.0, "0"), (5.0, "5"))
    assert target.extremes[-1] == (7.0, "7")
    assert target.no_data_s == earlier[1].no_data_s, "a source that has not read anything yet is no gap"
    assert own.watched_s == pytest.approx(earlier[0].watched_s + 2)


def test_an_alert_stops_with_its_name() -> None:
    guarded = GuardedRun()
    guarded.evaluator.deliver(parse_payload(payload(ALERTMANAGER)))
    assert guarded.control.calls == [("stop", "alert", "The alert TooManyErrors fires (errors)")]


def test_an_alert_right_after_the_start_acts_when_the_grace_is_over() -> None:
    guarded = GuardedRun(Guard("alert()", "notify"))
    guarded.wall_s = guarded.started_wall_s + 3
    guarded.evaluator.deliver(parse_payload(payload(ALERTMANAGER, **at(2))))
    for _ in range(6):
        assert guarded.second().guards[0].state == "ok"
    assert guarded.control.calls == []
    assert guarded.second().guards[0].state == "tripped"
    assert guarded.control.calls == [("stop", "alert", "The alert TooManyErrors fires (errors)")]
    guarded.second()
    assert len(guarded.control.calls) == 1
    noted, acted, _ = (text for _, text in guarded.notes)
    assert "Action: notify, it fired 2.0s after the start of the run" in noted
    assert acted.endswith("Action: stop, the default for alerts; it still fires 10s after the start of the run")


def test_a_stop_condition_counts_no_alert_from_before_the_run() -> None:
    guarded = GuardedRun(Guard('alert(severity="page")', "stop"))
    old = payload(ALERTMANAGER, startsAt="2020-01-12T07:51:03Z", labels={"alertname": "Old", "severity": "page"})
    guarded.evaluator.deliver(parse_payload(old))
    assert guarded.second().guards[0].state == "ok"
    assert guarded.control.calls == []
    ((_, note),) = guarded.notes
    assert note.endswith("Action: notify, it fired before the start of the run")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"action": "explode"}, "is not an action"),
        ({"action": "scale(200%)"}, "is not an action"),
        ({"on_no_data": "sleep"}, "write warn or stop"),
        ({"on_blind": "stop"}, "on_blind is now called on_no_data"),
        ({"blind_after": "30s"}, "blind_after is now called no_data_after"),
        ({"no_data_after": "soon"}, "no_data_after"),
        ({"clear_for": -1}, "clear_for: -1 is not a duration"),
        ({"no_data_after": True}, "no_data_after: True is not a duration"),
        ({"no_data_after": float("inf")}, "no_data_after: inf is not a duration"),
    ],
)
def test_invalid_arguments_of_a_guard_are_refused(arguments, expected: str) -> None:
    with pytest.raises(ObswarmError, match=expected):
        Guard("rps > 1", **arguments)


def test_an_unknown_argument_of_a_guard_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'no_data'"):
        Guard("rps > 1", no_data="30s")


def test_a_target_that_hangs_trips_a_guard_on_a_percentile() -> None:
    guarded = GuardedRun(Guard("p95 > 500ms for 2s"))
    guarded.second(good=50)
    began = clock.monotonic()
    for number in range(20):
        guarded.environment.recorder.pending[number] = ("GET", "/", began, False)
    for number in range(1, 5):
        assert guarded.control.calls == []
        for key, (*endpoint, _, answered) in guarded.environment.recorder.pending.items():
            guarded.environment.recorder.pending[key] = (*endpoint, clock.monotonic() - number, answered)
        before_s = clock.monotonic()
        snapshot = guarded.second()
        took_s = clock.monotonic() - before_s
        if guarded.control.calls:
            break
    assert number == 3
    assert snapshot.guards[0].state == "tripped"
    assert 3 * 0.98 <= snapshot.guards[0].value <= (3 + took_s) * 1.02
    assert snapshot.total.requests == 50, "nothing that is under way is in the statistics"


def test_a_guard_whose_values_end_is_logged_and_may_stop_the_run() -> None:
    guarded = GuardedRun(Guard("p95 > 500ms", no_data_after="5s", on_no_data="stop"))
    guarded.second(good=1)
    for _ in range(5):
        assert guarded.second().guards[0].state == "ok"
    (guard,) = guarded.second().guards
    assert (guard.state, guard.no_data_reason) == ("no_data", "no request has finished for 5s")
    ((_, text),) = guarded.notes
    assert text == "The guard p95 > 500ms has had no data for 5s: no request has finished for 5s"
    assert guarded.control.calls == [("stop", "guard", text)]


def test_a_guard_whose_labels_never_match_is_logged_once(caplog) -> None:
    guarded = GuardedRun(
        Guard('p95{name="/typo"} > 1s', name="typo", no_data_after="1h"),
        Guard('rps{name="/", method="GET"} > 1000'),
        Guard('rps{status="5xx"} > 1000'),
    )
    for _ in range(30):
        last = guarded.second(good=1)
    assert [guard.matched for guard in last.guards] == [False, True, True]
    ((kind, text),) = guarded.notes
    assert (kind, text) == ("guard", "No request matches the labels of the guard typo")
    assert [record.message for record in caplog.records] == [f"{text}. Requests so far: GET /."]
    guarded.environment.recorder.record("GET", "/typo", 0.1, 1, 200)
    assert guarded.second().guards[0].matched


def test_labels_are_not_reported_as_unmatched_before_the_first_request() -> None:
    guarded = GuardedRun(Guard('p95{name="/a"} > 1s', no_data_after="1h"))
    for _ in range(30):
        last = guarded.second()
    assert guarded.notes == []
    assert not last.guards[0].matched
