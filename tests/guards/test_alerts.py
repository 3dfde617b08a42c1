"""Delivered alerts: payloads as they really are and as they should not be, and what they lead to."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.engine import new_run_id
from obswarm.guards import Alert, BadPayload, Verdict, make_payload, parse_action, parse_payload, still_firing
from obswarm.guards.alerts import RUN_ID, AlertBook
from obswarm.guards.grammar import parse_condition

# As Grafana's documentation of the webhook contact point describes it; figures and names are this test's.
GRAFANA = {
    "receiver": "load tests",
    "status": "firing",
    "orgId": 1,
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "Slow checkout", "team": "shop"},
            "annotations": {"summary": "The checkout takes 3 s"},
            "startsAt": "2026-01-12T09:51:03.157076+02:00",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://grafana.example.com/alerting/1/edit",
            "fingerprint": "c6eadffa33fcdf37",
            "silenceURL": "https://grafana.example.com/alerting/silence/new",
            "dashboardURL": "",
            "panelURL": "",
            "values": {"B": 3.1, "C": 1},
        }
    ],
    "groupLabels": {},
    "commonLabels": {"team": "shop"},
    "commonAnnotations": {},
    "externalURL": "https://grafana.example.com/",
    "version": "1",
    "groupKey": "{}:{}",
    "truncatedAlerts": 0,
    "title": "[FIRING:1]",
    "state": "alerting",
    "message": "…",
}
ALERTMANAGER = {
    "receiver": "obswarm",
    "status": "firing",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "TooManyErrors", "severity": "critical"},
            "annotations": {"description": "errors"},
            "startsAt": "2026-01-12T07:51:03.157Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus:9090/graph",
            "fingerprint": "0123456789abcdef",
        }
    ],
    "groupLabels": {},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "http://alertmanager:9093",
    "version": "4",
    "groupKey": "{}:{}",
    "truncatedAlerts": 0,
}
STARTED_S = 1_768_000_000.0
ANY = parse_condition("alert()").operand


def payload(document: dict, **changes) -> bytes:
    return json.dumps({**document, "alerts": [{**document["alerts"][0], **changes}]}).encode()


def test_both_formats_are_understood() -> None:
    (grafana,), (alertmanager,) = parse_payload(payload(GRAFANA)), parse_payload(payload(ALERTMANAGER))
    assert (grafana.name, grafana.source, grafana.summary, grafana.firing) == (
        "Slow checkout",
        "grafana",
        "The checkout takes 3 s",
        True,
    )
    assert (alertmanager.name, alertmanager.source, alertmanager.summary) == ("TooManyErrors", "alertmanager", "errors")
    assert grafana.starts_s == pytest.approx(alertmanager.starts_s, abs=0.001)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "no list `alerts`"),
        (b'{"alerts": 5}', "no list `alerts`"),
        (b'{"alerts": [5]}', r"alerts\[0\] is not an object"),
        (b'{"alerts": [{}]}', "status is None"),
        (payload(ALERTMANAGER, status="maybe"), "firing or resolved"),
        (payload(ALERTMANAGER, labels=None), "labels is not an object"),
        (payload(ALERTMANAGER, labels={"a": 5}), "labels.a is not a text"),
        (payload(ALERTMANAGER, fingerprint=5), "fingerprint"),
        (payload(ALERTMANAGER, startsAt="soon"), "startsAt is not a time"),
        (json.dumps({"alerts": ALERTMANAGER["alerts"] * 1001}).encode(), "1,001 alerts at once"),
    ],
)
def test_what_is_no_payload_is_refused_with_a_reason(body: bytes, expected: str) -> None:
    with pytest.raises(BadPayload, match=expected):
        parse_payload(body)


RUN, OTHER = "20260109-230640-c0de", "20260109-230602-beef"
LONG_AFTER_S = STARTED_S + 600


def book(default: str = "stop", grace_s: float = 10.0) -> AlertBook:
    made = AlertBook(parse_action(default), grace_s, run_id=RUN)
    made.begin(STARTED_S)
    return made


def verdicts(known: AlertBook, body: bytes, now_s: float = LONG_AFTER_S) -> list[tuple[str | None, str]]:
    return shown(known.take(parse_payload(body), now_s))


def shown(found: list[Verdict]) -> list[tuple[str | None, str]]:
    return [(str(each.action) if each.action else None, each.reason) for each in found]


def at(seconds: float, **labels: str) -> dict[str, object]:
    """Of an alert that began to fire so long after the run did."""
    starts = datetime.fromtimestamp(STARTED_S + seconds, UTC).isoformat()
    return {"startsAt": starts, "labels": {"alertname": "TooManyErrors", **labels}}


def test_an_alert_acts_once_however_often_it_is_delivered() -> None:
    known = book()
    assert verdicts(known, payload(ALERTMANAGER)) == [("stop", "the default for alerts")]
    assert verdicts(known, payload(ALERTMANAGER)) == [(None, "known already")]
    assert known.due(LONG_AFTER_S) == []
    assert verdicts(known, payload(ALERTMANAGER, status="resolved")) == [(None, "resolved")]
    assert verdicts(known, payload(ALERTMANAGER, startsAt="2026-01-12T08:51:03Z")) == [
        ("stop", "the default for alerts")
    ]


def test_a_label_chooses_the_action() -> None:
    labels = {"alertname": "A", "obswarm_action": "scale(50%)"}
    assert verdicts(book(), payload(ALERTMANAGER, labels=labels)) == [("scale(50%)", "its label obswarm_action")]
    labels["obswarm_action"] = "explode"
    ((action, reason),) = verdicts(book(), payload(ALERTMANAGER, labels=labels))
    assert action == "notify"
    assert "'explode' is no action" in reason


OLD = {"startsAt": "2020-01-12T07:51:03Z"}
EARLIER = "it fired before the run began, so the run is not its cause"


def test_an_alert_from_before_the_run_stops_nothing() -> None:
    assert verdicts(book(), payload(ALERTMANAGER, **OLD)) == [("notify", EARLIER)]


def test_what_is_delivered_before_the_run_begins_is_from_before_whatever_it_says() -> None:
    for changes in ({}, {"startsAt": None}):
        known = AlertBook(parse_action("stop"), run_id=RUN)
        assert verdicts(known, payload(ALERTMANAGER, **changes), STARTED_S - 1) == [("notify", EARLIER)]
    known.begin(STARTED_S)
    assert known.due(LONG_AFTER_S) == []
    assert verdicts(known, payload(ALERTMANAGER, startsAt=None, fingerprint="b")) == [
        ("stop", "the default for alerts")
    ]


@pytest.mark.parametrize("starts", [-1000, -0.1, 0.2, 9.9, 10.1, 500])
def test_an_alert_with_a_run_id_counts_for_that_run_alone_whenever_it_fired(starts: float) -> None:
    ours, other = at(starts, run_id=RUN), at(starts, run_id=OTHER)
    assert verdicts(book(), payload(ALERTMANAGER, **ours)) == [("stop", "the default for alerts")]
    known = book()
    assert verdicts(known, payload(ALERTMANAGER, **other)) == [
        ("notify", f"it is about the run {OTHER}, not about this one")
    ]
    assert known.due(LONG_AFTER_S) == []
    assert known.count(ANY, LONG_AFTER_S) == 0


def test_only_an_id_of_ours_says_which_run_an_alert_is_about() -> None:
    assert RUN_ID.fullmatch(new_run_id(STARTED_S))
    named = at(500, run_id="scheduled__2026-01-09T00:00:00+00:00")
    assert verdicts(book(), payload(ALERTMANAGER, **named)) == [("stop", "the default for alerts")]


def test_an_alert_that_fires_right_after_the_start_acts_if_it_still_fires_when_the_grace_is_over() -> None:
    known = book()
    ((action, reason),) = verdicts(known, payload(ALERTMANAGER, **at(2.5)), STARTED_S + 3)
    assert action == "notify"
    assert reason == (
        "it fired 2.5 s after the run began, and what it is about may be from before; if it still fires 10 s after the"
        " begin, it leads to: stop"
    )
    assert verdicts(known, payload(ALERTMANAGER, **at(2.5)), STARTED_S + 4) == [(None, "known already")]
    assert (known.due(STARTED_S + 9.9), known.count(ANY, STARTED_S + 9.9)) == ([], 0)
    expected = [("stop", "the default for alerts; it still fires 10 s after the run began")]
    assert (shown(known.due(STARTED_S + 10)), known.count(ANY, STARTED_S + 10)) == (expected, 1)
    assert known.due(STARTED_S + 11) == []


def test_one_that_is_resolved_within_the_grace_never_acts() -> None:
    known = book()
    verdicts(known, payload(ALERTMANAGER, **at(2.5)), STARTED_S + 3)
    assert verdicts(known, payload(ALERTMANAGER, **at(2.5), status="resolved"), STARTED_S + 5) == [(None, "resolved")]
    assert (known.due(STARTED_S + 10), known.count(ANY, STARTED_S + 10)) == ([], 0)


def test_without_grace_an_alert_acts_at_once_and_one_that_only_notifies_does_so_anyway() -> None:
    assert verdicts(book(grace_s=0), payload(ALERTMANAGER, **at(0.1)), STARTED_S + 1) == [
        ("stop", "the default for alerts")
    ]
    known = book("notify")
    assert verdicts(known, payload(ALERTMANAGER, **at(0.1)), STARTED_S + 1) == [("notify", "the default for alerts")]
    assert known.due(STARTED_S + 10) == []


@given(
    starts=st.floats(-3600, 3600),
    came=st.floats(-60, 3600),
    grace=st.floats(0, 120),
    run=st.sampled_from([None, RUN, OTHER]),
)
def test_no_alert_acts_twice_or_that_is_not_this_runs(
    starts: float, came: float, grace: float, run: str | None
) -> None:
    known = AlertBook(parse_action("stop"), grace, run_id=RUN)
    acted_s = []
    body = payload(ALERTMANAGER, **at(starts, **({"run_id": run} if run else {})))
    began = False
    for now in sorted({-61.0, came, *range(0, 3700, 50)}):
        if now >= 0 and not began:
            known.begin(STARTED_S)
            began = True
        found = known.take(parse_payload(body), STARTED_S + now) if now >= came else []
        found += known.due(STARTED_S + now)
        acted_s += [now for each in found if each.action is not None and each.action.kind == "stop"]
    ours = run == RUN or (run is None and parse_payload(body)[0].starts_s >= STARTED_S)
    assert len(acted_s) == ours
    if ours and run is None and starts < grace:
        assert acted_s[0] >= grace - 1e-6


def test_judging_takes_no_note() -> None:
    known = book()
    alerts = parse_payload(payload(ALERTMANAGER))
    assert known.judge(alerts, LONG_AFTER_S) == known.judge(alerts, LONG_AFTER_S)
    assert known.firing == []


def test_alerts_are_counted_by_their_labels_while_they_fire() -> None:
    known = book("notify")
    known.take(parse_payload(payload(ALERTMANAGER)), LONG_AFTER_S)
    texts = ("alert()", 'alert(severity="critical")', 'alert(severity!~"c.*")')
    assert [known.count(parse_condition(text).operand, LONG_AFTER_S) for text in texts] == [1, 1, 0]
    known.take(parse_payload(payload(ALERTMANAGER, status="resolved")), LONG_AFTER_S)
    assert known.count(ANY, LONG_AFTER_S) == 0


def test_a_guards_alert_is_none_from_before_the_run() -> None:
    known = book("notify")
    known.take(parse_payload(payload(ALERTMANAGER, **OLD)), LONG_AFTER_S)
    assert (len(known.firing), known.count(ANY, LONG_AFTER_S)) == (1, 0)


def test_a_start_waits_for_alerts_from_before_that_are_about_no_run_and_would_act() -> None:
    before = [
        payload(ALERTMANAGER, **at(-60), fingerprint="a"),
        payload(ALERTMANAGER, **at(-60, obswarm_action="notify"), fingerprint="b"),
        payload(ALERTMANAGER, **at(-60, run_id=OTHER), fingerprint="c"),
    ]
    known = AlertBook(parse_action("stop"), run_id=RUN)
    for body in before:
        known.take(parse_payload(body), STARTED_S - 5)
    assert [each.fingerprint for each in known.holding_back(STARTED_S)] == ["a"]
    known.take(parse_payload(payload(ALERTMANAGER, **at(-60), fingerprint="a", status="resolved")), STARTED_S - 1)
    assert known.holding_back(STARTED_S) == []


def test_what_alerts_say_is_one_line_of_text() -> None:
    odd = payload(ALERTMANAGER, labels={"alertname": "A\x1b[31m\ud83d"}, annotations={"summary": "a\nb"})
    (alert,) = parse_payload(odd)
    assert (alert.name, alert.summary) == ("A\\x1b[31m\\ud83d", "a\\nb")


def test_without_a_fingerprint_the_labels_are_one() -> None:
    one, same = (parse_payload(payload(ALERTMANAGER, fingerprint=None))[0] for _ in range(2))
    other = parse_payload(payload(ALERTMANAGER, fingerprint=None, labels={"alertname": "B"}))[0]
    assert one.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize("document", [ALERTMANAGER, GRAFANA])
@pytest.mark.parametrize("changes", [{}, {"startsAt": None}, {"status": "resolved"}, {"fingerprint": None}])
def test_what_is_kept_of_alerts_is_read_back(document: dict, changes: dict) -> None:
    alerts = parse_payload(payload(document, **changes))
    assert parse_payload(make_payload(alerts)) == alerts
    assert parse_payload(make_payload([])) == []


def test_of_alerts_that_come_while_nothing_runs_those_that_fire_are_left() -> None:
    def made(fingerprint: str, status: str = "firing") -> list[Alert]:
        return parse_payload(payload(ALERTMANAGER, fingerprint=fingerprint, status=status))

    firing = still_firing(made("a"), [*made("b"), *made("c")])
    firing = still_firing(firing, [*made("b", "resolved"), *made("a")])
    assert [alert.fingerprint for alert in firing] == ["a", "c"]
    many = [made(str(number))[0] for number in range(1500)]
    assert still_firing([], many) == many[:1000]
