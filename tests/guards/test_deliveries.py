"""Deliveries of alerts to a run: what is refused of them is counted, and the rest acts; what is not this run's leads to
nothing, whatever guards and actions there are."""

import json
import logging

import pytest

from obswarm.engine import id_of
from obswarm.guards import Guard, Refusal, RefusalReason, parse_payload
from obswarm.stats import AlertCount
from tests.guards.test_alerts import ALERTMANAGER, GRAFANA, JUNK, STARTED_S, at, payload
from tests.guards.test_evaluator import Course

ACTIONS = ("stop", "abort", "hold", "scale(50%)", "notify")
NOT_OURS = {
    "since 2020": {"startsAt": "2020-01-12T07:51:03Z", "labels": {"alertname": "A", "severity": "page"}},
    "a second before": at(-1, severity="page"),
    "about another run": at(100, severity="page", run_id="20260109-230602-beef"),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("document", [ALERTMANAGER, GRAFANA])
@pytest.mark.parametrize("alert", NOT_OURS.values(), ids=NOT_OURS)
def test_an_alert_that_is_not_of_this_run_is_noted_whatever_asks_for_more(
    alert: dict, document: dict, action: str
) -> None:
    rules = [Guard(f'alert(severity="page"){more}', action, f"g{more}") for more in ("", " >= 1", " for 2s", " != 0")]
    course = Course(*rules, on_alert=action)
    labels = {**alert["labels"], "obswarm_action": action}
    try:
        for number in range(30):
            # Again and again, as Alertmanager delivers it; and another one with the action in its label.
            course.evaluator.deliver(parse_payload(payload(document, **alert)))
            course.evaluator.deliver(
                parse_payload(payload(document, **{**alert, "labels": labels, "fingerprint": "b"}))
            )
            snapshot = course.second(good=1)
            assert [(guard.state, guard.value) for guard in snapshot.guards] == [("ok", 0)] * len(rules), number
    finally:
        course.evaluator.close()
    assert course.control.calls == []
    assert [kind for kind, _ in course.notes] == ["alert", "alert"], "each is noted once"
    assert all("Action: notify" in text for _, text in course.notes)


@pytest.mark.parametrize("action", ACTIONS)
def test_one_of_this_run_makes_guards_act(action: str) -> None:
    course = Course(Guard('alert(severity="page")', action), on_alert="notify")
    course.evaluator.deliver(parse_payload(payload(ALERTMANAGER, **at(599, severity="page"))))
    course.second(good=1)
    assert len(course.control.calls) == (action != "notify")
    assert course.second(good=1).guards[0].state == "tripped"


def with_junk(document: dict) -> bytes:
    good = document["alerts"][0]
    labels = {"alertname": "Stop", "obswarm_action": "stop"}
    junk = [{**good, "labels": {"alertname": "A"}, **changes} if changes else {} for changes, _, _ in JUNK[1:]]
    return json.dumps({**document, "alerts": [*junk, {**good, "labels": labels, **at_now()}, *junk]}).encode()


def at_now() -> dict[str, object]:
    return {"startsAt": at(600)["startsAt"]}


@pytest.mark.parametrize("document", [ALERTMANAGER, GRAFANA])
def test_an_alert_acts_whatever_stands_beside_it(document: dict, caplog: pytest.LogCaptureFixture) -> None:
    course = Course(on_alert="notify")
    caplog.set_level(logging.WARNING)
    for _ in range(3):
        course.evaluator.deliver(parse_payload(with_junk(document)))
    assert course.control.calls == [("stop", "alert", f"The alert Stop fires ({summary(document)})")]
    refused = {each.reason: each.count for each in course.second().refused_alerts}
    assert refused == {
        "status": 3 * 2 * 3,
        "labels": 3 * 2 * 6,
        "fingerprint": 3 * 2 * 2,
        "starts_at": 3 * 2 * 3,
    }
    told = [record.message for record in caplog.records if "Refused of" in record.message]
    assert len(told) == len(refused), "each kind once"
    assert told[0] == (
        "Refused of the alerts that were delivered: alerts[0]: status is missing; it has to be firing or resolved."
        " More of that kind (status) is only counted."
    )


def summary(document: dict) -> str:
    annotations = document["alerts"][0]["annotations"]
    return annotations.get("summary") or annotations["description"]


def test_a_thousand_and_one_alerts_are_each_judged_and_told_of_in_few_words(caplog: pytest.LogCaptureFixture) -> None:
    course = Course(Guard('alert(severity="page") > 1000', "notify"), on_alert="notify")
    caplog.set_level(logging.WARNING)
    alerts = [
        {**ALERTMANAGER["alerts"][0], "fingerprint": str(number), **at(600, severity="page", number=str(number))}
        for number in range(1001)
    ]
    alerts[-1]["labels"] = {**alerts[-1]["labels"], "obswarm_action": "stop"}
    verdicts = course.evaluator.deliver(parse_payload(json.dumps({**ALERTMANAGER, "alerts": alerts}).encode()))
    assert len(verdicts) == 1001
    assert course.control.calls == [("stop", "alert", "The alert TooManyErrors fires (errors)")]
    assert [record.message for record in caplog.records][20:] == [
        "The alert TooManyErrors fires (errors). Action: stop (its label obswarm_action).",
        "980 more alerts fire at the same time. Action: notify.",
    ]
    assert len(course.notes) == 22
    snapshot = course.second()
    assert (snapshot.guards[0].value, snapshot.guards[0].state) == (1001, "tripped")
    assert snapshot.alerts == (AlertCount("TooManyErrors", "firing", "alertmanager", 1001),)
    assert snapshot.refused_alerts == ()


def test_what_an_alert_gave_earlier_in_the_same_delivery_is_taken_back_in_it() -> None:
    course = Course(on_alert="hold")
    fires = {**ALERTMANAGER["alerts"][0], **at(600)}
    other = {**fires, "fingerprint": "other"}
    alerts = [fires, other, {**other, "status": "resolved"}, {**fires, "status": "resolved"}, other]
    course.evaluator.deliver(parse_payload(json.dumps({**ALERTMANAGER, "alerts": alerts}).encode()))
    assert course.control.calls == ["hold", "hold", "release", "hold"]
    assert [id_of(by) for by in course.control.in_force] == [("other",)]


def test_names_of_alerts_become_no_more_than_a_thousand_series() -> None:
    course = Course(on_alert="notify")
    alerts = [
        {**ALERTMANAGER["alerts"][0], "fingerprint": str(number), "labels": {"alertname": f"A{number}"}}
        for number in range(1500)
    ]
    course.evaluator.deliver(parse_payload(json.dumps({**ALERTMANAGER, "alerts": alerts}).encode()))
    counts = {each.alertname: each.count for each in course.second().alerts}
    assert (len(counts), counts["(others)"], sum(counts.values())) == (1001, 500, 1500)


def test_alerts_that_the_sender_left_out_are_in_the_result() -> None:
    course = Course()
    course.evaluator.alert_counts.refuse([Refusal(RefusalReason.TRUNCATED, "7 alerts left out", 7)])
    course.evaluator.alert_counts.refuse([Refusal(RefusalReason.TRUNCATED, "2 alerts left out", 2)])
    (refused,) = course.second().refused_alerts
    assert (refused.reason, refused.count, refused.example) == ("truncated", 9, "7 alerts left out")


def test_one_that_began_in_the_grace_and_lasts_counts_when_that_is_over() -> None:
    course = Course(Guard('alert(severity="page")', "stop"), on_alert="notify")
    course.wall_s = STARTED_S + 2
    course.evaluator.deliver(parse_payload(payload(ALERTMANAGER, **at(1, severity="page"))))
    for _ in range(7):
        course.second(good=1)
    assert course.control.calls == []
    course.second(good=1)
    assert [call[:2] for call in course.control.calls] == [("stop", "guard")]


def test_a_start_that_wobbles_neither_scales_again_nor_takes_the_scale_back() -> None:
    course = Course(on_alert="scale(50%)")
    course.evaluator.deliver(parse_payload(payload(ALERTMANAGER, **at(599))))
    before = list(course.control.calls)
    scaled = dict(course.control.in_force)
    assert len(before) == len(scaled) == 1
    for seconds in (598.6, 599, 598.6):
        course.evaluator.deliver(parse_payload(payload(ALERTMANAGER, **at(seconds))))
    assert (course.control.calls, course.control.in_force) == (before, scaled)
    course.evaluator.deliver(parse_payload(payload(ALERTMANAGER, **at(620))))
    assert course.control.calls == before * 2, "it fires once more"
    assert len(course.control.in_force) == 1
    assert course.control.in_force != scaled


def test_many_that_count_once_the_grace_is_over_are_told_of_in_few_words(caplog: pytest.LogCaptureFixture) -> None:
    course = Course()
    course.wall_s = STARTED_S + 8
    alerts = [{**ALERTMANAGER["alerts"][0], "fingerprint": str(number), **at(1)} for number in range(300)]
    course.evaluator.deliver(parse_payload(json.dumps({**ALERTMANAGER, "alerts": alerts}).encode()))
    caplog.clear()
    course.second(good=1)
    course.second(good=1)
    assert [call[:2] for call in course.control.calls][:1] == [("stop", "alert")]
    assert len(caplog.messages) == 21
    assert caplog.messages[-1] == "280 more alerts fire at the same time. Action: stop."
