"""The page that a load test makes of its statistics itself."""

from typing import Any

import gevent
import pytest

from obswarm import User, constant, task
from obswarm.locust.env import Environment
from obswarm.locust.html import get_html_report


class Visitor(User):
    wait_time = constant(60)

    def on_start(self) -> None:
        with self.environment.request("GET", "/<script>alert(1)</script>"):
            pass
        with self.environment.request("POST", "/order"):
            raise ValueError("not <b>sold</b>\x1b[31m")

    @task
    def mistake(self) -> None:
        raise KeyError("<i>worn</i>")


@pytest.fixture
def environment() -> Any:
    environment = Environment(user_classes=[Visitor], host="http://127.0.0.1:1")
    runner = environment.create_local_runner()
    runner.start(2, 1000, wait=True)
    gevent.sleep(0.05)
    runner.stop()
    return environment


def test_the_html_report_has_requests_failures_and_exceptions(environment: Any) -> None:
    page = get_html_report(environment)
    assert "<td>POST</td><td>/order</td><td>2</td><td>2</td>" in page
    assert "<td></td><td>Aggregated</td><td>4</td><td>2</td>" in page
    assert "http://127.0.0.1:1" in page
    for heading in ("Requests", "Response times (ms)", "Failures", "Exceptions"):
        assert f"<h2>{heading}</h2>" in page
    assert "color-scheme: light dark" in page
    assert "color-scheme: dark" in get_html_report(environment, show_download_link=False, theme="dark")


def test_texts_of_others_are_text(environment: Any) -> None:
    page = get_html_report(environment)
    assert "<script>" not in page
    assert "<b>" not in page
    assert "<i>" not in page
    assert "\x1b" not in page
    assert "/&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "not &lt;b&gt;sold&lt;/b&gt;\\x1b[31m" in page


def test_without_requests_there_are_no_failures_and_no_exceptions() -> None:
    environment = Environment(user_classes=[Visitor])
    environment.create_local_runner().stats.clear_all()
    environment.runner = None
    page = get_html_report(environment)
    assert "<td></td><td>Aggregated</td><td>0</td><td>0</td>" in page
    assert "Failures</h2>" not in page
    assert "Exceptions</h2>" not in page
