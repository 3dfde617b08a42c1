"""Access to the page and the API through the application: logins, cookies, CSRF, headers, files."""

import pytest
from flask.testing import FlaskClient

from obswarm.web.access import COOKIE, CSRF_HEADER, Access
from tests.support.stub_test_service import StubTestService, client_of

TOKEN = "a-token-of-24-characters"
LOGIN = "/api/v1/session"


@pytest.fixture
def service() -> StubTestService:
    service = StubTestService()
    service.is_running = True
    return service


@pytest.fixture
def client(service: StubTestService) -> FlaskClient:
    return client_of(service, Access("ann", "secret", TOKEN))


def test_without_access_there_is_the_page_and_nothing_of_the_run(client: FlaskClient) -> None:
    assert client.get("/").status_code == 200
    assert client.get("/static/main.js").status_code == 200
    assert client.get(LOGIN).json == {
        "required": True,
        "methods": ["password", "token"],
        "user": None,
        "csrf_token": None,
    }
    for path in ("/api/v1/status", "/api/v1/events", "/api/v1/openapi.json", "/api/v1/nothing", "/other"):
        answer = client.get(path)
        assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
        assert answer.headers["WWW-Authenticate"].startswith("Basic")
    assert client.post("/api/v1/stop", json={}).status_code == 401
    own = client.get("/api/v1/status", headers={"Sec-Fetch-Mode": "cors"})
    assert "WWW-Authenticate" not in own.headers, "the page shows its own form"


def test_programs_use_a_header(client: FlaskClient, service: StubTestService) -> None:
    assert client.get("/api/v1/status", auth=("ann", "secret")).status_code == 200
    assert client.post("/api/v1/hold", json={}, headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert service.commands == [("hold",)]


def test_a_session_changes_something_only_with_its_csrf_token(client: FlaskClient, service: StubTestService) -> None:
    answer = client.post(LOGIN, json={"user": "ann", "password": "secret"})
    cookie = answer.headers["Set-Cookie"]
    assert answer.status_code == 200
    assert all(part in cookie for part in (COOKIE, "HttpOnly", "SameSite=Strict", "Path=/"))
    token = answer.json["csrf_token"]
    assert client.get(LOGIN).json["user"] == "ann"
    assert client.get("/api/v1/status").status_code == 200
    for headers in ({}, {CSRF_HEADER: "wrong"}, {CSRF_HEADER: "\u00ff"}):
        assert client.post("/api/v1/hold", json={}, headers=headers).status_code == 403
    assert client.delete(LOGIN).status_code == 403
    assert service.commands == []
    assert client.post("/api/v1/hold", json={}, headers={CSRF_HEADER: token}).status_code == 200
    assert client.delete(LOGIN, headers={CSRF_HEADER: token}).status_code == 204
    assert client.get("/api/v1/status").status_code == 401


def test_a_cookie_is_for_tls_alone_if_there_is_tls(client: FlaskClient) -> None:
    answer = client.post(LOGIN, json={"token": TOKEN}, base_url="https://localhost")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.json["user"] == "token"


def test_wrong_logins_are_refused_and_limited(client: FlaskClient) -> None:
    for _ in range(5):
        assert client.post(LOGIN, json={"user": "ann", "password": "guess"}).status_code == 401
    answer = client.post(LOGIN, json={"user": "ann", "password": "secret"})
    assert (answer.status_code, 0 < int(answer.headers["Retry-After"]) <= 60) == (429, True)
    assert client.get("/api/v1/status", auth=("ann", "secret")).status_code == 429


def test_pages_of_other_origins_are_refused(service: StubTestService) -> None:
    client = client_of(service)
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = client.post("/api/v1/stop", json={}, headers=headers)
        assert (answer.status_code, answer.json["title"]) == (403, "Forbidden")
    assert service.commands == []
    assert client.post("/api/v1/stop", json={}, headers={"Origin": "http://localhost"}).status_code == 200
    assert client.post("/api/v1/stop", json={}).status_code == 200


def test_files_have_their_type_an_etag_and_the_policy(client: FlaskClient) -> None:
    answer = client.get("/static/main.js")
    assert answer.content_type == "text/javascript; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe-inline" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get("/static/main.js", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


@pytest.mark.parametrize(
    "name", ["../__init__.py", "..%2f__init__.py", "__init__.py", "missing.js", "", "uplot/uplot.js", "index.html", "%00.js"]
)  # fmt: skip
def test_nothing_else_is_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code in (404, 308)


def test_a_load_tests_routes_need_the_same_access(service: StubTestService) -> None:
    client = client_of(service, Access(token=TOKEN))
    client.application.add_url_rule("/mine", "mine", lambda: "mine")
    assert client.get("/mine").status_code == 401
    assert client.get("/mine", headers={"Authorization": f"Bearer {TOKEN}"}).data == b"mine"
