"""What Grafana, and what stands in its place by mistake, comes to: a sentence."""

import click
import pytest
import requests
from click.testing import CliRunner

from obswarm.api import ObswarmError
from obswarm.cli.alerts import alerts
from obswarm.cli.dashboards import dashboards


def test_a_token_with_a_line_break_is_a_sentence_without_the_token() -> None:
    arguments = ["push", "--grafana-url", "http://127.0.0.1:1", "--grafana-token", "PLANTED\nb"]
    error = CliRunner().invoke(dashboards, arguments).exception
    assert isinstance(error, ObswarmError)
    assert "--grafana-token contains an invalid character" in str(error)
    assert "PLANTED" not in str(error)


SHAPES = [b"", b"null", b"[]", b"[3]", b"[{}]", b'[{"title": 3}]', b'[{"title": "obswarm"}]', b"{}", b'{"uid": 3}']
SHAPES += [b"<html><title>Log in</title>", b"[" * 100_000, b"9" * 6000, b'{"alerts": [3]}', b'{"alerts": [{}]}']


@pytest.mark.parametrize("body", SHAPES, ids=range(len(SHAPES)))
@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 500, 502])
@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        (dashboards, ["push", "--grafana-url", "http://there", "--grafana-token", "x"]),
        (alerts, ["test", "--url", "http://there", "--token", "x"]),
    ],
)
def test_any_answer_that_is_none_of_its_own_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, body: bytes, status: int, command: click.Command, arguments: list[str]
) -> None:
    def request(session: object, method: str, url: str, **_: object) -> requests.Response:
        answer = requests.Response()
        answer.status_code, answer._content, answer.url = status, body, url
        answer.request = requests.Request(method, url).prepare()
        return answer

    monkeypatch.setattr("requests.Session.request", request)
    error = CliRunner().invoke(command, arguments).exception
    assert isinstance(error, ObswarmError), error
    text = str(error)
    assert text.startswith(("Grafana at http://there ", "The server at http://there", "http://there"))
    assert len(text) < 600
    assert ("(Log in)" in text) == (status == 200 and body.startswith(b"<html"))
