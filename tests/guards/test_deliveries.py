"""Deliveries of alerts to a run: refused alerts are counted, the others act, and alerts of other runs have no effect."""

import json
import logging

import pytest

from obswarm.engine import id_of
from obswarm.guards import Guard, Refusal, RefusalReason, parse_payload
from obswarm.record import AlertCount
from tests.guards.test_alerts import ALERTMANAGER, GRAFANA, JUNK, STARTED_S, at, payload
from tests.guards.test_evaluator import GuardedRun

ACTIONS = ("stop", "abort", "hold", "scale(50%)", "notify")
NOT_OURS = {
    "since 2020": {"startsAt": "2020-01-12T07:51:03Z", "labels": {"alertname": "A", "severity": "page"}},
    "a second before": at(-1, severity="page"),
    "about another run": at(100, severity="page", run_id="20260109-230602-beef"),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("document", [ALERTMANAGER, GRAFANA])
@pytest.mark.parametrize("alert", NOT_OURS.values(), ids=NOT_OURS)
def test_an_alert_of_another_run_is_only_annotated(alert: dict, document: dict, action: str) -> None:
    rules = [Guard(f'alert(severity="page"){more}', action, f"g{more}") for more in ("", " >= 1", " for 2s", " != 0")]
    guarded = GuardedRun(*rules, on_alert=action)
    labels = {**alert["labels"], "obswarm_action": action}
    try:
        for number in range(30):
            # Again and again, as Alertmanager delivers it; and another one with the action in its label.
            guarded.evaluator.deliver(parse_payload(payload(document, **alert)))
            guarded.evaluator.deliver(
                parse_payload(payload(document, **{**alert, "labels": labels, "fingerprint": "b"}))
            )
            snapshot = guarded.second(good=1)
            assert [(guard.state, guard.value) for guard in snapshot.guards] == [("ok", 0)] * len(rules), number
    finally:
        guarded.evaluator.close()
    assert guarded.control.calls == []
    assert [kind for kind, _ in guarded.notes] == ["alert", "alert"], "each is noted once"
    assert all("Action: notify" in text for _, text in guarded.notes)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_alert_of_this_run_trips_guards(action: str) -> None:
    guarded = GuardedRun(Guard('alert(severity="page")', action), on_alert="notify")
    guarded.evaluator.deliver(parse_payload(payload(ALERTMANAGER, **at(599, severity="page"))))
    guarded.second(good=1)
    assert len(guarded.control.calls) == (action != "notify")
    assert guarded.second(good=1).guards[0].state == "tripped"


def with_junk(document: dict) -> bytes:
    good = document["alerts"][0]
    labels = {"alertname": "Stop", "obswarm_action": "stop"}
    junk = [{**good, "labels": {"alertname": "A"}, **changes} if changes else {} for changes, _, _ in JUNK[1:]]
    return json.dumps({**document, "alerts": [*junk, {**good, "labels": labels, **at_now()}, *junk]}).encode()


def at_now() -> dict[str, object]:
    return {"startsAt": at(600)["startsAt"]}


@pytest.mark.parametrize("document", [ALERTMANAGER, GRAFANA])
def test_an_alert_acts_whatever_else_is_in_the_delivery(document: dict, caplog: pytest.LogCaptureFixture) -> None:
    guarded = GuardedRun(on_alert="notify")
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        guarded.evaluator.deliver(parse_payload(with_junk(document)))
    assert guarded.control.calls == [("stop", "alert", f"The alert Stop fires ({summary(document)})")]
    refused = {each.reason: each.count for each in guarded.second().refused_alerts}
    assert refused == {
        "status": 3 * 2 * 3,
        "labels": 3 * 2 * 6,
        "fingerprint": 3 * 2 * 2,
        "starts_at": 3 * 2 * 3,
    }
    logged = [record.message for record in caplog.records if "Refused alerts" in record.message]
    assert len(logged) == len(refused), "each reason once"
    assert logged[0] == (
        "Refused alerts: alerts[0]: status is missing; it must be firing or resolved."
        " Further refusals for this reason (status) are only counted."
    )


def summary(document: dict) -> str:
    annotations = document["alerts"][0]["annotations"]
    return annotations.get("summary") or annotations["description"]


def test_1001_alerts_are_all_evaluated_and_few_are_annotated(caplog: pytest.LogCaptureFixture) -> None:
    guarded = GuardedRun(Guard('alert(severity="page") > 1000', "notify"), on_alert="notify")
    caplog.set_level(logging.WARNING)
    alerts = [
        {**ALERTMANAGER["alerts"][0], "fingerprint": str(number), **at(600, severity="page", number=str(number))}
        for number in range(1001)
    ]
    alerts[-1]["labels"] = {**alerts[-1]["labels"], "obswarm_action": "stop"}
    verdicts = guarded.evaluator.deliver(parse_payload(json.dumps({**ALERTMANAGER, "alerts": alerts}).encode()))
    assert len(verdicts) == 1001
    assert guarded.control.calls == [("stop", "alert", "The alert TooManyErrors fires (errors)")]
    assert [record.message for record in caplog.records][20:] == [
        "The alert TooManyErrors fires (errors). Action: stop (its label obswarm_action).",
        "980 more alerts fire at the same time. Action: notify.",
    ]
    assert len(guarded.notes) == 22
    snapshot = guarded.second()
    assert (snapshot.guards[0].value, snapshot.guards[0].state) == (1001, "tripped")
    assert snapshot.alerts == (AlertCount("TooManyErrors", "firing", "alertmanager", 1001),)
    assert snapshot.refused_alerts == ()


def test_an_alert_may_fire_and_be_resolved_in_one_delivery() -> None:
    guarded = GuardedRun(on_alert="hold")
    fires = {**ALERTMANAGER["alerts"][0], **at(600)}
    other = {**fires, "fingerprint": "other"}
    alerts = [fires, other, {**other, "status": "resolved"}, {**fires, "status": "resolved"}, other]
    guarded.evaluator.deliver(parse_payload(json.dumps({**ALERTMANAGER, "alerts": alerts}).encode()))
    assert guarded.control.calls == ["hold", "hold", "release", "hold"]
    assert [id_of(by) for by in guarded.control.in_force] == [("other",)]


def test_at_most_a_thousand_alert_names_become_series() -> None:
    guarded = GuardedRun(on_alert="notify")
    alerts = [
        {**ALERTMANAGER["alerts"][0], "fingerprint": str(number), "labels": {"alertname": f"A{number}"}}
        for number in range(1500)
    ]
    guarded.evaluator.deliver(parse_payload(json.dumps({**ALERTMANAGER, "alerts": alerts}).encode()))
    counts = {each.alertname: each.count for each in guarded.second().alerts}
    assert (len(counts), counts["(others)"], sum(counts.values())) == (1001, 500, 1500)


def test_truncated_alerts_are_in_the_result() -> None:
    guarded = GuardedRun()
    guarded.evaluator.alert_counts.refuse([Refusal(RefusalReason.TRUNCATED, "7 alerts left out", 7)])
    guarded.evaluator.alert_counts.refuse([Refusal(RefusalReason.TRUNCATED, "2 alerts left out", 2)])
    (refused,) = guarded.second().refused_alerts
    assert (refused.reason, refused.count, refused.example) == ("truncated", 9, "7 alerts left out")


def test_an_alert_that_fires_since_the_grace_counts_after_it() -> None:
    guarded = GuardedRun(Guard('alert(severity="page")', "stop"), on_alert="notify")
    guarded.wall_s = STARTED_S + 2
    guarded.evaluator.deliver(parse_payload(payload(ALERTMANAGER, **at(1, severity="page"))))
    for _ in range(7):
        guarded.second(good=1)
    assert guarded.control.calls == []
    guarded.second(good=1)
    assert [call[:2] for call in guarded.control.calls] == [("stop", "guard")]


def test_a_start_that_moves_back_and_forth_neither_scales_again_nor_releases_the_scale() -> None:
    guarded = GuardedRun(on_alert="scale(50%)")
    guarded.evaluator.deliver(parse_payload(payload(ALERTMANAGER, **at(599))))
    before = list(guarded.control.calls)
    scaled = dict(guarded.control.in_force)
    assert len(before) == len(scaled) == 1
    for seconds in (598.6, 599, 598.6):
        guarded.evaluator.deliver(parse_payload(payload(ALERTMANAGER, **at(seconds))))
    assert (guarded.control.calls, guarded.control.in_force) == (before, scaled)
    guarded.evaluator.deliver(parse_payload(payload(ALERTMANAGER, **at(620))))
    assert guarded.control.calls == before * 2, "it fires once more"
    assert len(guarded.control.in_force) == 1
    assert guarded.control.in_force != scaled


def test_of_many_alerts_that_count_after_the_grace_few_are_annotated(caplog: pytest.LogCaptureFixture) -> None:
    guarded = GuardedRun()
    guarded.wall_s = STARTED_S + 8
    alerts = [{**ALERTMANAGER["alerts"][0], "fingerprint": str(number), **at(1)} for number in range(300)]
    guarded.evaluator.deliver(parse_payload(json.dumps({**ALERTMANAGER, "alerts": alerts}).encode()))
    caplog.clear()
    guarded.second(good=1)
    guarded.second(good=1)
    assert [call[:2] for call in guarded.control.calls][:1] == [("stop", "alert")]
    assert len(caplog.messages) == 21
    assert caplog.messages[-1] == "280 more alerts fire at the same time. Action: stop."
