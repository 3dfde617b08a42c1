"""Webhook payloads, valid and invalid, and the verdicts on their alerts."""

import json
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obswarm.engine import new_run_id
from obswarm.guards import (
    Alert,
    BadPayload,
    Delivery,
    Refusal,
    RefusalReason,
    Verdict,
    decode_delivery,
    encode_delivery,
    parse_action,
    parse_payload,
)
from obswarm.guards.alert_payload import RUN_ID
from obswarm.guards.alerts import DISPLACED, MAX_FIRING, TOO_MANY, AlertTracker
from obswarm.guards.grammar import parse_condition
from obswarm.record import AlertStatus

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


def parsed(body: bytes) -> list[Alert]:
    """Of a delivery of which nothing is refused."""
    delivery = parse_payload(body)
    assert delivery.refused == ()
    return list(delivery.alerts)


def test_payloads_of_alertmanager_and_grafana_are_parsed() -> None:
    (grafana,), (alertmanager,) = parsed(payload(GRAFANA)), parsed(payload(ALERTMANAGER))
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
    ],
)
def test_an_invalid_payload_is_refused_with_a_reason(body: bytes, expected: str) -> None:
    with pytest.raises(BadPayload, match=expected):
        parse_payload(body)


JUNK = [
    (5, "no_object", "alerts[0] is not an object"),
    ({}, "status", "alerts[0]: status is missing; it must be firing or resolved"),
    ({"status": "maybe"}, "status", "alerts[0] (A): status is 'maybe'; it must be firing or resolved"),
    ({"status": ["firing"]}, "status", "alerts[0] (A): status is ['firing']; it must be firing or resolved"),
    ({"labels": None}, "labels", "alerts[0]: labels is not an object of texts"),
    ({"labels": [1]}, "labels", "alerts[0]: labels is not an object of texts"),
    ({"labels": {"alertname": "B", "a": 5}}, "labels", "alerts[0] (B): labels.a is not a text"),
    ({"labels": {"a": None}}, "labels", "alerts[0]: labels.a is not a text"),
    ({"labels": {"a" * 3000: "b"}}, "labels", "is not a text"),
    (
        {"labels": {"alertname": "B", **{f"l{number}": "x" for number in range(64)}}},
        "labels",
        "alerts[0] (B) has 65 labels; at most 64 are accepted",
    ),
    ({"fingerprint": 5}, "fingerprint", "alerts[0] (A): fingerprint is not a text of at most 2,000 characters"),
    ({"fingerprint": "f" * 2001}, "fingerprint", "alerts[0] (A): fingerprint is not a text"),
    ({"startsAt": "soon"}, "starts_at", "alerts[0] (A): startsAt is not a time"),
    ({"startsAt": 1768000000}, "starts_at", "alerts[0] (A): startsAt is not a time"),
    ({"startsAt": ""}, "starts_at", "alerts[0] (A): startsAt is not a time"),
]


@pytest.mark.parametrize(("changes", "reason", "text"), JUNK)
@pytest.mark.parametrize("document", [ALERTMANAGER, GRAFANA])
def test_an_invalid_alert_is_refused_without_the_others_of_its_delivery(
    document: dict, changes: object, reason: str, text: str
) -> None:
    good = document["alerts"][0]
    junk = {**good, "labels": {"alertname": "A"}, **changes} if isinstance(changes, dict) and changes else changes
    delivery = parse_payload(json.dumps({**document, "alerts": [junk, good, junk]}).encode())
    assert [alert.fingerprint for alert in delivery.alerts] == [good["fingerprint"]]
    assert [refusal.reason for refusal in delivery.refused] == [reason, reason]
    assert text in delivery.refused[0].text


@pytest.mark.parametrize(
    ("annotations", "summary"),
    [
        (None, ""),
        ([1, 2], ""),
        ("text", ""),
        ({"summary": 5, "description": "d"}, "d"),
        ({"summary": "", "description": "d"}, "d"),
        ({"summary": {"a": "b"}}, ""),
        ({f"a{number}": "x" for number in range(500)} | {"summary": "s"}, "s"),
    ],
)
def test_invalid_annotations_do_not_refuse_an_alert(annotations: object, summary: str) -> None:
    (alert,) = parsed(payload(ALERTMANAGER, annotations=annotations))
    assert alert.summary == summary


def test_long_texts_are_truncated() -> None:
    (alert,) = parsed(payload(ALERTMANAGER, annotations={"summary": "s" * 100_000}, labels={"a": "l" * 100_000}))
    assert len(alert.summary) <= 2000
    assert len(alert.labels["a"]) <= 2000
    assert alert.summary.endswith("… [cut: 100,000 characters]")


def test_alerts_that_the_sender_left_out_are_counted() -> None:
    document = {**ALERTMANAGER, "truncatedAlerts": 7}
    (refusal,) = parse_payload(payload(document)).refused
    assert (refusal.reason, refusal.count) == ("truncated", 7)
    assert refusal.text == "7 alerts left out by the sender (max_alerts of its webhook)"
    for nothing in (0, -1, None, "7", 0.5):
        assert parse_payload(payload({**ALERTMANAGER, "truncatedAlerts": nothing})).refused == ()


RUN, OTHER = "20260109-230640-c0de", "20260109-230602-beef"
LONG_AFTER_S = STARTED_S + 600


def make_tracker(default: str = "stop", grace_s: float = 10.0) -> AlertTracker:
    made = AlertTracker(parse_action(default), grace_s, run_id=RUN)
    made.begin(STARTED_S)
    return made


def verdicts(tracker: AlertTracker, body: bytes, now_s: float = LONG_AFTER_S) -> list[tuple[str | None, str]]:
    return shown(tracker.take(parsed(body), now_s))


def shown(found: list[Verdict]) -> list[tuple[str | None, str]]:
    return [(str(each.action) if each.action else None, each.reason) for each in found]


def at(seconds: float, **labels: str) -> dict[str, object]:
    """Of an alert that began to fire so long after the run did."""
    starts = datetime.fromtimestamp(STARTED_S + seconds, UTC).isoformat()
    return {"startsAt": starts, "labels": {"alertname": "TooManyErrors", **labels}}


def test_an_alert_acts_once_however_often_it_is_delivered() -> None:
    tracker = make_tracker()
    assert verdicts(tracker, payload(ALERTMANAGER)) == [("stop", "the default for alerts")]
    assert verdicts(tracker, payload(ALERTMANAGER)) == [(None, "known already")]
    assert tracker.due(LONG_AFTER_S) == []
    assert verdicts(tracker, payload(ALERTMANAGER, status="resolved")) == [(None, "resolved")]
    assert verdicts(tracker, payload(ALERTMANAGER, startsAt="2026-01-12T08:51:03Z")) == [
        ("stop", "the default for alerts")
    ]


def test_a_label_chooses_the_action() -> None:
    labels = {"alertname": "A", "obswarm_action": "scale(50%)"}
    assert verdicts(make_tracker(), payload(ALERTMANAGER, labels=labels)) == [
        ("scale(50%)", "its label obswarm_action")
    ]
    labels["obswarm_action"] = "explode"
    ((action, reason),) = verdicts(make_tracker(), payload(ALERTMANAGER, labels=labels))
    assert action == "notify"
    assert "'explode' is not an action" in reason


OLD = {"startsAt": "2020-01-12T07:51:03Z"}
EARLIER = "it fired before the start of the run"


def test_an_alert_from_before_the_run_stops_nothing() -> None:
    assert verdicts(make_tracker(), payload(ALERTMANAGER, **OLD)) == [("notify", EARLIER)]


def test_alerts_delivered_before_the_start_are_from_before_whatever_their_start() -> None:
    for changes in ({}, {"startsAt": None}):
        tracker = AlertTracker(parse_action("stop"), run_id=RUN)
        assert verdicts(tracker, payload(ALERTMANAGER, **changes), STARTED_S - 1) == [("notify", EARLIER)]
    tracker.begin(STARTED_S)
    assert tracker.due(LONG_AFTER_S) == []
    assert verdicts(tracker, payload(ALERTMANAGER, startsAt=None, fingerprint="b")) == [
        ("stop", "the default for alerts")
    ]


@pytest.mark.parametrize("starts", [-1000, -0.1, 0.2, 9.9, 10.1, 500])
def test_an_alert_with_a_run_id_counts_for_that_run_only_whenever_it_fired(starts: float) -> None:
    ours, other = at(starts, run_id=RUN), at(starts, run_id=OTHER)
    assert verdicts(make_tracker(), payload(ALERTMANAGER, **ours)) == [("stop", "the default for alerts")]
    tracker = make_tracker()
    assert verdicts(tracker, payload(ALERTMANAGER, **other)) == [
        ("notify", f"it is about the run {OTHER}, not about this one")
    ]
    assert tracker.due(LONG_AFTER_S) == []
    assert tracker.count(ANY, LONG_AFTER_S) == 0


def test_a_label_run_id_in_another_format_is_ignored() -> None:
    assert RUN_ID.fullmatch(new_run_id(STARTED_S))
    named = at(500, run_id="scheduled__2026-01-09T00:00:00+00:00")
    assert verdicts(make_tracker(), payload(ALERTMANAGER, **named)) == [("stop", "the default for alerts")]


def test_an_alert_that_fires_right_after_the_start_acts_if_it_still_fires_when_the_grace_is_over() -> None:
    tracker = make_tracker()
    ((action, reason),) = verdicts(tracker, payload(ALERTMANAGER, **at(2.5)), STARTED_S + 3)
    assert action == "notify"
    assert reason == (
        "it fired 2.5s after the start of the run, so its data may be from before; if it still fires 10s after the"
        " start, the action is stop"
    )
    assert verdicts(tracker, payload(ALERTMANAGER, **at(2.5)), STARTED_S + 4) == [(None, "known already")]
    assert (tracker.due(STARTED_S + 9.9), tracker.count(ANY, STARTED_S + 9.9)) == ([], 0)
    expected = [("stop", "the default for alerts; it still fires 10s after the start of the run")]
    assert (shown(tracker.due(STARTED_S + 10)), tracker.count(ANY, STARTED_S + 10)) == (expected, 1)
    assert tracker.due(STARTED_S + 11) == []


def test_an_alert_that_is_resolved_within_the_grace_never_acts() -> None:
    tracker = make_tracker()
    verdicts(tracker, payload(ALERTMANAGER, **at(2.5)), STARTED_S + 3)
    assert verdicts(tracker, payload(ALERTMANAGER, **at(2.5), status="resolved"), STARTED_S + 5) == [(None, "resolved")]
    assert (tracker.due(STARTED_S + 10), tracker.count(ANY, STARTED_S + 10)) == ([], 0)


def test_without_grace_an_alert_acts_at_once_and_one_that_only_notifies_does_so_anyway() -> None:
    assert verdicts(make_tracker(grace_s=0), payload(ALERTMANAGER, **at(0.1)), STARTED_S + 1) == [
        ("stop", "the default for alerts")
    ]
    tracker = make_tracker("notify")
    assert verdicts(tracker, payload(ALERTMANAGER, **at(0.1)), STARTED_S + 1) == [("notify", "the default for alerts")]
    assert tracker.due(STARTED_S + 10) == []


@given(
    starts=st.floats(-3600, 3600),
    came=st.floats(-60, 3600),
    grace=st.floats(0, 120),
    run=st.sampled_from([None, RUN, OTHER]),
)
def test_no_alert_acts_twice_and_none_of_another_run_acts(
    starts: float, came: float, grace: float, run: str | None
) -> None:
    tracker = AlertTracker(parse_action("stop"), grace, run_id=RUN)
    acted_s = []
    body = payload(ALERTMANAGER, **at(starts, **({"run_id": run} if run else {})))
    began = False
    for now in sorted({-61.0, came, *range(0, 3700, 50)}):
        if now >= 0 and not began:
            tracker.begin(STARTED_S)
            began = True
        found = tracker.take(parsed(body), STARTED_S + now) if now >= came else []
        found += tracker.due(STARTED_S + now)
        acted_s += [now for each in found if each.action is not None and each.action.kind == "stop"]
    # A start in the future counts from the delivery, and what was delivered before the run is from before.
    since_s = min(parsed(body)[0].starts_s, STARTED_S + came)
    ours = run == RUN or (run is None and since_s >= STARTED_S)
    assert len(acted_s) == ours
    if ours and run is None and starts < grace:
        assert acted_s[0] >= grace - 1e-6


def test_a_dry_run_tracks_no_alerts() -> None:
    tracker = make_tracker()
    alerts = parsed(payload(ALERTMANAGER))
    assert tracker.dry_run(alerts, LONG_AFTER_S) == tracker.dry_run(alerts, LONG_AFTER_S)
    assert tracker.firing == []


def test_alerts_are_counted_by_their_labels_while_they_fire() -> None:
    tracker = make_tracker("notify")
    tracker.take(parsed(payload(ALERTMANAGER)), LONG_AFTER_S)
    texts = ("alert()", 'alert(severity="critical")', 'alert(severity!~"c.*")')
    assert [tracker.count(parse_condition(text).operand, LONG_AFTER_S) for text in texts] == [1, 1, 0]
    tracker.take(parsed(payload(ALERTMANAGER, status="resolved")), LONG_AFTER_S)
    assert tracker.count(ANY, LONG_AFTER_S) == 0


def test_a_guard_does_not_count_alerts_from_before_the_run() -> None:
    tracker = make_tracker("notify")
    tracker.take(parsed(payload(ALERTMANAGER, **OLD)), LONG_AFTER_S)
    assert (len(tracker.firing), tracker.count(ANY, LONG_AFTER_S)) == (1, 0)


def test_a_start_waits_for_earlier_alerts_without_run_id_whose_action_is_not_notify() -> None:
    before = [
        payload(ALERTMANAGER, **at(-60), fingerprint="a"),
        payload(ALERTMANAGER, **at(-60, obswarm_action="notify"), fingerprint="b"),
        payload(ALERTMANAGER, **at(-60, run_id=OTHER), fingerprint="c"),
    ]
    tracker = AlertTracker(parse_action("stop"), run_id=RUN)
    for body in before:
        tracker.take(parsed(body), STARTED_S - 5)
    assert [each.fingerprint for each in tracker.delaying_start(STARTED_S)] == ["a"]
    tracker.take(parsed(payload(ALERTMANAGER, **at(-60), fingerprint="a", status="resolved")), STARTED_S - 1)
    assert tracker.delaying_start(STARTED_S) == []


def test_texts_of_alerts_are_one_line_without_control_characters() -> None:
    odd = payload(ALERTMANAGER, labels={"alertname": "A\x1b[31m\ud83d"}, annotations={"summary": "a\nb"})
    (alert,) = parsed(odd)
    assert (alert.name, alert.summary) == ("A\\x1b[31m\\ud83d", "a\\nb")


def test_the_fingerprint_is_made_of_the_labels_if_there_is_none() -> None:
    one, same = (parsed(payload(ALERTMANAGER, fingerprint=None))[0] for _ in range(2))
    other = parsed(payload(ALERTMANAGER, fingerprint=None, labels={"alertname": "B"}))[0]
    assert one.fingerprint == same.fingerprint != other.fingerprint


@pytest.mark.parametrize("document", [ALERTMANAGER, GRAFANA])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"startsAt": None},
        {"startsAt": "0001-01-01T00:00:00Z"},
        {"startsAt": "9999-12-31T23:59:59Z"},
        {"status": "resolved"},
        {"fingerprint": None},
        {"fingerprint": "\ud83d\n"},
    ],
)
def test_kept_deliveries_are_read_back(document: dict, changes: dict) -> None:
    refused = (Refusal(RefusalReason.TOO_MANY, "a: too many", 7), Refusal(RefusalReason.TOKEN, "none"))
    for stored in (Delivery(tuple(parsed(payload(document, **changes))), refused), Delivery()):
        assert decode_delivery(encode_delivery(stored)) == stored
    with pytest.raises(BadPayload, match="its list `refused` cannot be read"):
        decode_delivery(b'{"alerts": []}')


def many_alerts(count: int, name: str = "n", **changes: object) -> list[Alert]:
    (one,) = parsed(payload(ALERTMANAGER, **changes))
    return [replace(one, fingerprint=f"{name} {number}") for number in range(count)]


def test_of_too_many_firing_alerts_those_of_this_run_are_tracked() -> None:
    tracker = make_tracker("notify")
    tracker.take(many_alerts(MAX_FIRING, "old", **OLD), LONG_AFTER_S)
    found = tracker.take(many_alerts(10, "ours"), LONG_AFTER_S)
    assert {each.reason for each in found} == {"the default for alerts"}
    assert (len(tracker.firing), tracker.count(ANY, LONG_AFTER_S)) == (MAX_FIRING, 10)
    assert [each.text for each in tracker.take_displaced()] == [f"TooManyErrors: {DISPLACED}"] * 10
    assert tracker.take_displaced() == [], "each once"
    found = tracker.take(many_alerts(MAX_FIRING, "more"), LONG_AFTER_S)
    assert [each.reason for each in found].count(TOO_MANY) == 10
    assert tracker.count(ANY, LONG_AFTER_S) == MAX_FIRING
    resolved = [replace(alert, status=AlertStatus.RESOLVED) for alert in many_alerts(10, "ours")]
    assert {each.reason for each in tracker.take([*resolved, *many_alerts(10, "last")], LONG_AFTER_S)} == {
        "resolved",
        "the default for alerts",
    }


def labelled(**labels: str) -> dict[str, object]:
    return {"labels": {"alertname": "TooManyErrors", **labels}}


NOTIFY, STOP = {"obswarm_action": "notify"}, {"obswarm_action": "stop"}
NAMED = {"run_id": RUN}
# From what makes room first to what makes room last, 5 s after the begin of a run with a grace of 10 s.
RANKS: list[dict[str, object]] = [
    {**labelled(**STOP), **OLD},
    labelled(**NOTIFY),
    labelled(**NOTIFY, **NAMED),
    labelled(**STOP),
    labelled(**STOP, **NAMED),
]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many alerts are remembered."""
    monkeypatch.setattr("obswarm.guards.alerts.MAX_FIRING", 20)
    return 20


@pytest.mark.parametrize("rank", range(len(RANKS)))
def test_an_alert_displaces_one_of_a_lower_rank(rank: int, few: int) -> None:
    for other, changes in enumerate(RANKS):
        tracker = make_tracker()
        tracker.take(many_alerts(few, "there", **{"startsAt": None, **RANKS[rank]}), STARTED_S + 5)
        new = many_alerts(3, "new", **{"startsAt": None, **changes})
        tried = tracker.dry_run(new, STARTED_S + 5)
        assert (tracker.take_displaced(), tracker.firing[0].fingerprint) == ([], "there 0"), "nothing is done"
        assert tracker.take(new, STARTED_S + 5) == tried
        there = [alert.fingerprint for alert in tracker.firing]
        assert len(there) == few
        if other > rank:
            assert there[-3:] == ["new 0", "new 1", "new 2"]
            assert (there[0], len(tracker.take_displaced())) == ("there 3", 3), "the oldest go"
        else:
            assert (there[0], tracker.take_displaced()) == ("there 0", [])
            assert {each.reason for each in tried} == {TOO_MANY}


def test_a_resolved_alert_makes_room_before_others_are_displaced(few: int) -> None:
    tracker = make_tracker("notify")
    there = many_alerts(few, "there")
    tracker.take(there, LONG_AFTER_S)
    stop = many_alerts(3, "stop", **labelled(**STOP))
    tracker.take([stop[0], replace(there[1], status=AlertStatus.RESOLVED), stop[1], stop[2]], LONG_AFTER_S)
    assert [alert.fingerprint for alert in tracker.firing][:2] == ["there 3", "there 4"]
    assert (len(tracker.firing), len(tracker.take_displaced())) == (few, 2)


def test_an_empty_fingerprint_counts_as_a_missing_one() -> None:
    alerts = [{**ALERTMANAGER["alerts"][0], "fingerprint": text, **labelled(n=text)} for text in ("", "  ")]
    found = parsed(json.dumps({**ALERTMANAGER, "alerts": alerts}).encode())
    assert len({alert.fingerprint for alert in found}) == 2
    assert all(re.fullmatch("[0-9a-f]{16}", alert.fingerprint) for alert in found)


@pytest.mark.parametrize(
    ("left_out", "count", "text"),
    [
        ("2.0", 2, "2 alerts left out"),
        ("1e3", 1000, "1,000 alerts left out"),
        ("9" * 400, 1_000_000, "more than 1,000,000 alerts left out"),
        ("9" * 10_000, 1_000_000, "more than 1,000,000 alerts left out"),
        ("1e999", 1_000_000, "more than 1,000,000 alerts left out"),
    ],
)
def test_the_number_of_truncated_alerts_may_be_an_integer_or_a_float(left_out: str, count: int, text: str) -> None:
    body = json.dumps({**ALERTMANAGER, "truncatedAlerts": "?"}).replace('"?"', left_out)
    delivery = parse_payload(body.encode())
    (refusal,) = delivery.refused
    assert (refusal.count, refusal.text) == (count, f"{text} by the sender (max_alerts of its webhook)")
    assert len(delivery.alerts) == len(ALERTMANAGER["alerts"])


# What an alert is to a run that began at 0 s, is asked of it at 3 s and at 20 s: `starts` is startsAt, delivered at 2 s.
STARTS = {
    "2020": ("2020-01-12T07:51:03Z", False),
    "2020 in another zone": ("2020-01-12T07:51:03.123456789+14:00", False),
    "2020 without a zone": ("2020-01-12T07:51:03", False),
    "2020, a day alone": ("2020-01-12", False),
    "Go's zero time": ("0001-01-01T00:00:00Z", False),
    "a second before the run, in another zone": (-1.0, False),
    "a second after it began, in another zone": (1.0, True),
    "not told": (None, True),
    "in the future": (30.0, True),
    "far in the future": ("2099-01-01T00:00:00Z", True),
}


@pytest.mark.parametrize("hours", [-12, 0, 9])
@pytest.mark.parametrize(("starts", "is_ours"), STARTS.values(), ids=STARTS)
def test_a_guard_counts_alerts_that_fired_at_the_start_after_the_grace(
    starts: str | float | None, is_ours: bool, hours: int
) -> None:
    if isinstance(starts, float):
        zone = timezone(timedelta(hours=hours))
        starts = datetime.fromtimestamp(STARTED_S + starts, zone).isoformat()
    tracker = make_tracker()
    ((action, _),) = verdicts(tracker, payload(ALERTMANAGER, startsAt=starts), STARTED_S + 2)
    assert action == "notify"
    assert (tracker.count(ANY, STARTED_S + 3), tracker.due(STARTED_S + 3)) == (0, [])
    due = shown(tracker.due(STARTED_S + 20))
    assert (tracker.count(ANY, STARTED_S + 20), len(due)) == (is_ours, is_ours)


def test_a_time_without_a_zone_is_utc_whatever_the_local_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        for zone in ("Pacific/Kiritimati", "UTC", "Etc/GMT+12"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            (alert,) = parsed(payload(ALERTMANAGER, startsAt="2026-01-09T23:06:40"))
            assert alert.starts_s == STARTED_S
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_start_that_moves_back_is_the_same_firing_and_one_that_moves_on_a_new_one() -> None:
    tracker = make_tracker("scale(50%)")
    assert verdicts(tracker, payload(ALERTMANAGER, **at(100)))[0][0] == "scale(50%)"
    assert verdicts(tracker, payload(ALERTMANAGER, **at(99.5))) == [(None, "known already")]
    assert verdicts(tracker, payload(ALERTMANAGER, **at(100))) == [(None, "known already")]
    assert verdicts(tracker, payload(ALERTMANAGER, **at(99.5))) == [(None, "known already")]
    assert tracker.count(ANY, LONG_AFTER_S) == 1
    assert verdicts(tracker, payload(ALERTMANAGER, **at(-5))) == [(None, "known already")]
    assert tracker.count(ANY, LONG_AFTER_S) == 0, "it has fired since before the run"
    assert verdicts(tracker, payload(ALERTMANAGER, **at(300)))[0][0] == "scale(50%)"


def test_of_very_many_firing_alerts_those_that_act_are_saved_for_another_master() -> None:
    def firing(number: int, labels: dict[str, str]) -> Alert:
        return Alert(
            f"f{number}",
            AlertStatus.FIRING,
            {"alertname": "A", "run_id": RUN, **labels},
            "",
            STARTED_S + 60,
            "alertmanager",
        )

    tracker = make_tracker()
    tracker.take([firing(number, NOTIFY) for number in range(600)] + [firing(600, STOP)], LONG_AFTER_S)
    stored = tracker.saved_state(LONG_AFTER_S)
    assert len(stored) == 500
    successor = make_tracker()
    successor.restore(stored)
    assert shown(successor.take([firing(600, STOP)], LONG_AFTER_S)) == [(None, "known already")]
