"""`obswarm mcp`: assistants read runs by its tools, and start and stop them only where that was allowed."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from obswarm.cli.main import cli
from obswarm.errors import ObswarmError
from obswarm.web import mcp as module
from tests.support.documentation import snippet
from tests.support.listening import listening
from tests.support.nginx import free_port
from tests.support.page_server import INTRUDER, StubMaster
from tests.support.patience import HANG_S
from tests.support.programs import command, obswarm
from tests.support.recorded import Runs

READING = {"list_runs", "explain_run", "compare_runs", "run_status", "watch_run", "describe_loadtest"}
ACTING = {"start_run", "stop_run"}


class Assistant:
    """The program of an assistant, which has started `obswarm mcp`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._number = 0
        self.about = self.request(
            "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo={"name": "test", "version": "1"}
        )["result"]
        self._write({"method": "notifications/initialized"})

    def _write(self, message: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self._process.stdin.flush()

    def request(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self._write({"id": self._number, "method": method, "params": parameters})
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def tools(self) -> dict[str, Any]:
        return {each["name"]: each for each in self.request("tools/list")["result"]["tools"]}

    def call(self, name: str, **arguments: Any) -> tuple[bool, str]:
        """Call a tool; returns whether it worked, and its text."""
        result = self.request("tools/call", name=name, arguments=arguments)["result"]
        return not result.get("isError", False), result["content"][0]["text"]


@contextmanager
def assistant(folder: Path, *arguments: object) -> Iterator[Assistant]:
    process = subprocess.Popen(
        command("mcp", *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
    )
    try:
        yield Assistant(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(HANG_S) == 0, "it ends with its input"
    finally:
        process.kill()


@pytest.fixture
def master() -> Iterator[StubMaster]:
    found = StubMaster(endpoints=30)
    yield found
    found.close()


def test_an_assistant_reads_the_present_run(master: StubMaster, tmp_path: Path) -> None:
    with assistant(tmp_path, "--url", master.url) as it:
        assert "never" in it.about["instructions"]
        tools = it.tools()
        assert set(tools) == READING
        assert all(each["annotations"]["readOnlyHint"] for each in tools.values())
        works, text = it.call("run_status")
        assert works
        found = json.loads(text)
        assert found["status"]["run_id"] == master.run_id
        assert len(found["endpoints"]) == 20
        assert found["further_endpoints"] == 10
        assert INTRUDER in text.replace('\\"', '"')
        works, text = it.call("watch_run", seconds=0.1)
        watched = json.loads(text)
        assert works
        assert [each["state"] for each in watched["watched"]] == ["running"]
        assert watched["status"] == found["status"]
        assert json.loads(it.call("describe_loadtest")[1])["name"] == "loadtest.py"
        assert it.call("watch_run", seconds=1e9)[0] is False
        for tool in ACTING:
            assert it.call(tool) == (False, f"Unknown tool: {tool}")
    assert master.commands == []


def test_runs_are_started_and_stopped_where_that_is_allowed(master: StubMaster, tmp_path: Path) -> None:
    with assistant(tmp_path, "--url", master.url, "--allow-run") as it:
        tools = it.tools()
        assert set(tools) == READING | ACTING
        assert all(tools[name]["annotations"]["destructiveHint"] for name in ACTING)
        works, text = it.call("start_run", users=13)
        assert (works, "13 users are not allowed" in text) == (False, True)
        works, text = it.call("start_run", users=5, spawn_rate=2, options={"account": "demo"})
        assert (works, json.loads(text)) == (True, {"run_id": master.run_id})
        assert it.call("stop_run", abort=True)[0]
        assert master.commands[1:] == [
            ("/start", {"users": 5, "spawn_rate": 2, "options": {"account": "demo"}}),
            ("/stop", {"reason": "stopped by an assistant", "abort": True}),
        ]
        # Of a run that has ended there is nothing to wait for.
        assert [each["state"] for each in json.loads(it.call("watch_run", seconds=60)[1])["watched"]] == ["stopped"]


def test_an_assistant_reads_stored_runs(tmp_path: Path) -> None:
    runs = Runs(tmp_path / ".obswarm" / "runs.sqlite")
    runs.make(1, seconds=30)
    runs.make(2, seconds=30, slower=3.0)
    ((_, server),) = json.loads(snippet("docs/assistants.md", "mcpServers").text)["mcpServers"].items()
    assert server["command"] == "obswarm"
    assert server["args"][0] == "mcp"
    url = f"http://127.0.0.1:{free_port()}"
    with assistant(tmp_path, *server["args"][1:], "--url", url) as it:
        works, text = it.call("list_runs", last=1)
        assert works
        assert [run["run_id"] for run in json.loads(text)] == ["20260132-120000-aaaa"]
        works, text = it.call("compare_runs", base="20260131")
        found = json.loads(text)
        assert (works, found["base"], found["run"]) == (True, "20260131-120000-aaaa", "20260132-120000-aaaa")
        assert it.call("explain_run")[0]
        # A run's name is none of the command's options, and errors are sentences.
        works, text = it.call("explain_run", run="--help")
        assert not works
        assert "--help" in text
        assert "Usage" not in text
        works, text = it.call("run_status")
        assert not works
        assert "`obswarm run loadtest.py --web`" in text


def test_the_token_is_sent_and_its_lack_is_said(tmp_path: Path) -> None:
    master = StubMaster(token="swordfish")
    try:
        with assistant(tmp_path, "--url", master.url) as it:
            works, text = it.call("run_status")
            assert (works, "--token-file FILE" in text) == (False, True)
        (tmp_path / "token").write_text("swordfish\n")
        with assistant(tmp_path, "--url", master.url, "--token-file", "token") as it:
            assert it.call("run_status")[0]
            (tmp_path / "token").unlink()
            works, text = it.call("run_status")
            assert (works, "--token-file token: cannot be read" in text) == (False, True)
    finally:
        master.close()


def test_an_answer_that_does_not_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_ANSWER_BYTES", 1_000_000)
    sent = 0

    def endless(environ: Any, start_response: Any) -> Iterator[bytes]:
        nonlocal sent
        start_response("200 OK", [("Content-Type", "application/json")])
        while sent < 500_000_000:
            sent += 100_000
            yield b" " * 100_000

    with listening(endless) as address, pytest.raises(ObswarmError, match="is no server of obswarm"):
        module.ServerApi(f"http://{address}", None).get("/status")
    assert sent < 100_000_000


@pytest.mark.parametrize("url", ["shop", "ftp://127.0.0.1"])
def test_a_wrong_address_is_a_usage_error(url: str) -> None:
    done = obswarm("mcp", "--url", url)
    assert done.code == 2
    assert "--url" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_sdk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obswarm.cli.mcp.find_spec", lambda name: None)
    done = CliRunner().invoke(cli, ["mcp"])
    assert isinstance(done.exception, ObswarmError)
    assert "pip install 'obswarm[mcp]'" in str(done.exception)
