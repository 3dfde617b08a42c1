"""The fixtures of the plug-in for pytest, in a pytest of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documentation import snippet
from tests.support.programs import CountingServer

TESTS = """
def test_requests(session):
    response = session.get("/page")
    assert response.ok and response.url.endswith("/page")
    with session.get("/page", catch_response=True) as response:
        response.success()


def test_fast(fastsession):
    assert fastsession.get("/page").status_code == 200
"""


def run(folder: Path, *arguments: str, conftest: str = "") -> "subprocess.CompletedProcess[str]":
    (folder / "test_site.py").write_text(TESTS)
    (folder / "conftest.py").write_text(conftest)
    command = [sys.executable, "-W", "error", "-m", "pytest", "-q", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=180, check=False)


def test_sessions(tmp_path: Path) -> None:
    with CountingServer() as server:
        done = run(tmp_path, "-p", "obswarm.locust.pytest_plugin", "--host", server.url)
        assert "2 passed" in done.stdout, done.stdout + done.stderr
        named = snippet("docs/coming-from-locust.md", "pytest_plugins").text
        done = run(tmp_path, f"--host={server.url}", conftest=named)
        assert "2 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("host", "told"), [("--host=ftp://x", "--host: "), ("-v", "MissingHost")], ids=["no base URL", "none"]
)
def test_a_host_that_is_none(tmp_path: Path, host: str, told: str) -> None:
    done = run(tmp_path, "-p", "obswarm.locust.pytest_plugin", host)
    assert done.returncode == 1
    assert told in done.stdout


def test_the_plugin_is_loaded_only_by_name(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert "fixture 'session' not found" in done.stdout
