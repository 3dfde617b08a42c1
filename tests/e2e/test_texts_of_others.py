"""A target and a load test whose texts are markup and commands: the run ends as usual, and shows them as text."""

import csv
import json
import socket
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_run_command import on_a_terminal
from tests.support.programs import obswarm

REASON = b"no [/b] such \x1b[31m\x1b]0;title\x07"
SHOWN = "HTTP 503 no [/b] such \\x1b[31m\\x1b]0;title\\x07"

LOADTEST = r"""
import logging
from obswarm import FastHttpUser, Guard, HttpUser, constant, task

guards = [Guard('error_ratio{name="/users/[id]"} > 99% for 30s', name="[/b] \x1b[2J")]

class Fast(FastHttpUser):
    wait_time = constant(0.05)
    @task
    def user(self):
        self.client.get("/users/7", name="/users/[id]")
    @task
    def formula(self):
        self.client.get("/bad", name="=cmd|' /C calc'!A0")
    @task
    def log(self):
        logging.getLogger("shop").warning("seen [/b] \x1b]0;title\x07\nERROR: forged")
        raise RuntimeError("[/b] \x1b[2J\nERROR: forged")
    @task
    def write(self):
        print("[/b] printed", end="", flush=True)

class Plain(HttpUser):
    wait_time = constant(0.05)
    @task
    def bad(self):
        self.client.get("/bad", name="[red]\x1b[2J[/red]")
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a server that fails with REASON."""

    def serve(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while request := lines.readline():
                while lines.readline().strip():
                    pass
                answer = b"503 " + REASON if b"/bad" in request else b"200 OK"
                connection.sendall(b"HTTP/1.1 " + answer + b"\r\nContent-Length: 0\r\n\r\n")

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=[connection], daemon=True).start()

    listener = socket.create_server(("127.0.0.1", 0))
    accepting = threading.Thread(target=accept, daemon=True)
    accepting.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    # What wakes up the one that waits in accept.
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    accepting.join(5)


def run(address: str, file: Path, folder: Path, workers: int) -> list[object]:
    files = [("--json", "result.json"), ("--junit", "junit.xml"), ("--csv", "run")]
    return [
        *("run", file, "-H", address, "-u", 6, "-r", 30, "-t", "3s", "--workers", workers, "--web-port", 0),
        *(word for option, name in files for word in (option, folder / name)),
    ]


def check_files(folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text())
    assert {each["name"] for each in result["endpoints"]} == {
        "/users/[id]",
        "=cmd|' /C calc'!A0",
        "[red]\\x1b[2J[/red]",
    }
    assert all(each["error"].startswith(SHOWN) for each in result["errors"])
    names = [case.get("name") for case in ElementTree.parse(folder / "junit.xml").iter("testcase")]
    assert names == ["[/b] \\x1b[2J"]
    with open(folder / "run_failures.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["Name"] for row in rows} == {"'=cmd|' /C calc'!A0", "[red]\\x1b[2J[/red]"}
    for path in folder.iterdir():
        assert b"\x1b" not in path.read_bytes(), path.name


def test_hostile_texts_are_escaped_in_files(address: str, loadtest, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    done = obswarm(*run(address, loadtest(LOADTEST), folder, 1), "--logfile", folder / "log")
    assert done.code == 1, done.stderr
    check_files(folder)
    for text in ("/users/[id]", "=cmd|' /C calc'!A0", "[red]\\x1b[2J[/red]", SHOWN):
        assert text in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    log = (folder / "log").read_text()
    assert "WARNING shop: seen [/b] \\x1b]0;title\\x07\n  ERROR: forged\n" in log
    assert all(line[:2] in ("20", "  ") for line in log.splitlines())


def test_hostile_texts_are_escaped_on_a_terminal(address: str, loadtest, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    screen = on_a_terminal(run(address, loadtest(LOADTEST), folder, 0))
    check_files(folder)
    for text in ("GET /users/[id]", "[red]\\x1b[2J[/red]", SHOWN, "seen [/b] \\x1b]0;title\\x07", "[/b] printed"):
        assert text in screen
    assert "Traceback (most recent call last)" in screen
    assert "Aggregated" in screen
    for command in ("\x1b]0;", "\x1b[2J", "\x07"):
        assert command not in screen
    assert "MarkupError" not in screen


def test_whatever_the_locale(address: str, loadtest, tmp_path: Path) -> None:
    """A locale of ASCII alone, as a cron job's may be."""
    folder = tmp_path / "files"
    folder.mkdir()
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "OBSWARM_NO_REPORT": ""}
    file = loadtest(LOADTEST.replace("[/b] printed", "größer"))
    done = obswarm(*run(address, file, folder, 1), "--logfile", folder / "log", "--store", tmp_path / "store", **locale)
    assert done.code == 1, done.stderr
    check_files(folder)
    assert "gr\\xf6\\xdfer" in done.stdout
    assert "Report: " in done.stderr
    (report,) = (tmp_path / "store" / "reports").iterdir()
    assert "größer" in report.read_text(encoding="utf-8"), "it has the load test's text"
