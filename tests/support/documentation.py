"""The snippets of the documentation, and what they need to be run as they stand: a target, names of hosts, a shell."""

import http.server
import json
import os
import re
import shlex
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from tests.support.patience import HANG_S
from tests.support.programs import ROOT

PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{page.name}" for page in ROOT.glob("docs/*.md")))
_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_PROMPT = re.compile(r"^(\w*)\$ +(.*)$")
_COMMENT = re.compile(r"(^|\s+)#\s.*$")


@dataclass(frozen=True)
class Snippet:
    page: str
    line: int
    language: str
    text: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """(whose prompt it is, or "", the command) of a console's snippet."""
        found: list[tuple[str, str]] = []
        goes_on = False
        for line in self.text.splitlines():
            prompt = _PROMPT.match(line)
            assert goes_on or prompt or not line.strip(), f"{self.page}: what is {line!r}?"
            if not line.strip():
                continue
            text = _COMMENT.sub("", line if goes_on or prompt is None else prompt[2]).strip()
            if goes_on:
                role, command = found.pop()
                found.append((role, f"{command} {text.removesuffix(chr(92))}"))
            else:
                assert prompt is not None
                found.append((prompt[1], text.removesuffix("\\")))
            goes_on = text.endswith("\\")
        return found


@cache
def snippets(page: str) -> list[Snippet]:
    text = (ROOT / page).read_text()
    return [
        Snippet(
            page, text.count("\n", 0, found.start()) + 1, found[2], re.sub(rf"^{found[1]}", "", found[3], flags=re.M)
        )
        for found in _FENCE.finditer(text)
    ]


def snippet(page: str, words: str) -> Snippet:
    """The one snippet of a page that has these words. That every snippet has such a call in a test is tested."""
    (found,) = [each for each in snippets(page) if words in each.text]
    return found


class Site:
    """A target for everything that the documentation names; serves while a `with` block lasts."""

    METRICS = "# TYPE mysql_global_status_threads_running gauge\nmysql_global_status_threads_running 3\n"

    def __enter__(self) -> Self:
        outer = self
        self.requests: list[tuple[str, str]] = []
        self.last_headers: dict[str, str] = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65_537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                outer.requests.append((self.command, self.path))
                outer.last_headers = dict(self.headers)
                self._read_body()
                kind, body = "application/json", json.dumps({"status": "queued"}).encode()
                if self.path == "/metrics":
                    kind, body = "text/plain; version=0.0.4", outer.METRICS.encode()
                elif self.path == "/events":
                    kind, body = "text/event-stream", b"data: 1\n\ndata: 2\n\n"
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _read_body(self) -> None:
                if self.headers.get("Transfer-Encoding", "") == "chunked":
                    while size := int(self.rfile.readline(), 16):
                        self.rfile.read(size + 2)
                    self.rfile.readline()
                else:
                    self.rfile.read(int(self.headers.get("Content-Length", 0)))

            def log_message(self, *_: object) -> None: ...

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Shell:
    """Runs the commands of the documentation in a folder, with the hosts that they name replaced by those of this
    machine, and durations and numbers of users by small ones."""

    SMALLER = (
        (r"(-t) \d+[smh]", r"\1 2s"),
        (r"(-u) \d+", r"\1 5"),
        (r"(-r) \d+", r"\1 50"),
        (r"--stages \S+", "--stages 2s:5"),
        (r"--processes \d+", "--processes 2"),
        (r'--arrival-rate "[^"]+"', '--arrival-rate "1s:20/s,1s:20/s"'),
        (r"--arrival-rate \d+/s", "--arrival-rate 20/s"),
    )

    def __init__(self, folder: Path, replaced: dict[str, str]) -> None:
        self.folder = folder
        self.replaced = replaced
        self.environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "CI": "1"}

    def text_of(self, command: str) -> str:
        for name, here in self.replaced.items():
            command = command.replace(name, here)
        for pattern, smaller in self.SMALLER:
            command = re.sub(pattern, smaller, command)
        return command

    def start(self, command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["bash", "-c", self.text_of(command)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> str:
        """What it prints; fails unless it ends with 0."""
        return self.finish(command, self.start(command))

    def finish(self, command: str, process: "subprocess.Popen[str]") -> str:
        try:
            printed, _ = process.communicate(timeout=HANG_S)
        finally:
            process.kill()
        assert process.returncode == 0, f"{self.text_of(command)}\n{printed}"
        return printed

    def run_all(self, text: Snippet, skip: tuple[str, ...] = ()) -> list[str]:
        """What each command prints, one after the other."""
        return [
            self.run(command) for _, command in text.commands if not any(shlex.quote(word) in command for word in skip)
        ]
