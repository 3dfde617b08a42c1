"""Who may use the page: credentials, sessions, attempts, origins."""

import base64
from typing import Any

import pytest

from obswarm.web.access import (
    SESSION_S,
    TOKEN_USER,
    Access,
    TooManyAttempts,
    is_from_elsewhere,
    is_own_origin,
)

TOKEN = "a-token-of-24-characters"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def access(clock: Clock) -> Access:
    return Access("ann", "pass:word", TOKEN, clock)


def basic(text: str) -> str:
    return f"Basic {base64.b64encode(text.encode()).decode()}"


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        (basic("ann:pass:word"), True),
        (f"bearer {TOKEN}", True),
        (basic("ann:pass"), False),
        (basic(f"ann:{TOKEN}"), False),
        ("Basic ???", False),
        ("Basic", False),
        ("Bearer pass:word", False),
        ("Bearer \udcff", False),
        ("Digest x", False),
        (None, False),
    ],
)
def test_headers(access: Access, header: str | None, allowed: bool) -> None:
    assert access.allows("1.1.1.1", header) is allowed


def test_without_credentials_everybody_may() -> None:
    assert Access().allows("1.1.1.1", None)
    assert (Access().required, Access().methods) == (False, [])
    assert Access("a", "b").methods == ["password"]
    assert Access(token=TOKEN).methods == ["token"]


def test_a_session_ends_by_logout_and_by_time(access: Access, clock: Clock) -> None:
    cookie, session = access.login("1.1.1.1", "ann", "pass:word", None)
    assert (session.user, access.session(cookie)) == ("ann", session)
    assert access.session(cookie + "x") is None
    access.logout(cookie)
    assert access.session(cookie) is None
    cookie, session = access.login("1.1.1.1", None, None, TOKEN)
    assert session.user == TOKEN_USER
    clock.now += SESSION_S
    assert access.session(cookie) is None


def test_the_number_of_sessions_is_limited_and_the_oldest_ends(access: Access) -> None:
    cookies = [access.login("1.1.1.1", None, None, TOKEN)[0] for _ in range(201)]
    assert access.session(cookies[0]) is None
    assert all(access.session(cookie) for cookie in cookies[1:])


def test_an_address_has_five_attempts_a_minute(access: Access, clock: Clock) -> None:
    for _ in range(5):
        with pytest.raises(PermissionError):
            access.login("1.1.1.1", "ann", "guess", None)
    clock.now += 20
    with pytest.raises(TooManyAttempts) as caught:
        access.login("1.1.1.1", "ann", "pass:word", None)
    assert caught.value.retry_after_s == 40
    with pytest.raises(TooManyAttempts):
        access.allows("1.1.1.1", basic("ann:pass:word"))
    assert access.allows("2.2.2.2", basic("ann:pass:word")), "others are not locked out"
    clock.now += 40
    assert access.allows("1.1.1.1", basic("ann:pass:word"))


def test_many_addresses_together_have_a_limit_too(access: Access, clock: Clock) -> None:
    for number in range(100):
        assert not access.allows(f"10.0.0.{number}", "Bearer guess")
    with pytest.raises(TooManyAttempts):
        access.allows("10.1.0.1", f"Bearer {TOKEN}")
    clock.now += 61
    assert access.allows("10.1.0.1", f"Bearer {TOKEN}")


def test_a_session_needs_no_further_login_during_an_attack(access: Access) -> None:
    cookie, session = access.login("1.1.1.1", None, None, TOKEN)
    for number in range(100):
        access.allows(f"10.0.0.{number}", "Bearer guess")
    assert access.session(cookie) == session


def request(method: str, **headers: str) -> dict[str, Any]:
    return {"REQUEST_METHOD": method, "HTTP_HOST": "localhost:8089", **headers}


@pytest.mark.parametrize(
    ("environ", "own"),
    [
        (request("POST"), True),
        (request("POST", HTTP_ORIGIN="http://localhost:8089"), True),
        (request("POST", HTTP_ORIGIN="http://LOCALHOST:8089"), True),
        (request("POST", HTTP_ORIGIN="http://localhost:9000"), False),
        (request("POST", HTTP_ORIGIN="http://evil.example"), False),
        (request("POST", HTTP_ORIGIN="null"), False),
        (request("GET", HTTP_ORIGIN="http://evil.example"), False),
        (request("POST", HTTP_SEC_FETCH_SITE="cross-site"), False),
        (request("POST", HTTP_SEC_FETCH_SITE="same-site"), False),
        (request("POST", HTTP_SEC_FETCH_SITE="same-origin"), True),
        (request("GET", HTTP_SEC_FETCH_SITE="cross-site"), True),
    ],
)
def test_requests_of_pages_of_other_origins_are_recognised(environ: dict[str, Any], own: bool) -> None:
    assert is_own_origin(environ) is own


def test_links_of_other_pages_are_recognised() -> None:
    assert is_from_elsewhere(request("GET", HTTP_SEC_FETCH_SITE="cross-site"))
    assert not is_from_elsewhere(request("GET"))
    assert not is_from_elsewhere(request("GET", HTTP_SEC_FETCH_SITE="none"))


def test_sessions_go_on_in_another_process_with_the_same_credentials(access: Access, clock: Clock) -> None:
    changes: list[int] = []
    access.on_change = lambda: changes.append(len(access.sessions["sessions"]))
    cookie, session = access.login("a", None, None, TOKEN)
    ended, _ = access.login("a", "ann", "pass:word", None)
    access.logout(ended)
    access.logout(ended)
    assert changes == [1, 2, 1]
    kept = access.sessions
    assert TOKEN not in str(kept)
    clock.now += 7.0
    following = Access("ann", "pass:word", TOKEN, clock)
    following.restore(kept)
    restored = following.session(cookie)
    assert restored is not None
    assert restored.csrf_token == session.csrf_token
    assert following.session(ended) is None
    clock.now += SESSION_S
    assert following.session(cookie) is None
    for user, password, token in (("ann", "pass:word", "another"), ("ann", "other", TOKEN), (None, None, TOKEN)):
        other = Access(user, password, token, clock)
        other.restore(kept)
        assert other.session(cookie) is None


def test_the_time_between_two_processes_counts(access: Access, clock: Clock) -> None:
    cookie, _ = access.login("a", None, None, TOKEN)
    for age_s, is_open in ((SESSION_S - 60, True), (SESSION_S + 60, False)):
        kept = access.sessions
        following = Access("ann", "pass:word", TOKEN, clock)
        following.restore({**kept, "saved_s": kept["saved_s"] - age_s})
        assert (following.session(cookie) is not None) is is_open
