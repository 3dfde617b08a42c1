"""What `obswarm run` exports, and what it says when it cannot."""

import socket
import time
import urllib.request

import pytest

from tests.support.forked import forked_obswarm
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import CountingServer, start_obswarm

COMMON = ("run", "examples/basic.py", "--headless", "-u", 2, "-r", 10, "-t", "1s")


def test_the_default_port_moves_to_the_next_free_one_and_says_so(target: CountingServer) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        is_ours, text = False, "Port 8089 is in use; /metrics is served on port "
        for _ in range(10):
            try:
                taken.bind(("127.0.0.1", 8089))
                taken.listen()
                is_ours = True
            except OSError:
                pass  # somebody else has taken it, which serves as well unless he ends meanwhile
            done = forked_obswarm(*COMMON, "-H", target.url)
            if is_ours or text in done.stderr:
                break
    assert done.code == 0, done.stderr
    assert text in done.stderr
    port = int(done.stderr.partition(text)[2].split()[0].rstrip("."))
    assert port != 8089
    assert f"Metrics for Prometheus: http://127.0.0.1:{port}" in done.stderr


def test_a_port_that_was_asked_for_and_is_taken_is_an_error(target: CountingServer) -> None:
    done = forked_obswarm(*COMMON, "-H", target.url, "--web-port", target.port)
    assert done.code == 2
    assert f"--web-port {target.port} at 127.0.0.1: cannot listen on it: Address already in use" in done.stderr
    assert target.total() == 0


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--label", "1=2"), "'1' is not a valid label name"),
        (("--label", "method=x"), "'method' is reserved by obswarm or Prometheus"),
        (("--trace-sample", "lots"), "'lots' is not a share"),
        (("--trace-sample", "200%"), "between 0 and 100%"),
        (("--remote-write", "prometheus:9090"), "is not a URL"),
        (("--remote-write-token", "x"), "--remote-write-token needs --remote-write URL"),
        (("--remote-write", "http://x/", "--remote-write-auth", "user"), "USER:PASSWORD"),
        (
            ("--remote-write", "http://x/", "--remote-write-auth", "u:p", "--remote-write-token", "t"),
            "exclude each other",
        ),
        (("--metrics-addr", "203.0.113.7"), "cannot listen on it"),
        (("--web-port", "70000"), "70000 is not in the range"),
    ],
)
def test_wrong_options_end_in_a_sentence(target: CountingServer, options: tuple[str, ...], complaint: str) -> None:
    done = forked_obswarm(*COMMON, "-H", target.url, *options)
    assert done.code == 2
    assert complaint in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert target.total() == 0


def test_a_receiver_that_is_not_there_does_not_stop_the_run(target: CountingServer) -> None:
    done = forked_obswarm(
        *COMMON, "-H", target.url, "--remote-write", "http://127.0.0.1:1/api/v1/write", "--linger", "0"
    )
    assert done.code == 0
    assert "Connection refused. The run goes on" in done.stderr
    assert "samples were not delivered" in done.stderr
    assert "Aggregated" in done.stdout


def test_only_metrics_are_served_and_ctrl_c_ends_the_waiting_for_a_scraper(target: CountingServer) -> None:
    port = free_port()
    run = start_obswarm(*COMMON[:-1], "5s", "-H", target.url, "--web-port", port, "--linger", "10m")
    base = f"http://127.0.0.1:{port}"

    def asked(path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        try:
            with urllib.request.urlopen(urllib.request.Request(base + path, headers=headers), timeout=HANG_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return None

    def get(path: str, **headers: str) -> tuple[int, str]:
        found: tuple[int, str] = wait_until(lambda: asked(path, headers), ended=run.poll)
        return found

    assert get("/")[0] == 200
    assert get("/secret") == (404, "There is no /secret; try /metrics.\n")
    assert "obswarm_build_info" in get("/metrics")[1]
    wait_until(lambda: 'obswarm_run_state{state="running"} 1.0' in get("/metrics")[1])
    # From a Prometheus, whose interval it does not know after one scrape: it then waits as long as it may.
    prometheus = {"User-Agent": "Prometheus/3.0", "X-Prometheus-Scrape-Timeout-Seconds": "10"}
    assert get("/metrics", **prometheus)[0] == 200
    assert run.stdout is not None
    assert any("Aggregated" in line for line in run.stdout)
    time.sleep(0.5)
    assert run.poll() is None
    run.terminate()
    _, stderr = run.communicate(timeout=HANG_S)
    assert run.returncode == 0, stderr
