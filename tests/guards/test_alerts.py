"""Delivered alerts: payloads as they really are and as they should not be, and what they lead to."""

import json

import pytest

from obswarm.guards import BadPayload, parse_action, parse_payload
from obswarm.guards.alerts import AlertBook
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
        (json.dumps({"alerts": ALERTMANAGER["alerts"] * 1001}).encode(), "1001 alerts at once"),
    ],
)
def test_what_is_no_payload_is_refused_with_a_reason(body: bytes, expected: str) -> None:
    with pytest.raises(BadPayload, match=expected):
        parse_payload(body)


def book(default: str = "stop") -> AlertBook:
    return AlertBook(parse_action(default), STARTED_S)


def verdicts(known: AlertBook, body: bytes) -> list[tuple[str | None, str]]:
    return [(str(each.action) if each.action else None, each.reason) for each in known.take(parse_payload(body))]


def test_an_alert_acts_once_however_often_it_is_delivered() -> None:
    known = book()
    assert verdicts(known, payload(ALERTMANAGER)) == [("stop", "the default for alerts")]
    assert verdicts(known, payload(ALERTMANAGER)) == [(None, "known already")]
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


def test_an_alert_from_before_the_run_stops_nothing() -> None:
    old = payload(ALERTMANAGER, startsAt="2020-01-12T07:51:03Z")
    ((action, reason),) = verdicts(book(), old)
    assert (action, reason) == ("notify", "it fired before the run began, so the run is not its cause")


def test_judging_takes_no_note() -> None:
    known = book()
    alerts = parse_payload(payload(ALERTMANAGER))
    assert known.judge(alerts) == known.judge(alerts)
    assert known.firing == []


def test_alerts_are_counted_by_their_labels_while_they_fire() -> None:
    known = book("notify")
    known.take(parse_payload(payload(ALERTMANAGER)))
    counts = {text: known.count(parse_condition(text).operand) for text in ("alert()", 'alert(severity="critical")', 'alert(severity!~"c.*")')}  # fmt: skip
    assert list(counts.values()) == [1, 1, 0]
    known.take(parse_payload(payload(ALERTMANAGER, status="resolved")))
    assert known.count(parse_condition("alert()").operand) == 0


def test_without_a_fingerprint_the_labels_are_one() -> None:
    one, same = (parse_payload(payload(ALERTMANAGER, fingerprint=None))[0] for _ in range(2))
    other = parse_payload(payload(ALERTMANAGER, fingerprint=None, labels={"alertname": "B"}))[0]
    assert one.fingerprint == same.fingerprint != other.fingerprint
