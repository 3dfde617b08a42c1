"""The page of a program that makes its runs itself: `environment.create_web_ui`."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from obswarm import LoadTestShape, ObswarmError, User, constant, task
from obswarm.locust.env import Environment
from obswarm.locust.web import WebUI
from tests.support.patience import wait_until


class Visitor(User):
    wait_time = constant(0.01)

    @task
    def page(self) -> None:
        with self.environment.request("GET", "/page"):
            pass


class Buyer(Visitor):
    pass


def refusal(request: Callable[[], Any]) -> tuple[int, str]:
    """Return status and body of the answer to a request that is refused."""
    with pytest.raises(HTTPError) as error:
        request()
    with error.value as answer:
        return answer.code, answer.read().decode()


class Site:
    """A program with a runner and a page."""

    def __init__(self, **options: Any) -> None:
        self.environment = Environment(user_classes=[Visitor, Buyer], **options)
        self.runner = self.environment.create_local_runner()
        self.page = self.environment.create_web_ui("127.0.0.1", 0)
        self.page.app.add_url_rule("/mine", "mine", lambda: "mine")

    def ask(self, path: str, body: object = None, form: dict[str, object] | None = None) -> Any:
        data, kind = None, "application/json"
        if form is not None:
            data, kind = urlencode(form).encode(), "application/x-www-form-urlencoded"
        elif body is not None:
            data = json.dumps(body).encode()
        request = Request(f"http://127.0.0.1:{self.page.port}{path}", data, {"Content-Type": kind})
        with urlopen(request) as answer:
            text = answer.read().decode()
        return json.loads(text) if answer.headers["Content-Type"].startswith("application/json") else text

    def refused(self, path: str, body: object) -> str:
        """Return why a request is refused."""
        return str(json.loads(refusal(lambda: self.ask(path, body))[1])["detail"])


@pytest.fixture
def made() -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def make(**options: Any) -> Site:
        sites.append(Site(**options))
        return sites[-1]

    yield make
    for site in sites:
        site.runner.stop()
        site.page.stop()


@pytest.fixture
def site(made: Callable[..., Site]) -> Site:
    return made()


def test_the_page_starts_runs_of_the_programs_runner_by_locusts_paths(site: Site) -> None:
    for users in (3, 2):
        form = {"user_count": users, "spawn_rate": 1000, "host": "http://127.0.0.1:1"}
        assert site.ask("/swarm", form=form)["success"] is True
        wait_until(lambda users=users: site.runner.user_count == users)
        wait_until(lambda: site.environment.stats.total.num_requests > 10)
        assert site.ask("/stats/requests")["state"] in ("spawning", "running")
        assert site.ask("/stop")["success"] is True
        wait_until(lambda: site.runner.state == "stopped")
    assert site.environment.host == "http://127.0.0.1:1"
    assert site.ask("/stats/requests")["stats"][0]["name"] == "/page"
    assert "<!doctype html>" in site.ask("/").lower()
    assert site.ask("/mine") == "mine"


def test_a_run_that_the_program_starts_is_on_the_page_and_in_the_metrics(site: Site) -> None:
    site.runner.start(2, 1000)
    wait_until(lambda: site.ask("/api/v1/status")["users"] == 2)
    wait_until(lambda: 'obswarm_requests_total{method="GET",name="/page"' in site.ask("/metrics"))
    site.runner.stop()
    wait_until(lambda: site.ask("/api/v1/status")["exit_code"] == 0)


def test_a_run_ends_after_its_time_and_has_the_classes_that_it_was_given(site: Site) -> None:
    run_id = site.ask("/api/v1/start", {"users": 4, "spawn_rate": 1000, "run_time": "0.3s", "user_classes": ["Buyer"]})
    assert run_id["run_id"]
    wait_until(lambda: site.runner.user_classes_count == {"Visitor": 0, "Buyer": 4})
    wait_until(lambda: site.runner.state == "stopped")


def test_a_shape_of_the_environment_is_followed(made: Callable[..., Site]) -> None:
    class Three(LoadTestShape):
        def tick(self) -> tuple[int, float] | None:
            return (3, 1000) if self.get_run_time() < 0.5 else None

    site = made(shape_class=Three())
    assert "shape" in site.ask("/swarm", form={})["message"]
    wait_until(lambda: site.runner.user_count == 3)
    wait_until(lambda: site.runner.state == "stopped")


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"users": 1, "tags": ["a"]}, "tags: the program sets that itself"),
        ({"users": 1, "user_classes": ["Ghost"]}, "user_classes: Ghost is none of Visitor"),
        ({"users": 1, "host": "no url"}, "host: "),
        ({"users": 1, "run_time": "soon"}, "run_time: "),
    ],
)
def test_what_a_run_cannot_have_is_refused_with_a_reason(site: Site, request_: object, reason: str) -> None:
    assert reason in site.refused("/api/v1/start", request_)
    assert site.runner.state == "ready"


def test_a_page_without_a_runner_says_so() -> None:
    environment = Environment(user_classes=[Visitor])
    page = WebUI(environment, "127.0.0.1", 0)
    try:
        assert environment.web_ui is page
        url = f"http://127.0.0.1:{page.port}/api/v1/start"
        code, text = refusal(lambda: urlopen(Request(url, b"{}", {"Content-Type": "application/json"})))
        assert (code, "create_local_runner" in text) == (409, True)
    finally:
        page.stop()


def test_an_address_that_others_reach_needs_access_control(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment = Environment(user_classes=[Visitor])
    with pytest.raises(ObswarmError, match="OBSWARM_WEB_AUTH"):
        environment.create_web_ui("0.0.0.0", 0)
    assert environment.create_web_ui(port=0, delayed_start=True).host == "127.0.0.1"
    token = tmp_path / "token"
    token.write_text("a-token-of-many-characters")
    monkeypatch.setenv("OBSWARM_WEB_TOKEN_FILE", str(token))
    assert environment.create_web_ui(port=0, delayed_start=True).host == "0.0.0.0"
    page = environment.create_web_ui("127.0.0.1", 0)
    try:
        assert refusal(lambda: urlopen(f"http://127.0.0.1:{page.port}/stats/requests"))[0] == 401
    finally:
        page.stop()


@pytest.mark.parametrize("option", ["web_base_path", "web_login", "build_path"])
def test_options_without_an_equivalent_say_what_to_do_instead(option: str) -> None:
    with pytest.raises(ObswarmError, match=rf"create_web_ui\({option}=…\) is not possible: .+"):
        Environment(user_classes=[Visitor]).create_web_ui(**{option: "x"})
