"""Real runs, scraped by and pushed to a real Prometheus: its answers are the run's own."""

import json
import subprocess
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import CountingServer, start_obswarm
from tests.support.prometheus import Prometheus, program
from tests.support.stalls import StallMeter

LOADTEST = """
import random
from obswarm import FastHttpUser, constant, events, task

class Visitor(FastHttpUser):
    wait_time = constant(0)

    @task(9)
    def slow(self):
        seconds = random.lognormvariate(-3.5, 0.6)
        self.note(self.client.get(f"/slow?seconds={min(seconds, 1):.4f}", name="/slow"))

    @task
    def failing(self):
        self.note(self.client.get("/fail"))

    def note(self, response):
        if response.trace_id:
            with open(self.environment.parsed_options.traces, "a") as file:
                file.write(response.trace_id + "\\n")

@events.init_command_line_parser.add_listener
def options(parser):
    parser.add_argument("--traces", default="/dev/null")
"""


def ended_at(result: dict) -> float:
    return datetime.fromisoformat(result["ended_at"]).timestamp()


def counted(prometheus: Prometheus, seconds: int = 60) -> dict[str, float]:
    """What a Prometheus says was added up within the last seconds, by any number of runs."""
    classic = 'obswarm_request_duration_seconds_bucket{le="+Inf"}'
    return {
        "requests": prometheus.growth("obswarm_requests_total", seconds),
        "failures": prometheus.growth("obswarm_request_errors_total", seconds),
        "response_bytes": prometheus.growth("obswarm_response_bytes_total", seconds),
        "durations": prometheus.growth(classic, seconds)
        or prometheus.growth("obswarm_request_duration_seconds", seconds),
    }


def of_the_runs(*results: dict) -> dict[str, float]:
    """The same by the runs themselves."""
    names = ("requests", "failures", "response_bytes")
    found = {name: sum(result["totals"][name] for result in results) for name in names}
    return {**found, "durations": found["requests"]}


def test_what_prometheus_scraped_is_what_the_run_says(target: CountingServer, loadtest, tmp_path: Path) -> None:
    port = free_port()
    traces = tmp_path / "traces"
    path = loadtest(LOADTEST)
    with (
        Prometheus(f"127.0.0.1:{port}") as prometheus,
        Prometheus(f"127.0.0.1:{port}", interval="3s", protocols=("OpenMetricsText1.0.0",)) as slower,
    ):
        for each in (prometheus, slower):
            each.wait_for("count(up)", 1)
        run = start_obswarm(
            *(
                "run",
                path,
                "-H",
                target.url,
                "-u",
                20,
                "-r",
                20,
                "-t",
                "15s",
                "--headless",
                "--json",
                tmp_path / "r.json",
            ),
            *("--web-port", port, "--trace-sample", "20%", "--label", "team=search", "--traces", traces),
        )
        with StallMeter() as stalls:
            _, errors = run.communicate(timeout=HANG_S)
        assert run.returncode == 1, errors
        result = json.loads((tmp_path / "r.json").read_text())
        now = time.time()
        waited_s = now - ended_at(result)
        assert waited_s < stalls.allowed_s(8, ended_at(result)), "the last scrapes were waited for, and no longer"

        # Counts: exactly the last value; what increase() makes of it, within its extrapolation.
        last = "last_over_time(obswarm_requests_total[1m])"
        prometheus.wait_for(f"sum({last})", result["totals"]["requests"])
        slower.wait_for(f"sum({last})", result["totals"]["requests"])
        # From the first request on, whatever is new in mid-run included.
        assert counted(prometheus) == counted(slower) == of_the_runs(result)
        assert prometheus.growth("obswarm_request_duration_seconds", 60) == result["totals"]["requests"]
        increased = prometheus.value("sum(increase(obswarm_requests_total[1m]))")
        # Half a scrape interval at each end of 15 of them; a scrape that is missed makes the intervals longer.
        assert increased == pytest.approx(result["totals"]["requests"], rel=0.1 + stalls.stalled_s() / 15)
        by_outcome = {
            series["metric"]["outcome"]: float(series["value"][1])
            for series in prometheus.query("sum by (outcome) (last_over_time(obswarm_requests_total[1m]))")
        }
        assert by_outcome["failure"] == result["totals"]["failures"]
        assert prometheus.value("sum(last_over_time(obswarm_request_errors_total[1m]))") == result["totals"]["failures"]
        assert (
            prometheus.value("sum(last_over_time(obswarm_response_bytes_total[1m]))")
            == result["totals"]["response_bytes"]
        )

        # Percentiles from native histograms, within two buckets; the endpoint's own p95 is the reference.
        slow = next(endpoint for endpoint in result["endpoints"] if endpoint["name"] == "/slow")
        series = 'obswarm_request_duration_seconds{name="/slow"}'
        for quantile in ("p50", "p95", "p99"):
            q = float(quantile[1:]) / 100
            native = prometheus.value(f"histogram_quantile({q}, sum(rate({series}[1m])))")
            assert native == pytest.approx(slow[f"{quantile}_s"], rel=0.022), quantile
        assert prometheus.value(f"histogram_count(sum(last_over_time({series}[1m])))") == slow["requests"]

        # Labels: the static one everywhere, the run's id on one metric only.
        names = prometheus.api("label/__name__/values")
        ours = [name for name in names if name.startswith("obswarm_")]
        for name in ours:
            for found in prometheus.query(f"last_over_time({name}[1m])"):
                assert found["metric"]["team"] == "search", name
                assert ("run_id" in found["metric"]) == (name == "obswarm_run_info"), name
        assert prometheus.query("last_over_time(obswarm_run_info[1m])")[0]["metric"]["run_id"] == result["run_id"]
        states = {
            each["metric"]["state"]: each["value"][1]
            for each in prometheus.query("last_over_time(obswarm_run_state[1m])")
        }
        assert states["stopped"] == "1"

        # Exemplars are traces of the run.
        exemplars = prometheus.api("query_exemplars", query="obswarm_request_duration_seconds", start=now - 60, end=now)
        found_ids = {each["labels"]["trace_id"] for series in exemplars for each in series["exemplars"]}
        assert found_ids
        assert found_ids <= set(traces.read_text().split())


def test_a_prometheus_without_native_histograms_gets_classic_buckets(
    target: CountingServer, loadtest, tmp_path: Path
) -> None:
    """Beside one that knows when series were created, which counts this run and one right before it."""
    port = free_port()
    path = loadtest(LOADTEST)
    with (
        Prometheus(f"127.0.0.1:{port}", features="") as prometheus,
        Prometheus(f"127.0.0.1:{port}") as newer,
    ):
        for each in (prometheus, newer):
            each.wait_for("count(up)", 1)
        results = []
        for seconds in ("2s", "6s"):
            run = start_obswarm(
                *("run", path, "-H", target.url, "-u", 10, "-r", 20, "-t", seconds, "--headless"),
                *("--web-port", port, "--json", tmp_path / "r.json"),
            )
            run.communicate(timeout=HANG_S)
            results.append(json.loads((tmp_path / "r.json").read_text()))
            newer.wait_for(
                "sum(last_over_time(obswarm_requests_total[1m]))", results[-1]["totals"]["requests"], time.time()
            )
        assert counted(newer) == of_the_runs(*results), "each of two runs at one port for itself"
        result = results[-1]
        slow = next(endpoint for endpoint in result["endpoints"] if endpoint["name"] == "/slow")
        count = 'obswarm_request_duration_seconds_count{name="/slow"}'
        prometheus.wait_for(f"last_over_time({count}[1m])", slow["requests"])
        bucket = 'obswarm_request_duration_seconds_bucket{name="/slow"}'
        p95 = prometheus.value(f"histogram_quantile(0.95, sum by (le) (last_over_time({bucket}[1m])))")
        bounds = sorted(
            float(series["metric"]["le"])
            for series in prometheus.query(f"count by (le) (last_over_time({bucket}[1m]))")
        )
        inside = next(bound for bound in bounds if bound >= slow["p95_s"] * 0.989)
        below = max((bound for bound in bounds if bound < inside), default=0)
        assert below <= p95 <= inside


def test_pushes_survive_an_outage_of_the_receiver(target: CountingServer, loadtest, tmp_path: Path) -> None:
    with Prometheus() as prometheus:
        run = start_obswarm(
            *("run", loadtest(LOADTEST), "-H", target.url, "-u", 10, "-r", 20, "-t", "32s", "--headless"),
            *("--json", tmp_path / "r.json", "--remote-write", prometheus.url + "/api/v1/write"),
            *("--remote-write-interval", "1s", "--trace-sample", "10%", "--label", "team=search"),
        )
        outage = threading.Timer(6, prometheus.stop)
        outage.start()
        with StallMeter() as stalls:
            time.sleep(26)
            prometheus.start()
            _, errors = run.communicate(timeout=HANG_S)
        result = json.loads((tmp_path / "r.json").read_text())
        assert "The run goes on" in errors
        assert "accepts samples again" in errors
        assert "were not delivered" not in errors
        end = ended_at(result)
        # Every push has arrived, those of the outage included; a busy process leaves out a few.
        assert (
            prometheus.value("count_over_time(obswarm_run_start_timestamp_seconds[1m])", end + 1)
            >= 28 - stalls.stalled_s()
        )
        steps = prometheus.api(
            "query_range", query="obswarm_run_start_timestamp_seconds", start=end - 30, end=end, step="1s"
        )["result"][0]["values"]
        assert len(steps) == 31
        prometheus.wait_for("sum(last_over_time(obswarm_requests_total[1m]))", result["totals"]["requests"], end + 1)
        assert prometheus.growth("obswarm_requests_total", 60, end + 1) == result["totals"]["requests"]
        assert prometheus.growth("obswarm_request_duration_seconds", 60, end + 1) == result["totals"]["requests"]
        increased = prometheus.value("sum(increase(obswarm_requests_total[1m]))", end + 1)
        assert increased == pytest.approx(result["totals"]["requests"], rel=0.1 + stalls.stalled_s() / 32)
        slow = next(endpoint for endpoint in result["endpoints"] if endpoint["name"] == "/slow")
        series = 'obswarm_request_duration_seconds{name="/slow"}'
        native = prometheus.value(f"histogram_quantile(0.95, sum(last_over_time({series}[1m])))", end + 1)
        assert native == pytest.approx(slow["p95_s"], rel=0.022)
        lost = prometheus.query("last_over_time(obswarm_remote_write_samples_lost_total[1m])", end + 1)
        assert lost
        assert all(float(each["value"][1]) == 0 for each in lost)
        exemplars = prometheus.api("query_exemplars", query=series, start=end - 60, end=end + 1)
        assert exemplars
        assert exemplars[0]["seriesLabels"]["team"] == "search"
        # No other run writes to these series, and they have ended with the run.
        (info,) = prometheus.query("last_over_time(obswarm_run_info[1m])", end + 3)
        assert info["metric"]["instance"].endswith(f":{result['run_id']}")
        assert prometheus.query('{job="obswarm"}', end) != []
        assert prometheus.query('{job="obswarm"}', end + 3) == []


def test_promtool_has_no_complaint(target: CountingServer, loadtest) -> None:
    import urllib.request

    port = free_port()
    run = start_obswarm(
        "run", loadtest(LOADTEST), "-H", target.url, "-u", 5, "-r", 20, "-t", "10m", "--headless", "--web-port", port
    )

    def metrics() -> bytes:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=HANG_S) as answer:
                text: bytes = answer.read()
                return text if b"/fail" in text else b""
        except OSError:
            return b""

    text = wait_until(metrics, every_s=0.2, ended=run.poll)
    run.terminate()
    run.communicate(timeout=HANG_S)
    checked = subprocess.run([program("promtool"), "check", "metrics"], input=text, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
