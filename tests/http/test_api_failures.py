"""Sentences about the APIs of others: one for each thing that can go wrong, whoever asks."""

import pytest
import requests
from requests import exceptions

from obswarm.http import ApiAccess, ApiSession, ApiTarget, failure_of, trouble_of
from obswarm.http.api_client.access import named
from obswarm.metrics import Receiver, RemoteWriter, SnapshotRegistry
from obswarm.metrics.remote_write import Batch
from obswarm.record import Annotation
from obswarm.report import GrafanaAnnotations
from obswarm.targets import Target, field_of_target

URL = "http://127.0.0.1:9"
OPTIONS = ApiTarget(URL, ApiAccess(), lambda name: f"--x-{name}")
TOKEN_ALONE = ApiTarget(URL, ApiAccess(), lambda name: "--token" if name == "token" else "")
NOTHING = ApiTarget(URL, ApiAccess(), lambda name: "")
HTML = b"<!doctype html><title>Log in</title>"


def answer(status: int, body: bytes = b"", method: str = "POST", posted: bool = True) -> requests.Response:
    """To a request that was posted, with `posted`, and came to be one of another method."""
    made = requests.Response()
    made.status_code, made._content, made.url = status, body, URL
    made.request = requests.Request(method, URL).prepare()
    if posted and method != "POST":
        made.history = [answer(302)]
    return made


def test_fields_that_can_be_set_are_named_as_in_a_sentence() -> None:
    of_target = field_of_target(Target("mysql", URL, "mysql"))
    assert named(of_target, "auth", "token", "token_file") == "auth, token or token_file of the target mysql"
    assert named(OPTIONS.naming, "auth", "token", "token_file") == "--x-auth, --x-token or --x-token_file"
    assert named(TOKEN_ALONE.naming, "auth", "token", "token_file") == "--token"
    assert named(NOTHING.naming, "auth", "token") == ""


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("asked", [OPTIONS, TOKEN_ALONE, NOTHING])
def test_refused_credentials_name_the_options_for_them(status: int, asked: ApiTarget) -> None:
    failure = trouble_of(answer(status), asked, "")
    assert failure is not None
    setting = named(asked.naming, "auth", "token", "token_file")
    assert (f"; give {setting} (HTTP {status})" in failure.text) == bool(setting)
    assert ("give" in failure.text) == bool(setting)


@pytest.mark.parametrize(
    ("got", "text"),
    [
        (answer(200, HTML), "answers with a page of HTML (Log in)"),
        (answer(200, HTML, "GET"), f"(Log in), to which it redirects ({URL})"),
        (answer(200, b"{}", "GET"), f"redirects to {URL}, by which what was sent is lost: give that URL"),
        (answer(204, b"", "GET"), "by which what was sent is lost"),
        (answer(404), "is not there (HTTP 404)"),
        (answer(502), "is not reached by the proxy or load balancer in front of it (HTTP 502)"),
        (answer(500, b"boom"), "failed (HTTP 500: boom)"),
    ],
)
def test_what_does_not_take_what_is_sent_is_no_success_for_any_sender(
    got: requests.Response, text: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failure = trouble_of(got, NOTHING, "is not there", may_be_empty=True)
    assert failure is not None
    assert text in failure.text
    monkeypatch.setattr("requests.Session.request", lambda *_, **__: got)
    writer, latest = _writer()
    is_done = writer._send(Batch(b"x", 3))
    writer._publish_counts()
    assert latest.pushed is not None
    assert (latest.pushed.sent, latest.pushed.lost["refused"]) == (0, 3 if is_done else 0)
    assert is_done == (got.status_code < 500)
    GrafanaAnnotations(URL, "token")._send(Annotation(1.0, "start", "text"))
    said = [record.getMessage() for record in caplog.records]
    assert [each.split(":")[0] for each in said] == ["--remote-write", "An annotation could not be sent to http"]
    if got.status_code == 204:
        assert text in said[0]
    elif got.status_code != 404:
        assert all(text in each for each in said)


def _writer() -> tuple[RemoteWriter, SnapshotRegistry]:
    latest = SnapshotRegistry()
    return RemoteWriter(Receiver(URL), latest), latest


@pytest.mark.parametrize("got", [answer(200), answer(204), answer(200, b"{}"), answer(202, b"ok")])
def test_a_receiver_may_answer_success_with_anything_but_a_page(
    got: requests.Response, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("requests.Session.request", lambda *_, **__: got)
    writer, latest = _writer()
    assert writer._send(Batch(b"x", 3))
    writer._publish_counts()
    assert latest.pushed is not None
    assert (latest.pushed.sent, latest.pushed.lost["refused"]) == (3, 0)


@pytest.mark.parametrize("location", ["http://[::", "http://[x]/", "//[", "ftp://a/"])
def test_a_redirect_to_no_url_is_a_failure_with_a_sentence(location: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def send(adapter: object, request: requests.PreparedRequest, **_: object) -> requests.Response:
        got = answer(302)
        got.url, got.request, got.raw = str(request.url), request, _Raw()
        got.headers["Location"] = location
        return got

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
    with ApiSession(1000, 5.0, trust_env=False) as session, pytest.raises(requests.RequestException) as raised:
        session.get(URL)
    failure = failure_of(raised.value, OPTIONS, 1.0)
    assert failure.lasts
    assert failure.text.startswith("leads to what is no URL of HTTP: ")


@pytest.mark.parametrize("token", ["a\nb", "a\rb", "a\0b", "a→b", "\ud83d"])
@pytest.mark.parametrize("late", [False, True])
def test_a_header_that_cannot_be_sent_is_a_sentence_without_its_value(token: str, late: bool) -> None:
    headers = {"Authorization": f"Bearer {token}"}

    def added(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(headers)
        return request

    with ApiSession(1000, 5.0, trust_env=False) as session, pytest.raises(requests.RequestException) as raised:
        session.get("http://127.0.0.1:1/", headers={} if late else headers, auth=added)
    failure = failure_of(raised.value, OPTIONS, 1.0)
    assert failure.lasts
    assert failure.text == "gets no request: a token or header has a character that cannot be sent"


class _Raw:
    def stream(self, *_: object, **__: object) -> list[bytes]:
        return []

    def close(self) -> None: ...

    def release_conn(self) -> None: ...


def test_a_socks_proxy_without_its_library_is_named_as_the_reason() -> None:
    error = exceptions.InvalidSchema("Missing dependencies for SOCKS support.")
    failure = failure_of(error, OPTIONS, 1.0)
    assert failure.lasts
    assert (
        failure.text
        == "gets no request: a SOCKS proxy (--x-proxy, HTTP_PROXY or HTTPS_PROXY) needs PySocks: pip install pysocks"
    )
    assert "(HTTP_PROXY or HTTPS_PROXY)" in failure_of(error, TOKEN_ALONE, 1.0).text


def test_certificates_that_are_missing_name_the_options_that_there_are() -> None:
    untrusted = exceptions.SSLError("certificate verify failed: self-signed certificate (_ssl.c:1)")
    wanted = exceptions.SSLError("[SSL: X] certificate required (_ssl.c:1)")
    assert "by --x-ca_file or REQUESTS_CA_BUNDLE" in failure_of(untrusted, OPTIONS, 1.0).text
    assert failure_of(untrusted, TOKEN_ALONE, 1.0).text.endswith("its authority's by REQUESTS_CA_BUNDLE")
    assert "name it by --x-cert_file and --x-key_file" in failure_of(wanted, OPTIONS, 1.0).text
    assert failure_of(wanted, TOKEN_ALONE, 1.0).text == "wants a client certificate (certificate required)"
