"""POST /api/v1/alerts: who may, what is understood, and that nothing happens by accident."""

import io
import json
import logging

import pytest

from obswarm.guards import TOO_MANY, GuardEvaluator, parse_action
from obswarm.web.alerts import LARGEST_BODY_BYTES, AlertsApp
from tests.guards.test_alerts import ALERTMANAGER, GRAFANA, payload
from tests.guards.test_evaluator import Control

TOKEN = "the right one"


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture
def evaluator(control: Control) -> GuardEvaluator:
    made = GuardEvaluator([], None, parse_action("stop"))
    made.start(control, 1.0)
    return made


@pytest.fixture
def app(evaluator: GuardEvaluator) -> AlertsApp:
    return AlertsApp(evaluator, TOKEN)


def post(
    app: AlertsApp, body: bytes, token: str | None = TOKEN, method: str = "POST", length: object = None, query: str = ""
):
    environ = {
        "REQUEST_METHOD": method,
        "CONTENT_LENGTH": str(len(body)) if length is None else length,
        "wsgi.input": io.BytesIO(body),
        "QUERY_STRING": query,
    }
    if token is not None:
        environ["HTTP_AUTHORIZATION"] = token if token.startswith("Basic") else f"Bearer {token}"
    started = []
    document = b"".join(app(environ, lambda status, headers: started.append((status, dict(headers)))))
    return int(started[0][0].split()[0]), json.loads(document), started[0][1]


@pytest.mark.parametrize("document", [ALERTMANAGER, GRAFANA])
def test_both_formats_stop_the_run(app: AlertsApp, control: Control, document: dict) -> None:
    code, answer, _ = post(app, payload(document))
    assert code == 200
    assert answer["alerts"][0]["action"] == "stop"
    assert control.calls[0][:2] == ("stop", "alert")


def test_a_dry_run_does_nothing(app: AlertsApp, control: Control) -> None:
    code, answer, _ = post(app, payload(ALERTMANAGER), query="dry_run=1")
    assert (code, answer["dry_run"], answer["alerts"][0]["action"], control.calls) == (200, True, "stop", [])


@pytest.mark.parametrize("token", [None, "", "wrong", TOKEN + "!", "Basic dGhlOnJpZ2h0", "\udcff"])
def test_without_the_token_nothing_happens(app: AlertsApp, control: Control, token: str | None) -> None:
    code, _, headers = post(app, payload(ALERTMANAGER), token)
    assert (code, control.calls) == (401, [])
    assert headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"alerts": [{"status": "firing"}]}', b"\x00" * 1000])
def test_what_is_no_payload_does_nothing(app: AlertsApp, control: Control, body: bytes) -> None:
    code, answer, _ = post(app, body)
    assert (code, control.calls) == (400, [])
    assert answer["error"]


def test_what_can_be_read_acts_and_the_answer_says_what_was_refused(app: AlertsApp, control: Control) -> None:
    body = json.dumps({**ALERTMANAGER, "alerts": [{"status": "firing"}, ALERTMANAGER["alerts"][0]]}).encode()
    code, answer, _ = post(app, body, query="dry_run=1")
    assert (code, [each["action"] for each in answer["alerts"]], control.calls) == (200, ["stop"], [])
    code, answer, _ = post(app, body)
    assert (code, [each["action"] for each in answer["alerts"]], len(control.calls)) == (200, ["stop"], 1)
    assert (answer["refused"], answer["refused_because"]) == (1, ["alerts[0]: labels is not an object of texts"])


def test_an_empty_delivery_and_one_of_which_all_was_left_out_are_fine(app: AlertsApp, control: Control) -> None:
    for document, refused in (({"alerts": []}, 0), ({"alerts": [], "truncatedAlerts": 3}, 3)):
        code, answer, _ = post(app, json.dumps(document).encode())
        assert (code, answer["refused"], control.calls) == (200, refused, [])


def test_each_reason_for_a_refusal_is_counted_and_logged_once(
    evaluator: GuardEvaluator, app: AlertsApp, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    large = b" " * LARGEST_BODY_BYTES + payload(ALERTMANAGER)
    for _ in range(2):
        for body, token in ((b"{", TOKEN), (b"{}", TOKEN), (large, TOKEN), (payload(ALERTMANAGER), "wrong")):
            assert post(app, body, token)[0] // 100 == 4
        assert post(app, b'{"alerts": [5, 5]}')[0] == 400
        assert post(app, b'{"alerts": [5]}', query="dry_run=1")[0] == 400
    counts = {each.reason: each.count for each in evaluator.alert_counts.refused}
    assert counts == {"not_json": 2, "no_alerts": 2, "too_large": 2, "token": 2, "no_object": 4}
    assert len(caplog.messages) == len(counts)
    assert "a delivery without the right bearer token" in caplog.text
    assert "a delivery of more than 4.0 MiB; limit it by max_alerts of its webhook" in caplog.text


def test_a_test_request_is_no_delivery(evaluator: GuardEvaluator, app: AlertsApp) -> None:
    assert post(app, payload(ALERTMANAGER), "wrong", query="dry_run=1")[0] == 401
    assert post(app, b" " * LARGEST_BODY_BYTES + payload(ALERTMANAGER), query="dry_run=1")[0] == 413
    assert evaluator.alert_counts.refused == ()


def many(count: int, first: int = 0, **labels: str) -> bytes:
    one = ALERTMANAGER["alerts"][0]
    one = {**one, "labels": {**one["labels"], "obswarm_action": "notify", **labels}}
    return json.dumps({"alerts": [{**one, "fingerprint": str(first + number)} for number in range(count)]}).encode()


@pytest.mark.parametrize("idle", [False, True])
def test_what_there_is_no_room_for_is_said_and_counted_and_a_stop_takes_the_place_of_others(
    evaluator: GuardEvaluator, idle: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("obswarm.guards.alerts.MAX_FIRING", 100)
    app = AlertsApp(None if idle else evaluator, TOKEN)
    code, answer, _ = post(app, many(101), query="dry_run=1")
    assert (code, answer["refused"], app.refused) == (200, 1, ())
    code, answer, _ = post(app, many(107))
    because = f"TooManyErrors: {TOO_MANY}"
    assert (code, answer["refused"], answer["refused_because"]) == (200, 7, [because] * 7)
    assert [each["reason"] == TOO_MANY for each in answer["alerts"]] == [False] * 100 + [True] * 7
    code, answer, _ = post(app, many(1, 500, obswarm_action="stop", alertname="OurStop"))
    assert (code, answer["refused"]) == (200, 0)
    (refused,) = app.refused
    assert (refused.reason, refused.count, refused.example) == ("too_many", 8, because)
    assert ("OurStop" in {alert.name for alert in app.firing}, len(app.firing)) == (True, 100)
    assert len([text for text in caplog.messages if because in text]) == 1


def test_what_was_refused_between_two_runs_is_in_the_next_ones_figures(evaluator: GuardEvaluator) -> None:
    app = AlertsApp(None, TOKEN)
    post(app, payload(ALERTMANAGER), "wrong")
    post(app, b"{")
    post(app, json.dumps({"alerts": [5, ALERTMANAGER["alerts"][0]]}).encode())
    expected = {"token": 1, "not_json": 1, "no_object": 1}
    later = AlertsApp(None, TOKEN)
    later.restore(app.known)
    evaluator.deliver(later.known)
    for refused in (app.refused, later.refused, evaluator.alert_counts.refused):
        assert {each.reason: each.count for each in refused} == expected
    assert [alert.name for alert in evaluator.alerts.firing] == ["TooManyErrors"]


def test_between_two_runs_one_that_cannot_be_read_costs_no_other() -> None:
    app = AlertsApp(None, TOKEN)
    body = json.dumps({**ALERTMANAGER, "alerts": [5, ALERTMANAGER["alerts"][0]]}).encode()
    assert post(app, body)[0] == 200
    assert [alert.name for alert in app.firing] == ["TooManyErrors"]


def test_what_is_too_large_does_nothing_whatever_its_head_says(app: AlertsApp, control: Control) -> None:
    large = payload(ALERTMANAGER, annotations={"summary": "x" * LARGEST_BODY_BYTES})
    assert post(app, large)[0] == 413
    assert post(app, large, length="")[0] == 413
    assert post(app, large, length="10")[0] == 413
    assert control.calls == []


def test_alerts_are_accepted_by_post_alone(app: AlertsApp, control: Control) -> None:
    assert post(app, b"", method="GET")[0] == 405
