"""`locust.stats`, `locust.util` and the clients, as locustfiles use them."""

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path

import gevent
import pytest

from obswarm import clock
from obswarm.api import Environment, Events, StatsView
from obswarm.http import FastHttpUser, HttpUser
from obswarm.http import HttpSession as OurHttpSession
from obswarm.locust import stats
from obswarm.locust.argument_parser import gt_zero, positive_integer, timespan
from obswarm.locust.clients import HttpSession
from obswarm.locust.contrib.fasthttp import FastHttpSession, insecure_ssl_context_factory
from obswarm.locust.log import greenlet_exception_logger
from obswarm.locust.util.cache import memoize
from obswarm.locust.util.date import format_duration, format_safe_timestamp, format_utc_timestamp
from obswarm.locust.util.directory import get_abspaths_in
from obswarm.locust.util.exception_handler import retry
from obswarm.locust.util.rounding import proper_round
from obswarm.locust.util.timespan import parse_timespan
from obswarm.locust.util.url import is_url
from obswarm.record import Snapshot
from obswarm.stats import EndpointKey, ErrorKey, ErrorStats, Recorder
from tests.support.recorded import MadeUpRun

PAGE, CART = EndpointKey("GET", "/page"), EndpointKey("POST", "/cart")


def showing(snapshot: Snapshot) -> StatsView:
    view = StatsView()
    view.attach(lambda: snapshot, Recorder(), lambda: None)
    return view


@pytest.fixture
def seen() -> StatsView:
    """20 requests of one endpoint, between 10 and 200 ms, and two of another."""
    run = MadeUpRun([])
    snapshot: Snapshot = run.second({PAGE: [number / 100 for number in range(1, 21)], CART: [0.5, 0.7]})
    return showing(snapshot)


def test_a_table_has_a_row_for_each_endpoint_and_their_sum(seen: StatsView) -> None:
    heading, rule, cart, page, _, total, _ = stats.get_stats_summary(seen)
    assert heading.split() == [
        "Type",
        "Name",
        "#",
        "reqs",
        "#",
        "fails",
        "|",
        "Avg",
        "Min",
        "Max",
        "Med",
        "|",
        "req/s",
        "failures/s",
    ]
    assert page.split()[:4] == ["GET", "/page", "20", "0(0.00%)"]
    assert cart.split()[:3] == ["POST", "/cart", "2"]
    assert total.split()[:2] == ["Aggregated", "22"]
    assert set(rule) == {"-"}
    assert page.split()[page.split().index("|") + 1 :][:3] == ["105", "10", "200"]


def test_percentiles(seen: StatsView, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "PERCENTILES_TO_REPORT", [0.5, 0.999])
    lines = stats.get_percentile_stats_summary(seen)
    assert lines[1].split() == ["Type", "Name", "50%", "99.9%", "#", "reqs"]
    method, name, half, most, requests = lines[4].split()
    assert (method, name, requests) == ("GET", "/page", "20")
    assert float(half) == pytest.approx(100, rel=0.02)
    assert float(most) == pytest.approx(200, rel=0.02)


def test_errors(seen: StatsView, capsys: pytest.CaptureFixture[str]) -> None:
    stats.print_error_report(seen)
    assert capsys.readouterr().out == "", "no table without errors"
    run = MadeUpRun([])
    view = showing(
        replace(run.second({PAGE: [0.1]}), errors={ErrorKey("GET", "/page", "HTTP 500"): ErrorStats(3, 1.0, 2.0)})
    )
    stats.print_error_report(view)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Error report"
    assert lines[3].split() == ["3", "GET", "/page:", "HTTP", "500"]


def test_statistics_as_json_have_locusts_keys(
    seen: StatsView, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stats.print_stats_json(seen)
    printed = json.loads(capsys.readouterr().out)
    stats.save_stats_json(seen, str(tmp_path / "stats"))
    assert json.loads((tmp_path / "stats.json").read_text()) == printed
    assert [(each["method"], each["name"], each["num_requests"]) for each in printed] == [
        ("POST", "/cart", 2),
        ("GET", "/page", 20),
    ]


def test_a_printer_prints_until_it_is_killed(
    seen: StatsView, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stats, "CONSOLE_STATS_INTERVAL_SEC", 0.01)
    greenlet = gevent.spawn(stats.stats_printer(seen))
    gevent.sleep(0.1)
    greenlet.kill()
    assert capsys.readouterr().out.count("Aggregated") >= 2


def test_percentile_of_numbers_by_response_time() -> None:
    found = {10: 50, 20: 40, 100: 10}
    assert [stats.calculate_response_time_percentile(found, 100, share) for share in (0.5, 0.9, 0.95, 1.0)] == [
        10,
        20,
        100,
        100,
    ]
    assert stats.calculate_response_time_percentile({}, 0, 0.5) == 0


def test_numbers_and_times() -> None:
    assert [proper_round(value) for value in (0.5, 1.5, 2.5, 2.4)] == [1, 2, 3, 2]
    assert proper_round(1.005, 2) == 1.01
    assert [parse_timespan(text) for text in ("20", "20s", "3m", "1h20m")] == [20, 20, 180, 4800]
    assert format_utc_timestamp(0) == "1970-01-01T00:00:00Z"
    assert format_safe_timestamp(0) == "1970-01-01-00h00"
    assert format_duration(10, 135) == "2m05s"
    assert [is_url(text) for text in ("http://a.example/x", "https://a", "ftp://a", "a.py", "http://[", "")] == [
        *(True, True),
        *(False, False, False, False),
    ]


@pytest.mark.parametrize(
    ("parse", "good", "value", "bad"),
    [
        (timespan, "2m", 120, "soon"),
        (positive_integer, "3", 3, "0"),
        (positive_integer, "3", 3, "1.5"),
        (gt_zero(float), "0.5", 0.5, "-1"),
        (gt_zero(float), "0.5", 0.5, "inf"),
        (gt_zero(int), "5", 5, "0"),
    ],
)
def test_types_of_options(parse, good: str, value: float, bad: str) -> None:
    assert parse(good) == value
    with pytest.raises(argparse.ArgumentTypeError):
        parse(bad)


def test_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/one.py", "two.py", "three.txt"):
        (tmp_path / name).write_text("")
    assert get_abspaths_in(str(tmp_path), ".py") == [str(tmp_path / "a" / "one.py"), str(tmp_path / "two.py")]
    assert len(get_abspaths_in(str(tmp_path))) == 3


def test_a_cached_result(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    calls = []

    @memoize(timeout=2)
    def figure() -> int:
        calls.append(1)
        return len(calls)

    assert [figure(), figure()] == [1, 1]
    now[0] += 2.1
    assert figure() == 2
    figure.clear_cache()  # type: ignore[attr-defined]
    assert figure() == 3


def test_a_call_is_made_again_after_an_exception() -> None:
    calls = []

    @retry(delays=(0, 0), exception=KeyError)
    def flaky(fails: int) -> int:
        calls.append(1)
        if len(calls) <= fails:
            raise KeyError(len(calls))
        return len(calls)

    assert flaky(2) == 3
    calls.clear()
    with pytest.raises(KeyError, match="3"):
        flaky(9)


def test_the_exception_of_a_greenlet_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    greenlet = gevent.spawn(lambda: 1 / 0)
    greenlet.link_exception(greenlet_exception_logger(logging.getLogger("mine")))
    gevent.joinall([greenlet])
    gevent.sleep(0.01)
    assert any(record.name == "mine" and record.exc_info for record in caplog.records)


@pytest.fixture
def environment() -> Environment:
    return Environment(events=Events(), recorder=Recorder(), host="http://127.0.0.1:1")


def test_a_second_client_of_a_user_counts_in_its_run(environment: Environment) -> None:
    user = type("Visitor", (HttpUser,), {})(environment)
    client = HttpSession("http://127.0.0.1:1", environment.events.request, user)
    assert isinstance(client, OurHttpSession)
    assert isinstance(user.client, HttpSession), "as the user's own client is"
    client.get("/nobody")
    assert [key.name for key in environment.recorder.take().endpoints] == ["/nobody"]


def test_a_second_fast_client_takes_the_attributes_of_the_user_class(environment: Environment) -> None:
    user = type("Visitor", (FastHttpUser,), {})(environment)
    client = FastHttpSession(
        "http://127.0.0.1:1",
        environment.events.request,
        user,
        ssl_context_factory=insecure_ssl_context_factory,
        max_redirects=3,
        network_timeout=2,
    )
    assert (client.settings.max_redirects, client.settings.read_timeout_s) == (3, 2)
    assert isinstance(user.client, FastHttpSession)
    assert client.get("/nobody").status_code == 0
    with pytest.raises(TypeError, match="FastHttpSession has no retries"):
        FastHttpSession("http://127.0.0.1:1", environment.events.request, user, retries=3)


def test_differences_of_response_times() -> None:
    assert stats.diff_response_time_dicts({10: 3, 20: 2, 30: 1}, {10: 1, 20: 2}) == {10: 2, 30: 1}
    assert stats.diff_response_time_dicts({}, {}) == {}
    kept = stats.CachedResponseTimes(response_times={10: 3}, num_requests=4, num_none_requests=1)
    assert (kept.response_times, *kept[1:]) == ({10: 3}, 4, 1)
