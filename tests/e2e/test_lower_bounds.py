"""The wheel, installed with the oldest versions that pyproject.toml allows, does what a user tries first."""

import os
import re
import subprocess
import tomllib
import urllib.request
from pathlib import Path

from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import ROOT, CountingServer
from tests.support.release import build_distribution, make_environment, try_out

SCRAPE = """
import sys, urllib.request
for accept in ("text/plain", "application/openmetrics-text; version=1.0.0", "application/vnd.google.protobuf"):
    request = urllib.request.Request(sys.argv[1] + "/metrics", headers={"Accept": accept})
    body = urllib.request.urlopen(request, timeout=60).read()
    assert b"obswarm_requests" in body, (accept, body[:300])
print("scraped")
"""


def test_a_run_with_the_oldest_dependencies(tmp_path: Path, target: CountingServer) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = [re.sub(r">=", "==", requirement) for requirement in project["dependencies"]]
    assert all("==" in requirement for requirement in pinned), "every dependency has a lower bound"
    built = build_distribution(tmp_path / "dist")
    python = make_environment(tmp_path / "venv", built.wheel, *pinned)
    user = tmp_path / "user"
    user.mkdir()
    # A ramp as short as that shows a knee only where there is nothing else to do.
    try_out(python, user, "--duration", "15s", demo_codes=(0, 1))
    test = ROOT / "examples" / "basic.py"
    port = free_port()
    run = subprocess.Popen(
        [
            *(python, "-m", "obswarm", "run", test, "-H", target.url, "-u", "5", "-r", "5", "-t", "10m", "--headless"),
            *("--web-port", str(port), "--linger", "0"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=user,
    )
    wait_until(lambda: b"obswarm_requests_total{" in _metrics(port), ended=run.poll)
    url = f"http://127.0.0.1:{port}"
    scraped = subprocess.run([python, "-c", SCRAPE, url], capture_output=True, text=True, timeout=HANG_S, check=False)
    run.terminate()
    stdout, stderr = run.communicate(timeout=HANG_S)
    assert (scraped.stdout, scraped.stderr) == ("scraped\n", "")
    assert run.returncode == 130, stderr
    assert "Aggregated" in stdout
    nowhere = "unix:///nowhere.sock"
    status = subprocess.run(
        [python, "-m", "obswarm", "status"],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
        cwd=user,
        env={**os.environ, "DOCKER_HOST": nowhere},
    )
    assert (status.returncode, nowhere in status.stderr) == (2, True), "the client for Docker is one that works"


def _metrics(port: int) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=HANG_S) as answer:
            body: bytes = answer.read()
            return body
    except OSError:
        return b""
