import hashlib
import hmac

import pytest

from obswarm.api import ObswarmError, RequestSigner

KEY = "a key of some length"


@pytest.fixture(autouse=True)
def _now(monkeypatch) -> None:
    monkeypatch.setattr("obswarm.clock.wall", lambda: 1_764_000_000.9)


def test_run_time_and_path_are_signed() -> None:
    headers = RequestSigner(KEY).headers("/problems/7", "run-1")
    expected = hmac.new(KEY.encode(), b"run-1\n1764000000\n/problems/7", hashlib.sha256).hexdigest()
    assert headers == {
        "X-Obswarm-Run": "run-1",
        "X-Obswarm-Time": "1764000000",
        "X-Obswarm-Signature": expected,
    }


def test_the_key_comes_from_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("OBSWARM_SIGNING_KEY", KEY)
    assert RequestSigner.from_environment().headers("/", "r") == RequestSigner(KEY).headers("/", "r")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [(None, "set OBSWARM_SIGNING_KEY"), ("", "set OBSWARM_SIGNING_KEY"), ("short", "16 characters; this one has 5")],
)
def test_no_key_or_a_short_one_is_said(monkeypatch, value: str | None, sentence: str) -> None:
    monkeypatch.delenv("OBSWARM_SIGNING_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("OBSWARM_SIGNING_KEY", value)
    with pytest.raises(ObswarmError, match=sentence):
        RequestSigner.from_environment()


def test_the_key_is_not_shown() -> None:
    assert KEY not in repr(RequestSigner(KEY))
