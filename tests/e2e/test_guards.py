"""Guards, requirements, alerts and annotations as a user meets them."""

import json
import re
import subprocess
import threading
import xml.etree.ElementTree as ElementTree
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import requests

from tests.support.forked import forked_obswarm
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer, command, start_obswarm
from tests.support.stalls import StallMeter

LOADTEST = """
from obswarm import FastHttpUser, constant, task

class Visitor(FastHttpUser):
    wait_time = constant(0.05)

    @task
    def page(self):
        self.client.get("/page")
"""


@pytest.fixture
def quick():
    with QuickServer() as server:
        yield server


@pytest.fixture
def failing(quick: QuickServer) -> QuickServer:
    quick.get("/start-failing")
    return quick


def run(
    folder: Path, server: QuickServer, *options: object, text: str = LOADTEST, seconds: int = 10, **environment: str
):
    (folder / "loadtest.py").write_text(text)
    return forked_obswarm(
        *("run", "loadtest.py", "-H", server.url, "-u", 5, "-r", 50, "-t", f"{seconds}s", "--json", "result.json"),
        *("--web-port", 0, "--linger", 0, "--headless", *options),
        cwd=folder,
        **environment,
    )


def result_in(folder: Path) -> dict:
    document: dict = json.loads((folder / "result.json").read_text())
    return document


def test_a_guard_stops_the_run_and_the_result_says_which_which_value_since_when(tmp_path: Path, failing) -> None:
    with StallMeter() as stalls:
        done = run(
            tmp_path, failing, "--stop-when", "error_ratio > 5% for 2s", "--notify-when", 'p95{name="/page"} > 10s'
        )
    assert done.code == 3, done.stderr
    result = result_in(tmp_path)
    assert result["duration_s"] < stalls.allowed_s(6)
    assert re.fullmatch(
        r"The guard error_ratio > 5% for 2s tripped: error_ratio is 100%, since 20\d\d-\d\d-\d\dT[\d:.]+Z",
        result["stop_reason"]["detail"],
    )
    tripped, other = result["guards"]
    assert (tripped["state"], tripped["value"], tripped["trips"], tripped["action"]) == ("tripped", 1.0, 1, "stop")
    assert (other["state"], other["trips"], other["name"]) == ("ok", 0, 'p95{name="/page"} > 10s')
    assert [mark["kind"] for mark in result["annotations"]] == ["start", "guard", "stop"]
    assert "guard error_ratio > 5% for 2s → stop: tripped 1 ×, last 100%" in done.stdout
    assert 'guard p95{name="/page"} > 10s → notify: did not trip, last ' in done.stdout
    assert "The guard error_ratio > 5% for 2s tripped" in done.stderr


def test_guards_of_file_settings_and_command_line_come_together(tmp_path: Path, quick) -> None:
    (tmp_path / "obswarm.toml").write_text(
        "[[guards]]\nwhen = 'rps > 100000'\naction = 'notify'\nname = 'of the settings'\n"
    )
    text = LOADTEST.replace("import FastHttpUser", "import FastHttpUser, Guard")
    text += 'guards = [Guard("users > 1000", action="hold", name="of the file")]\n'
    done = run(tmp_path, quick, "--guard", "scale(50%): half it: p95 > 5s", text=text, seconds=2)
    assert done.code == 0, done.stderr
    guards = [(guard["name"], guard["action"]) for guard in result_in(tmp_path)["guards"]]
    assert guards == [("of the settings", "notify"), ("of the file", "hold"), ("half it", "scale(50%)")]


def test_stages_are_annotated(tmp_path: Path, quick) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    done = forked_obswarm(
        *("run", "loadtest.py", "-H", quick.url, "--stages", "2s:4,2s:4,2s:0", "--json", "-", "--only-summary"),
        cwd=tmp_path,
    )
    annotations = [(mark["kind"], mark["text"]) for mark in done.result["annotations"]]
    assert [kind for kind, _ in annotations] == ["start", "stage", "stage", "stop"]
    assert annotations[1][1] == "Stage 2 begins, at 4 users"


CURVE = """
from obswarm import LoadTestShape

class Curve(LoadTestShape):
    def tick(self):
        now = self.get_run_time()
        if now > 10:
            return None
        return (1 + int(now), 10) if now < 3 else (4, 10) if now < 9 else (1, 10)
"""


def test_of_a_shape_only_what_stays_for_a_while_is_a_stage(tmp_path: Path, quick) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST + CURVE)
    done = forked_obswarm("run", "loadtest.py", "-H", quick.url, "--json", "-", "--only-summary", cwd=tmp_path)
    annotations = [mark["text"] for mark in done.result["annotations"] if mark["kind"] == "stage"]
    assert len(annotations) == 1, annotations
    assert annotations[0].endswith("begins, at 1 user")


def test_requirements_decide_the_exit_code_and_are_written_for_ci(tmp_path: Path, quick) -> None:
    requirements = ["--require", 'p95{name="/page"} < 2s', "--require", "rps > 10000", "--require", "error_ratio < 1%"]
    done = run(tmp_path, quick, *requirements, "--junit", "out/junit.xml", "--stop-when", "users > 100", seconds=2)
    assert done.code == 5, done.stderr
    met = {each["require"]: each["met"] for each in result_in(tmp_path)["requirements"]}
    assert met == {'p95{name="/page"} < 2s': True, "rps > 10000": False, "error_ratio < 1%": True}
    assert "requirement rps > 10000: NOT MET" in done.stdout
    suite = ElementTree.parse(tmp_path / "out" / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("4", "1")
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failed == ["rps > 10000"]
    assert run(tmp_path, quick, "--require", "error_ratio < 1%", seconds=1).code == 0


def test_guards_that_trip_fail_the_ci_job(tmp_path: Path, failing) -> None:
    assert run(tmp_path, failing, "--stop-when", "failures > 0", "--junit", "junit.xml").code == 3
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    (case,) = suite
    failure = case.find("failure")
    assert failure is not None
    assert "The guard failures > 0 tripped" in (failure.get("message") or "")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--stop-when", "eror_ratio > 5%"], "--stop-when: Expected a metric"),
        (["--stop-when", "p95 > 5"], "      ^"),
        (["--hold-when", "promql(up) < 1"], "has no source of metrics: give --prometheus-url, or --target"),
        (
            ["--hold-when", "promql(avg_over_time(up[10m])) < 1", "--target", "app=http://127.0.0.1:1/metrics"],
            "uses samples from more than 5m ago",
        ),
        (["--hold-when", "promql(rate(up)) < 1", "--prometheus-url", "http://127.0.0.1:1"], "is not PromQL"),
        (["--guard", "p95 > 2s"], "write it like 'scale(50%): p95 > 2s for 5s'"),
        (["--guard", "explode: p95 > 2s"], "'explode' is not an action"),
        (["--stop-when", "a: rps > 5", "--stop-when", "a: rps > 6"], "Two guards are called 'a'"),
        (["--require", "promql(up) > 1"], "has no value for a whole run"),
        (["--on-alert", "dance"], "'dance' is not an action"),
        (["--target", "mysql"], "write it like mysql=http"),
        (["--target", "mysq=http://127.0.0.1:1"], "no kind 'mysq' of target"),
        (["--target", "mysql=localhost"], "'localhost' is not a URL"),
        (["--prometheus-url", "prometheus:9090"], "is not a URL"),
        (["--grafana-url", "http://127.0.0.1:1"], "--grafana-url needs --grafana-token"),
        (["--config", "nothing.toml"], "nothing.toml cannot be read"),
        (["--junit", "/proc/nothing/x.xml"], "cannot be written"),
    ],
)
def test_options_that_make_no_sense_are_sentences(tmp_path: Path, options: list[str], expected: str) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    done = forked_obswarm("run", "loadtest.py", "-H", "http://127.0.0.1:1", "-t", "1s", *options, cwd=tmp_path)
    assert done.code == 2, done.stdout + done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("guard = 5", "obswarm.toml: guard has to be a list of texts"),
        ("gards = 5", "unknown key 'gards'. Did you mean guards?"),
        ("stop_when = ['p95 > 5']", "obswarm.toml: stop_when: Expected a duration for p95"),
        ("users = 5\nstages = '5s:1'", "stages in obswarm.toml and users in obswarm.toml exclude each other"),
        ("[[guards]]\nwhen = 'p95 > 5'", "obswarm.toml: [[guards]] 1: when: Expected a duration for p95"),
        ("[[guards]]\naction = 'stop'", "[[guards]] 1: when is missing"),
        ("[[guards]]\nwhen = 'rps > 1'\nactoin = 'stop'", "Did you mean action?"),
        ("[[guards]]\nwhen = 'rps > 1'\non_blind = 'stop'", "[[guards]] 1: on_blind is now called on_no_data"),
        ("guards = 5", "has to be written as tables, [[guards]]"),
        ("[[targets]]\nurl = 'http://x'\nkind = 'mysq'", "Did you mean mysql?"),
        ("[[targets]]\nkind = 'mysql'", "url is missing"),
        ("prometheus_url = 5", "obswarm.toml: prometheus_url is a number; it has to be a text."),
        ("prometheus_url = 'x'", "is not a URL"),
        ("require = 'p95 < 1s'", "has to be a list of texts"),
        ("this is no toml", "is not TOML"),
    ],
)
def test_settings_that_make_no_sense_are_sentences(tmp_path: Path, settings: str, expected: str) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    (tmp_path / "obswarm.toml").write_text(settings)
    done = forked_obswarm("run", "loadtest.py", "-H", "http://127.0.0.1:1", "-t", "1s", cwd=tmp_path)
    assert done.code == 2, done.stdout + done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_may_stand_in_pyproject_toml(tmp_path: Path, failing) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[tool.obswarm]\nrequire = ['rps > 1']\n[[tool.obswarm.guards]]\nwhen = 'failures > 0'\n"
    )
    assert run(tmp_path, failing).code == 3
    (requirement,) = result_in(tmp_path)["requirements"]
    assert (requirement["require"], requirement["met"]) == ("rps > 1", True)
    assert requirement["value"] == result_in(tmp_path)["totals"]["rps"]


def test_targets_without_any_says_what_to_do(tmp_path: Path) -> None:
    done = forked_obswarm("targets", cwd=tmp_path)
    assert done.code == 2
    assert "write [[targets]] or prometheus_url into obswarm.toml" in done.stderr


def test_a_sample_alert_shows_what_it_would_do_and_does_it_when_told(tmp_path: Path, quick) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        command("run", "loadtest.py", "-H", quick.url, "-t", "10m", "--web-port", port, "--json", "result.json", "--headless", "--alerts-grace", "0s"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert process.stderr is not None
    token = ""
    while not token:
        line = process.stderr.readline()
        assert line, "it has ended"
        found = re.search(r"/api/v1/alerts, with the bearer token (\S+)", line)
        token = found[1] if found else ""
    wait_until(quick.arrivals)
    dry = forked_obswarm("alerts", "test", "--url", url, "--token", token, "--label", "team=shop")
    assert (dry.code, dry.stdout) == (
        0,
        "ObswarmTest (firing). Action with --send: stop (the default for alerts).\n",
    )
    wrong = forked_obswarm("alerts", "test", "--url", url, "--token", "wrong")
    assert (wrong.code, "does not accept the token" in wrong.stderr) == (2, True)
    assert process.poll() is None
    sent = forked_obswarm("alerts", "test", "--url", url, "--token", token, "--action", "abort", "--send")
    assert "Action: abort (its label obswarm_action)" in sent.stdout
    process.communicate(timeout=HANG_S)
    assert process.returncode == 3
    result = result_in(tmp_path)
    assert result["stop_reason"] == {
        "kind": "alert",
        "detail": "The alert ObswarmTest fires (A test by obswarm alerts test)",
    }
    assert result["alerts"] == [{"alertname": "ObswarmTest", "status": "firing", "source": "alertmanager", "count": 1}]
    nobody = forked_obswarm("alerts", "test", "--url", url, "--token", token)
    assert (nobody.code, "No run responds" in nobody.stderr) == (2, True)


class Grafana:
    """Takes annotations as Grafana's API does, or refuses them."""

    def __init__(self, status: int) -> None:
        taken: list[tuple[str | None, dict]] = []
        self.taken = taken

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                taken.append((self.headers["Authorization"], {"path": self.path, **json.loads(body)}))
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None: ...

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize("status", [200, 403])
def test_annotations_go_to_grafana_and_a_failure_is_a_warning(tmp_path: Path, failing, status: int) -> None:
    grafana = Grafana(status)
    try:
        done = run(
            tmp_path, failing, "--stop-when", "failures > 0", "--grafana-url", grafana.url, "--grafana-token", "secret"
        )
    finally:
        grafana.close()
    assert done.code == 3
    assert [sent["tags"][:2] for _, sent in grafana.taken] == [["obswarm", kind] for kind in ("start", "guard", "stop")]
    assert {authorization for authorization, _ in grafana.taken} == {"Bearer secret"}
    assert {sent["path"] for _, sent in grafana.taken} == {"/api/annotations"}
    assert done.stderr.count("An annotation could not be sent") == (status == 403)


def test_guards_are_metrics(tmp_path: Path, failing) -> None:
    import urllib.request

    (tmp_path / "loadtest.py").write_text(LOADTEST)
    port = free_port()
    process = start_obswarm(
        *("run", "loadtest.py", "-H", failing.url, "-t", "10m", "--web-port", port, "--headless", "--linger", 0),
        *("--notify-when", "error_ratio > 5%"),
        cwd=tmp_path,
    )

    def metrics() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=HANG_S) as answer:
                text: str = answer.read().decode()
                return text
        except OSError:
            return ""

    tripped = 'obswarm_guard_trips_total{action="notify",guard="error_ratio > 5%"} 1.0'
    text = wait_until(lambda: text if tripped in (text := metrics()) else "", metrics, 0.2, process.poll)
    process.terminate()
    process.communicate(timeout=HANG_S)
    assert 'obswarm_guard_state{guard="error_ratio > 5%",state="tripped"} 1.0' in text
    assert 'obswarm_guard_state{guard="error_ratio > 5%",state="ok"} 0.0' in text
    assert 'obswarm_guard_value{guard="error_ratio > 5%"} 1.0' in text


def alert_since_2020(status: str) -> dict:
    alert = {"status": status, "labels": {"alertname": "ShopDown"}, "startsAt": "2020-01-01T00:00:00Z"}
    return {"version": "4", "alerts": [alert]}


def test_a_start_waits_for_an_alert_from_before_and_says_so(tmp_path: Path, quick) -> None:
    (tmp_path / "loadtest.py").write_text(LOADTEST)
    (tmp_path / "obswarm.toml").write_text("earlier_alerts = 'wait'\nearlier_alerts_max_wait = '60s'\n")
    port = free_port()
    process = start_obswarm(
        *("run", "loadtest.py", "-H", quick.url, "-t", "1s", "--web-port", port, "--json", "result.json", "--headless"),
        *("--alerts-token", "known", "--linger", 0, "--workers", 0),
        cwd=tmp_path,
    )
    assert process.stderr is not None

    def deliver(status: str) -> None:
        url = f"http://127.0.0.1:{port}/api/v1/alerts"
        answer = requests.post(
            url, json=alert_since_2020(status), headers={"Authorization": "Bearer known"}, timeout=HANG_S
        )
        assert answer.status_code == 200, answer.text

    heard = [next(line for line in process.stderr if "Alerts are received at" in line)]
    deliver("firing")
    heard.append(next(line for line in process.stderr if "the start of the run is delayed" in line))
    assert heard[-1] == (
        "WARNING: The alert ShopDown fires since 2020-01-01T00:00:00.000Z; the start of the run is delayed until it is"
        " resolved, for 1m at most.\n"
    )
    assert quick.arrivals() == {}
    deliver("resolved")
    _, rest = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, rest
    assert "No alert from before the run is firing any more; starting" in rest
    assert result_in(tmp_path)["stop_reason"]["kind"] == "time"


def test_options_of_earlier_alerts_that_make_no_sense_are_refused(tmp_path: Path, quick) -> None:
    wrong = run(tmp_path, quick, "--earlier-alerts-max-wait", "5s")
    assert (wrong.code, wrong.stderr) == (
        2,
        "Error: --earlier-alerts-max-wait needs --earlier-alerts wait.\n",
    )
    (tmp_path / "obswarm.toml").write_text("earlier_alerts = 'sleep'\n")
    unknown = run(tmp_path, quick)
    assert (unknown.code, unknown.stderr) == (
        2,
        "Error: obswarm.toml: earlier_alerts: 'sleep' is not one of 'note', 'wait'.\n",
    )
