"""POST /api/v1/alerts: who may, what is understood, and that nothing happens by accident."""

import io
import json

import pytest

from obswarm.guards import GuardBoard, parse_action
from obswarm.web.alerts import LARGEST_BODY_BYTES, AlertsApp
from tests.guards.test_alerts import ALERTMANAGER, GRAFANA, payload
from tests.guards.test_board import Control

TOKEN = "the right one"


@pytest.fixture
def control() -> Control:
    return Control()


@pytest.fixture
def app(control: Control) -> AlertsApp:
    board = GuardBoard([], None, parse_action("stop"))
    board.start(control, 1.0)
    return AlertsApp(board, TOKEN)


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


def test_what_is_too_large_does_nothing_whatever_its_head_says(app: AlertsApp, control: Control) -> None:
    large = payload(ALERTMANAGER, annotations={"summary": "x" * LARGEST_BODY_BYTES})
    assert post(app, large)[0] == 413
    assert post(app, large, length="")[0] == 413
    assert post(app, large, length="10")[0] == 413
    assert control.calls == []


def test_it_is_to_be_posted(app: AlertsApp, control: Control) -> None:
    assert post(app, b"", method="GET")[0] == 405
