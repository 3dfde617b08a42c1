"""The contest's protections, and that what obswarm signs passes them: neither knows the other's code."""

import importlib.util
import json
from collections import Counter
from typing import Any

import pytest

from obswarm.api import RequestSigner
from tests.support.programs import ROOT

KEY = "a key of some length"
NOW_S = 1_764_000_000.5


@pytest.fixture(scope="module")
def protection() -> Any:
    path = ROOT / "examples" / "contest" / "app" / "protection.py"
    spec = importlib.util.spec_from_file_location("contest_protection", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Site:
    """The middlewares around an application that tells who is privileged; the clock stands still unless moved."""

    def __init__(self, protection: Any, key: str = KEY) -> None:
        self.now_s = NOW_S
        self.counts: Counter[str] = Counter()
        self.refused: list[str] = []
        inner = protection.RateLimit(
            self._application, self._count, limit=3, period_s=10, clock=lambda: self.now_s, refused=self.refused.append
        )
        self._site = protection.LoadTestPass(
            inner, key, window_s=60, clock=lambda: self.now_s, refused=self.refused.append
        )

    def _count(self, key: str, period_s: float) -> int:
        self.counts[key] += 1
        return self.counts[key]

    @staticmethod
    def _application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [environ.get("obswarm.run_id", "nobody").encode()]

    def get(
        self, path: str, headers: dict[str, str] | None = None, address: str = "10.0.0.1", **more: str
    ) -> tuple[str, bytes]:
        environ = {
            "REQUEST_METHOD": "GET",
            "REQUEST_URI": path,
            "PATH_INFO": path.partition("?")[0],
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_X_FORWARDED_FOR": address,
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()},
            **more,
        }
        status: list[str] = []
        body = self._site(environ, lambda line, headers: status.append(line))
        return status[0], b"".join(body)


@pytest.fixture
def site(protection: Any) -> Site:
    return Site(protection)


@pytest.fixture(autouse=True)
def _signed_now(monkeypatch) -> None:
    monkeypatch.setattr("obswarm.clock.wall", lambda: NOW_S)


def signed(path: str, run_id: str = "run-1", key: str = KEY) -> dict[str, str]:
    return RequestSigner(key).headers(path, run_id)


def test_unsigned_requests_meet_the_limit_and_another_address_has_its_own(site: Site) -> None:
    assert [site.get("/problems")[0] for _ in range(4)] == ["200 OK"] * 3 + ["429 Too Many Requests"]
    assert site.get("/problems", address="10.0.0.2")[0] == "200 OK"
    assert site.refused == ["rate limit"]


def test_the_limit_is_one_of_a_period(site: Site) -> None:
    for _ in range(4):
        site.get("/problems")
    site.now_s += 10
    assert site.get("/problems")[0] == "200 OK"


def test_health_checks_are_not_limited(site: Site) -> None:
    assert {site.get("/health")[0] for _ in range(10)} == {"200 OK"}


def test_signed_requests_pass_the_limit_and_are_known_by_their_run(site: Site) -> None:
    for _ in range(10):
        assert site.get("/problems/7?page=2", signed("/problems/7")) == ("200 OK", b"run-1")
    assert not site.counts


def test_a_path_is_signed_as_it_is_sent(site: Site) -> None:
    assert site.get("/caf%C3%A9", signed("/caf%C3%A9"))[0] == "200 OK"
    # A server that does not tell the request line: the path is encoded again.
    plain = {"REQUEST_URI": "", "PATH_INFO": "/café".encode().decode("latin-1")}
    assert site.get("/", signed("/caf%C3%A9"), **plain)[0] == "200 OK"


@pytest.mark.parametrize("moved_s", [-59, 59])
def test_within_the_window_a_signature_is_good(site: Site, moved_s: float) -> None:
    site.now_s += moved_s
    assert site.get("/", signed("/"))[0] == "200 OK"


@pytest.mark.parametrize("moved_s", [-62, 62, 86_400])
def test_outside_of_the_window_it_is_not(site: Site, moved_s: float) -> None:
    site.now_s += moved_s
    status, body = site.get("/", signed("/"))
    assert status == "401 Unauthorized"
    assert "old" in json.loads(body)["error"]
    assert site.refused == ["signature"]


@pytest.mark.parametrize(
    "altered",
    [
        {"X-Obswarm-Run": "run-2"},
        {"X-Obswarm-Time": str(int(NOW_S) + 1)},
        {"X-Obswarm-Time": "soon"},
        {"X-Obswarm-Time": ""},
        {"X-Obswarm-Signature": "0" * 64},
        {"X-Obswarm-Signature": "ü"},
    ],
    ids=lambda each: "-".join(each.items().__iter__().__next__()),
)
def test_altered_signatures_do_not_pass(site: Site, altered: dict[str, str]) -> None:
    status, _ = site.get("/", {**signed("/"), **altered})
    assert status == "401 Unauthorized"


def test_a_signature_is_good_for_its_path_and_key_only(site: Site) -> None:
    assert site.get("/other", signed("/"))[0] == "401 Unauthorized"
    assert site.get("/", signed("/", key="another key, also long"))[0] == "401 Unauthorized"


def test_nobody_can_say_that_he_is_privileged_without_a_signature(protection: Any, site: Site) -> None:
    assert site.get("/", {}, **{"obswarm.run_id": "run-1"}) == ("200 OK", b"nobody")
    unkeyed = Site(protection, key="")
    assert unkeyed.get("/", signed("/")) == ("200 OK", b"nobody")


def test_the_question_at_login(protection: Any) -> None:
    now_s = [NOW_S]
    captcha = protection.Captcha("key", clock=lambda: now_s[0])
    requested = captcha.ask()
    one, other = (int(number) for number in requested["question"].removesuffix(" = ?").split(" + "))
    assert captcha.is_right(requested["id"], one + other)
    assert captcha.is_right(requested["id"], str(one + other))
    assert not captcha.is_right(requested["id"], one + other + 1)
    assert not captcha.is_right(requested["id"].replace(".", "0.", 1), one + other)
    for number, answer in ((None, None), ("", 1), ("a.b.c", 1), (requested["id"], "many"), (7, 7)):
        assert not captcha.is_right(number, answer)
    now_s[0] += 301
    assert not captcha.is_right(requested["id"], one + other)
