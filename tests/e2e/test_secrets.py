"""A secret in every place where one can stand is found in nothing that a run leaves behind, shows, or lets others see.

One run, by a master that stays and its worker: the client writes all outputs, the master has the request for the run,
the worker the load test's files.
"""

import stat
import subprocess
import threading
import urllib.request
from pathlib import Path

import pytest

from obswarm.store import FILE, Store
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import CountingServer, command, start_obswarm
from tests.support.readiness import wait_for_http

SECRET = "PLANTED"
LOADTEST = """
from obswarm import FastHttpUser, HttpUser, constant, events, task

API_KEY = "PLANTED-in-the-source"

@events.init_command_line_parser.add_listener
def add_options(parser):
    parser.add_argument("--shop-password", default="")
    parser.add_argument("--pin", default="", is_secret=True)
    parser.add_argument("--header", default="")
    parser.add_argument("--monkey", default="")

class Visitor(FastHttpUser):
    wait_time = constant(0.1)

    @task
    def pages(self):
        options, url = self.environment.parsed_options, self.host
        # With the text in pieces, which is no secret to anybody who reads it.
        assert options.shop_password == "PLAN" + "TED-password" and options.pin == "PLAN" + "TED-pin"
        self.client.get("/own", headers={"Authorization": "Bearer PLANTED-in-the-header"})
        self.client.get(f"{url}/page?access_token=PLANTED-in-the-query", name=f"{url}/named")
        self.client.get("/page?access_token=PLANTED-in-the-query")
        with self.client.get("/fail", catch_response=True) as response:
            response.failure(f"{url} answers: password=PLANTED-in-the-failure")
        self.client.get("http://user:PLANTED@127.0.0.1:1/refused")
        raise ValueError(f"nothing at {url}")

class Other(HttpUser):
    wait_time = constant(0.1)

    @task
    def pages(self):
        proxies = {"http": "http://user:PLANTED-proxy@127.0.0.1:1"}
        self.client.get("/proxied?signature=PLANTED-signature", proxies=proxies)
        self.client.get("/own", cookies={"session": "PLANTED-in-the-cookie"})
        proxies = {"http": "socks5://user:PLANTED-proxy@127.0.0.1:1"}
        self.client.get("/proxied", proxies=proxies)
"""


class RunObserver:
    """What others see of the programs while they run."""

    def __init__(self, pids: list[int], state: Path) -> None:
        self._pids = pids
        self._state = state
        self.command_lines: dict[int, str] = {}
        """The last ones: what a person has typed can be seen until the process has read it."""
        self.of_children: set[str] = set()
        """All of them: no process is started with a secret."""
        self.open_to_others: set[str] = set()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "RunObserver":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(0.1):
            for pid in self._all():
                try:
                    line = Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
                except OSError:
                    continue
                self.command_lines[pid] = line or self.command_lines.get(pid, "")
                if pid not in self._pids:
                    self.of_children.add(line)
            self.open_to_others |= set(open_to_others(self._state))

    def _all(self) -> list[int]:
        found = list(self._pids)
        for pid in found:
            try:
                found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            except OSError:
                continue
        return found


def open_to_others(folder: Path) -> list[str]:
    """Files in it that others may read, by their own rights and those of the folders on the way."""
    found = []
    for path in folder.rglob("*"):
        try:
            way = [path, *(each for each in path.parents if each != folder and folder in each.parents)]
            is_open = all(each.stat().st_mode & (0o004 if each.is_file() else 0o001) for each in way)
            if path.is_file() and is_open:
                found.append(f"{path} {stat.filemode(path.stat().st_mode)}")
        except OSError:
            continue
    return found


def contents_with_secrets(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def wait_for_nothing_in(folder: Path) -> None:
    """But for the marks of folders that are in use, by programs that stay."""

    def left() -> list[Path]:
        return [path for path in folder.rglob("*") if path.is_file() and path.name != ".obswarm-owner"]

    wait_until(lambda: not left(), left)


def start(command_name: str, *arguments: object, cwd: Path) -> "subprocess.Popen[bytes]":
    with open(cwd / f"{command_name}.err", "wb") as file:
        return subprocess.Popen(command(command_name, *arguments), cwd=cwd, stdout=file, stderr=file)


def test_a_secret_in_every_place_is_found_in_none(
    tmp_path: Path, target: CountingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there, temporary = (tmp_path / name for name in ("here", "there", "temporary"))
    for folder in (here, there, temporary):
        folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("OBSWARM_GRAFANA_TOKEN", "PLANTED-of-the-environment")
    monkeypatch.setenv("OBSWARM_STORE", "")
    monkeypatch.setenv("OBSWARM_NO_REPORT", "")
    (here / "loadtest.py").write_text(LOADTEST)
    with_password = target.url.replace("//", "//user:PLANTED@")
    (here / "obswarm.toml").write_text(
        # Where nobody listens, since others refuse what is no Prometheus.
        "prometheus_url = 'http://user:PLANTED@127.0.0.1:1'\nprometheus_token = 'PLANTED-prometheus'\n"
        f"prometheus_proxy = 'http://user:PLANTED-proxy@127.0.0.1:1'\ngrafana_url = '{with_password}?token=PLANTED'\n"
        "alerts_token = 'PLANTED-of-the-file'\n"
    )
    port, web_port = free_port(), free_port()
    url = f"http://127.0.0.1:{web_port}"
    master_options = ["--bind", f"127.0.0.1:{port}", "--web-port", web_port, "--logfile", "master.log"]
    programs = [
        start("master", "--serve", *master_options, "--api-token", "PLANTED-api", cwd=there),
        start("worker", "--serve", "--master", f"127.0.0.1:{port}", "--logfile", "worker.log", cwd=there),
    ]
    try:
        wait_for_http(f"{url}/healthz", programs[0], (there / "master.err").read_text)
        client = start_obswarm(
            *("run", "loadtest.py", "-H", with_password, "-u", 4, "-r", 50, "-t", "2s", "--linger", 0, "--headless"),
            *("--master", url, "--api-token", "PLANTED-api", "--logfile", "run.log", "--loglevel", "DEBUG"),
            *("--remote-write", f"{with_password}/write?api_key=PLANTED", "--remote-write-token", "PLANTED-write"),
            *("--stop-when", "promql(up) > 9", "--require", "p50 < 9s", "--label", "monkey=kept"),
            *("--shop-password", "PLANTED-password", "--pin=PLANTED-pin", "--monkey", "kept-monkey"),
            *("--prometheus-header", "X-Api-Key: PLANTED-a", "--prometheus-header=X-Secret:PLANTED-b"),
            *("--header", "Authorization: Basic PLANTED1", "--csv", "csv/run", "--csv-full-history"),
            *("--json", "result.json", "--junit", "junit.xml"),
            cwd=here,
        )
        with RunObserver([*(each.pid for each in programs), client.pid], there) as watch:
            out, err = client.communicate(timeout=HANG_S)
            wait_for_nothing_in(temporary)
        # It goes on telling what it has measured.
        with urllib.request.urlopen(f"{url}/metrics", timeout=HANG_S) as answer:
            metrics = answer.read().decode()
    finally:
        for program in programs:
            program.terminate()
        for program in programs:
            program.wait(HANG_S)
    assert client.returncode == 1, err
    assert target.counts()["/own"] > 10, "the password is of use to the users"

    # What is shown.
    for text in (out, err, metrics, *watch.command_lines.values(), *watch.of_children):
        assert SECRET not in text
    assert f'host="{target.url}"' in metrics
    assert "obswarm_request_errors_total{" in metrics
    assert any("--monkey\0kept-monkey\0" in line for line in watch.command_lines.values())
    assert len(watch.of_children) >= 2
    # What is kept: all outputs are there, readable by their owner alone, and without it.
    (run_id,) = (path.stem for path in (here / ".obswarm" / "reports").iterdir())
    written = {path.relative_to(here).as_posix() for path in here.rglob("*") if path.is_file()}
    csv = {f"csv/run_{name}.csv" for name in ("stats", "failures", "exceptions", "stats_history")}
    outputs = {"result.json", "junit.xml", "run.log", f".obswarm/{FILE}", f".obswarm/reports/{run_id}.html", *csv}
    assert outputs <= written
    made_by_hand = {str(here / "loadtest.py"), str(here / "obswarm.toml")}
    assert {line.split()[0] for line in open_to_others(here)} <= made_by_hand
    assert set(contents_with_secrets(here)) <= made_by_hand
    with Store(here / ".obswarm" / FILE) as store:
        run = store.find(run_id)
        assert (run.host, run.configuration["monkey"]) == (target.url, "kept-monkey")
        assert run.configuration["prometheus_headers"] == ["X-Api-Key: ***", "X-Secret: ***"]
        assert {"shop_password", "pin", "remote_write_token", "prometheus_token"}.isdisjoint(run.configuration)
        assert SECRET not in repr(run) + "\n".join(store._connection.iterdump())
        (source,) = store.loadtests(run)
        assert "class Visitor(FastHttpUser)" in source.text.decode()
        assert SECRET not in source.text.decode()
    # What is left of the master and of its worker.
    assert " DEBUG " in (there / "master.log").read_text(), "its log has what was logged in the run"
    assert watch.open_to_others <= {f"{there / name} -rw-r--r--" for name in ("master.err", "worker.err")}
    assert contents_with_secrets(there) == []
    assert list(temporary.iterdir()) == []
