"""A master that stays, its workers, and runs that others ask for: what they are told, and that nothing is lost."""

import json
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.support.forked import forked_obswarm
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import CountingServer, start_obswarm
from tests.support.readiness import wait_for_http
from tests.support.service import ALERTS_TOKEN, LOADTEST, TOKEN, Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory):
    with Service(tmp_path_factory.mktemp("service") / "here") as made:
        yield made


@pytest.fixture
def visitor(loadtest) -> Path:
    return loadtest(LOADTEST)


def test_a_run_is_executed_by_the_service_and_reported_by_the_client(
    service, visitor, target: CountingServer, tmp_path
) -> None:
    done = service.run(
        visitor,
        "-H",
        target.url,
        *["-u", "10", "-r", "50", "-t", "3s", "--json", "-", "--csv", "out", "--require", "rps>10"],
        cwd=tmp_path,
    )
    assert done.code == 0, done.stderr
    result = done.result
    total = result["totals"]["requests"]
    assert total == target.total()
    assert total > 100
    assert len(result["workers"]) == 2
    assert result["requirements"][0]["met"] is True
    history = (tmp_path / "out_stats_history.csv").read_text().splitlines()
    assert len(history) >= 3
    assert f",{total}," in (tmp_path / "out_stats.csv").read_text()
    assert done.stderr.startswith(f"The master at {service.url} executes this run.\n")
    assert f"The master at {service.url} has 2 workers." in done.stderr
    # The master goes on telling what it measured, and knows of no run.
    with urllib.request.urlopen(f"{service.url}/metrics") as answer:
        metrics = answer.read().decode()
    assert f'obswarm_requests_total{{method="GET",name="/visit",outcome="success",status="2xx"}} {total}.0' in metrics
    assert 'obswarm_run_state{state="stopped"} 1.0' in metrics
    assert not list((service.folder / ".obswarm").glob("*.order"))


def test_the_next_run_begins_with_nothing_of_the_one_before(service, visitor, target: CountingServer, tmp_path) -> None:
    guarded = service.run(
        visitor, "-H", target.url, *["-u", "5", "-r", "50", "-t", "20s", "--stop-when", "rps>20"], cwd=tmp_path
    )
    assert guarded.code == 3
    assert "The guard rps > 20 tripped" in guarded.stderr, "what the master logs is told here"
    (tmp_path / "data.txt").write_text("/other")
    visitor.write_text(
        LOADTEST.replace('"/visit"', "PATH").replace("class", "PATH = open('data.txt').read()\nclass", 1)
    )
    before = target.total()
    second = service.run(visitor, "-H", target.url, *["-u", "5", "-r", "50", "-t", "2s", "--json", "-"], cwd=tmp_path)
    assert second.code == 0, second.stderr
    assert [each["name"] for each in second.result["endpoints"]] == ["/other"]
    assert second.result["totals"]["requests"] == target.total() - before


def test_ctrl_c_in_the_client_stops_the_run_of_the_service(service, visitor, target: CountingServer, tmp_path) -> None:
    run = start_obswarm(*service.arguments(visitor, "-H", target.url, "-u", 5, "-r", 50), cwd=tmp_path)
    wait_until(target.total)
    status, refusal = service.ask("/api/v1/runs", body=b"\x80")
    assert status == 400
    wait_until(lambda: service.status()["state"] == "running", service.log)
    other = service.run(visitor, "-H", target.url, "-t", "1s", cwd=tmp_path)
    assert other.code == 2
    assert "is in progress; wait for its end or stop it." in other.stderr
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=HANG_S)
    assert run.returncode == 130, err
    assert "interrupted by Ctrl-C" in out
    assert refusal["error"].startswith("not a request for a run")


def test_a_master_that_is_killed_goes_on_with_the_run_and_nothing_is_lost(
    service, visitor, target: CountingServer, tmp_path
) -> None:
    run = start_obswarm(
        *service.arguments(visitor, "-H", target.url, *["-u", "10", "-r", "50", "-t", "8s", "--json", "-"]),
        cwd=tmp_path,
    )
    wait_until(lambda: target.total() >= 200)
    service.master.kill()
    service.master.wait(HANG_S)
    time.sleep(0.5)
    service.start_master()
    out, err = run.communicate(timeout=HANG_S)
    assert run.returncode == 0, err
    assert "Continuing the run" in err
    result = json.loads(out)
    assert result["totals"]["requests"] == target.total()
    assert result["lost"] == []


def test_refused_clients_get_a_sentence_and_exit_code_2(service, visitor, loadtest, tmp_path) -> None:
    assert service.ask("/api/v1/service", token="wrong")[0] == 401
    assert service.ask("/api/v1/runs/nix/news")[0] == 404
    wrong = forked_obswarm("run", visitor, "--master", service.url, "--api-token", "wrong", cwd=tmp_path)
    assert wrong.code == 2
    assert wrong.stderr == (
        f"The master at {service.url} executes this run.\n"
        f"Error: The master at {service.url} does not accept the token; check --api-token.\n"
    )
    none = forked_obswarm("run", visitor, "--master", service.url, cwd=tmp_path)
    assert none.code == 2
    assert "--master needs --api-token" in none.stderr
    nobody = forked_obswarm(
        "run", visitor, "--master", f"http://127.0.0.1:{free_port()}", "--api-token", "x", cwd=tmp_path
    )
    assert nobody.code == 2
    assert "No master responds at" in nobody.stderr
    present = loadtest(
        "import os\nassert os.getcwd() == " + repr(str(tmp_path)) + ", 'not here'\n" + LOADTEST, "elsewhere.py"
    )
    failed = service.run(present, "-H", "http://127.0.0.1:1", "-t", "1s", cwd=tmp_path)
    assert failed.code == 2
    assert "AssertionError: not here" in failed.stderr
    assert "obswarm/cli" not in failed.stderr, "no traceback of ours"
    wait_until(lambda: service.status()["state"] == "waiting")


def test_an_alert_that_fires_since_before_holds_the_next_run_back(
    service, visitor, target: CountingServer, tmp_path
) -> None:
    def deliver(status: str) -> None:
        alert = {"status": status, "labels": {"alertname": "ShopDown"}, "startsAt": "2020-01-01T00:00:00Z"}
        code, answer = service.ask("/api/v1/alerts", ALERTS_TOKEN, json.dumps({"alerts": [alert]}).encode())
        assert (code, answer["alerts"][0]["reason"]) == (200, "there is no run")

    options = ["-H", target.url, "-u", "2", "-t", "1s", "--json", "-", "--earlier-alerts", "wait"]
    service.wait_for_workers()
    deliver("firing")
    late = service.run(visitor, *options, "--earlier-alerts-max-wait", "2s", cwd=tmp_path)
    assert late.code == 3, late.stderr
    assert late.result["stop_reason"] == {
        "kind": "alert",
        "detail": "The run was not started: ShopDown fired before it and was not resolved within 2s",
    }
    assert (late.result["totals"]["requests"], target.total()) == (0, 0)
    assert "The alert ShopDown fires since 2020-01-01T00:00:00.000Z; the start of the run is delayed" in late.stderr
    service.wait_for_workers()
    deliver("resolved")
    done = service.run(visitor, *options, cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert done.result["totals"]["requests"] == target.total()
    assert "is missing" not in done.stderr, "workers have nothing to tell while the start waits, and are there"


def test_a_master_without_workers_says_so(visitor, tmp_path) -> None:
    port, web_port = free_port(), free_port()
    master = start_obswarm(
        "master", "--serve", "--bind", f"127.0.0.1:{port}", "--web-port", web_port, "--api-token", TOKEN, cwd=tmp_path
    )
    try:
        wait_for_http(f"http://127.0.0.1:{web_port}/healthz", master, lambda: "no log")
        done = forked_obswarm(
            "run", visitor, "--master", f"http://127.0.0.1:{web_port}", "--api-token", TOKEN, cwd=tmp_path
        )
        assert done.code == 2
        assert "no worker is connected to this master." in done.stderr
        with urllib.request.urlopen(f"http://127.0.0.1:{web_port}/metrics") as answer:
            assert 'obswarm_workers{state="ready"} 0.0' in answer.read().decode()
    finally:
        master.send_signal(signal.SIGHUP)
        assert master.wait(HANG_S) == 0
        master.communicate()
