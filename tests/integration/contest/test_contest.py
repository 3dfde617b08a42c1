"""The contest when all is well, and the incident, as its metrics tell them."""

import itertools
import json
import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support import dashboards
from tests.support.contest import FOLDER, Contest
from tests.support.patience import HANG_S, wait_until
from tests.support.prometheus import Prometheus
from tests.support.stalls import StallMeter

# There is one at a time: it has ports that are always the same, and Prometheus reads the CPU of the machine.
pytestmark = pytest.mark.xdist_group("contest")

LOADTEST = FOLDER / "loadtest.py"


def loaded(contest: Contest, web_port: int, minutes: float) -> tuple[int, dict[str, Any]]:
    """Exit code and result of the contest's own load test."""
    file = contest.folder / "result.json"
    program = contest.run(LOADTEST, "--contest-minutes", minutes, "--json", file, "--web-port", web_port, "--linger", 3)
    try:
        code = program.wait(minutes * 60 + HANG_S)
    finally:
        program.kill()
        program.wait()
    return code, json.loads(file.read_text())


def test_healthy_it_is_fast_and_without_failures(contest: Contest, prometheus: Prometheus, web_port: int) -> None:
    with StallMeter() as stalls:
        code, result = loaded(contest, web_port, 1)
    log = contest.log_file.read_text()
    assert code == 0, log
    assert result["exceptions"] == []
    assert result["totals"]["failures"] == 0, log
    assert 57 < result["duration_s"] < 60 + stalls.allowed_s(3)
    assert result["users_max"] == 400
    assert result["totals"]["p95_s"] < 0.3 * stalls.slowdown(), log
    # On a machine whose CPUs others want as well, its few workers may be busy for a while.
    excused = {"no free worker", "busy database"} if stalls.slowdown() > 1.5 else set()
    assert [each["name"] for each in result["guards"] if each["trips"] and each["name"] not in excused] == [], log
    assert not result["generator"]["saturated"], log


def first(prometheus: Prometheus, promql: str, begin_s: float, end_s: float) -> float:
    """The first second in which the expression holds."""
    (series,) = prometheus.api("query_range", query=promql, start=begin_s, end=end_s, step=1)["result"]
    return float(series["values"][0][0])


def test_the_incident(contest: Contest, prometheus: Prometheus, web_port: int, tmp_path: Path) -> None:
    contest.must("fault", "no-cache", "on")
    begin_s = time.time()
    with StallMeter() as stalls:
        code, result = loaded(contest, web_port, 2)
    end_s = time.time()
    log = contest.log_file.read_text()
    assert code == 3, log
    assert result["stop_reason"]["kind"] == "guard", log
    (errors,) = [guard for guard in result["guards"] if guard["name"] == "errors"]
    assert errors["trips"] == 1

    latency = (
        'sum(rate(app_db_query_duration_seconds_sum{query="leaderboard"}[4s]))'
        ' / sum(rate(app_db_query_duration_seconds_count{query="leaderboard"}[4s]))'
    )
    busy = "sum(uwsgi_worker_busy) / sum(uwsgi_workers)"
    moments = {
        "database latency": first(prometheus, f"{latency} > 0.1", begin_s, end_s),
        "no free worker": first(prometheus, f"min_over_time(({busy})[2s:1s]) == 1", begin_s, end_s),
        "failed health checks": first(
            prometheus, "sum(increase(haproxy_server_check_failures_total[4s])) > 0", begin_s, end_s
        ),
        "a cluster is out": first(
            prometheus, 'min(haproxy_backend_active_servers{proxy="clusters"}) < 2', begin_s, end_s
        ),
        "errors": first(
            prometheus,
            'sum(rate(obswarm_requests_total{outcome="failure"}[4s])) / sum(rate(obswarm_requests_total[4s])) > 0.2',
            begin_s,
            end_s,
        ),
        "the guard stops the run": first(
            prometheus, 'sum(obswarm_guard_trips_total{guard="errors"}) > 0', begin_s, end_s
        ),
    }
    # Each part is scraped once a second, at a moment of its own: what comes at once may be seen a second apart.
    seconds = list(moments.values())
    apart_s = 1 + stalls.stalled_s()
    assert all(later >= earlier - apart_s for earlier, later in itertools.pairwise(seconds)), moments
    assert moments["database latency"] < moments["failed health checks"] < moments["the guard stops the run"], moments

    # Nobody does anything, and the cache stays off: without contestants it comes back.
    wait_until(lambda: prometheus.value('min(haproxy_backend_active_servers{proxy="clusters"})') >= 2, every_s=0.5)
    with urllib.request.urlopen(f"{contest.url}/leaderboard", timeout=HANG_S) as answer:
        assert len(json.load(answer)["leaderboard"]) == 10
    contest.must("fault", "no-cache", "off")
    dashboards.check(prometheus, begin_s, end_s)
    dashboards.draw(prometheus, begin_s, end_s, tmp_path)


def get(contest: Contest, path: str, headers: dict[str, str] | None = None, document: Any = None) -> tuple[int, Any]:
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(contest.url + path, body, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=HANG_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def wait_for_a_period(with_left_s: float) -> None:
    """Until a period of the rate limit has that much time left; with all of it, until the next one begins."""
    left_s = 10 - time.time() % 10
    if left_s < with_left_s:
        time.sleep(left_s)


def test_unsigned_traffic_meets_the_limit_and_the_question_and_signed_traffic_does_not(
    contest: Contest, tmp_path: Path
) -> None:
    # The limit counts by periods of ten seconds, and each cluster for itself.
    wait_for_a_period(with_left_s=5)
    # They need not get equal shares, so requests go on until both have had enough.
    answers: list[int] = []
    while answers[-10:] != [429] * 10:
        assert len(answers) < 400, answers
        answers.append(get(contest, "/problems")[0])
    assert answers[0] == 200
    # What a client says of its address is not believed.
    assert get(contest, "/problems", {"X-Forwarded-For": "10.9.9.9"})[0] == 429
    loadtest = tmp_path / "limited.py"
    loadtest.write_text(
        "from obswarm import FastHttpUser, constant, task\n"
        "class Visitor(FastHttpUser):\n"
        "    wait_time = constant(0.05)\n"
        "    @task\n"
        "    def login(self):\n"
        "        self.client.post('/login', json={'name': 'tester0001', 'password': 'x'})\n"
    )
    unsigned = tmp_path / "unsigned.json"
    program = contest.run(loadtest, "-u", 10, "-r", 10, "-t", "4s", "--json", unsigned, "--web-port", 0, "--workers", 0)
    program.wait(HANG_S)
    errors = {error["error"] for error in json.loads(unsigned.read_text())["errors"]}
    assert any("429" in error for error in errors), errors

    wait_for_a_period(with_left_s=10)
    assert get(contest, "/captcha")[0] == 200
    status, answer = get(contest, "/login", document={"name": "tester0001", "password": "x"})
    assert (status, answer) == (403, {"error": "answer the question of /captcha"})


def signed(contest: Contest, path: str, age_s: float = 0) -> dict[str, str]:
    """As obswarm signs, at another time."""
    from obswarm import clock
    from obswarm.api import RequestSigner

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "wall", lambda: time.time() - age_s)
        return RequestSigner(contest.key).headers(path, "by-hand")


def test_expired_and_altered_signatures_do_not_pass(contest: Contest) -> None:
    assert [get(contest, "/problems", signed(contest, "/problems"))[0] for _ in range(100)] == [200] * 100
    credentials = {"name": "tester0001", "password": "x"}
    assert get(contest, "/login", signed(contest, "/login"), credentials)[0] == 401
    assert get(contest, "/login", signed(contest, "/login"), credentials)[1] == {"error": "name or password is wrong"}
    status, answer = get(contest, "/problems", signed(contest, "/problems", age_s=120))
    assert status == 401
    assert "60 s are allowed" in answer["error"]
    status, answer = get(contest, "/problems", signed(contest, "/leaderboard"))
    assert (status, answer) == (401, {"error": "the signature does not fit run, time and path"})


def test_bad_use_is_answered_with_a_sentence(contest: Contest, tmp_path: Path) -> None:
    again = contest.command("up")
    assert (again.returncode, again.stderr) == (
        2,
        f"Error: It is running already ({contest.folder}); end it with `native down`.\n",
    )
    elsewhere = Contest(tmp_path / "elsewhere")
    assert elsewhere.command("fault", "no-cache").returncode == 2
    assert "not running here" in elsewhere.command("status").stdout
    assert elsewhere.command("down").returncode == 0
    assert not elsewhere.folder.exists()
    assert elsewhere.command("fault", "no-such").returncode == 2


def test_a_part_that_ends_by_itself_is_told_with_its_log_and_everything_else_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bin" / "haproxy"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\necho no such luck >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken.parent}:{os.environ['PATH']}")
    contest = Contest(tmp_path / "contest")
    done = contest.command("up")
    assert done.returncode == 2
    assert "load-balancer ended by itself" in done.stderr
    assert "no such luck" in done.stderr
    assert os.listdir(contest.folder) == ["log"]
    mine = [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(contest.folder) in " ".join(process.info["cmdline"] or [])
    ]
    assert not mine


def test_a_part_that_has_ended_is_started_again_by_up(contest: Contest) -> None:
    os.kill(contest.state["processes"]["checker"]["pid"], signal.SIGKILL)
    wait_until(lambda: list(contest.ended()) == ["checker"])
    assert "up    checker" in contest.must("up")
    assert contest.ended() == {}


def test_down_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "another"
    with Contest(folder) as another:
        # The other one has the usual ports.
        assert another.port("load-balancer") > 0
        pids = [process["pid"] for process in another.state["processes"].values()]
        assert all(os.path.exists(f"/proc/{pid}") for pid in pids)
        groups = {os.getpgid(pid) for pid in pids}
    assert not folder.exists()
    assert not [process for process in psutil.process_iter() if _is_alive_in(process, groups)]


def _is_alive_in(process: psutil.Process, groups: set[int]) -> bool:
    try:
        return os.getpgid(process.pid) in groups and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False
