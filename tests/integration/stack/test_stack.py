"""`obswarm up` against a real Docker engine: everything healthy, a run through it, an alert that stops one, and nothing
left in the end. Only Grafana's server is a stand-in."""

import functools
import http.server
import json
import os
import re
import shlex
import shutil
import subprocess
import threading
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dashboards.layers.machines import HOSTS
from dashboards.render import filled
from obswarm import __version__
from obswarm.stack.project import HOST_NAME
from obswarm.store import FILE, Store, read_run
from obswarm.targets import KINDS, Target, queries_of
from tests.support.docker_engine import DockerEngine, docker, environment
from tests.support.documentation import Snippet, snippet
from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import ROOT, Finished, obswarm

# The contest's services listen at the same ports there as here.
pytestmark = pytest.mark.xdist_group("contest")

PROJECT = "obswarm-test"
IMAGE = f"obswarm:{__version__}"
LARGEST_IMAGE_BYTES = 200_000_000


class Stack:
    """The commands for one project."""

    def __init__(self, name: str, state: Path, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.environment = {**environment(), "OBSWARM_STATE_HOME": str(state)}

    def command(self, *words: object, **more: str) -> Finished:
        words = (*words, "--project", self.name)
        return obswarm(*words, timeout=400, cwd=self.folder, **{**self.environment, **more})

    def must(self, *words: object) -> Finished:
        done = self.command(*words)
        assert done.code == 0, (words, done.stdout[-2000:], done.stderr[-4000:])
        return done

    @functools.cached_property
    def project(self) -> dict[str, Any]:
        file = Path(self.environment["OBSWARM_STATE_HOME"], "stacks", self.name, "project.json")
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    def get(self, service: str, path: str) -> Any:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.project['ports'][service]}{path}", timeout=HANG_S
        ) as answer:
            return json.load(answer)

    def query(self, text: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("prometheus", f"/api/v1/query?query={urllib.parse.quote(text)}")["data"][
            "result"
        ]
        return found

    def wait_for(self, query: str) -> list[dict[str, Any]]:
        return wait_until(lambda: self.query(query), query, every_s=0.3)

    def containers(self, *more: str) -> list[dict[str, Any]]:
        names = docker("ps", "--quiet", *more, "--filter", f"label=com.docker.compose.project={self.name}").split()
        found: list[dict[str, Any]] = json.loads(docker("inspect", *names)) if names else []
        return found

    @functools.cached_property
    def host_seen_by_containers(self) -> str:
        """This machine's address, as a container has it."""
        hosts = docker("exec", f"{self.name}-prometheus-1", "cat", "/etc/hosts")
        found = re.search(rf"^(\S+)\s+{re.escape(HOST_NAME)}$", hosts, re.MULTILINE)
        assert found is not None, hosts
        return found[1]

    def left(self) -> list[str]:
        """Everything of the project that Docker has."""
        label = ("--quiet", "--filter", f"label=com.docker.compose.project={self.name}")
        kinds = (("ps", "--all"), ("network", "ls"), ("volume", "ls"))
        return [name for kind in kinds for name in docker(*kind, *label).split()]


def words(text: Snippet) -> list[list[str]]:
    """Those of the documentation's commands, without obswarm's name; tests say for which project they are."""
    return [shlex.split(command)[1:] for _, command in text.commands]


@pytest.fixture(scope="module")
def engine():
    # Runs of tests beside these have their web page at the usual port, which a stack does not share.
    with pytest.MonkeyPatch.context() as patch, DockerEngine() as running:
        patch.setenv("OBSWARM_WEB_PORT", str(free_port()))
        yield running


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stacks")


@pytest.fixture(scope="module")
def stack(engine, state: Path, tmp_path_factory: pytest.TempPathFactory):
    made = Stack(PROJECT, state, tmp_path_factory.mktemp("here"))
    docker("rmi", "--force", IMAGE)
    up_again, _ = words(snippet("README.md", "obswarm up --demo"))
    up = made.must(*up_again, "--workers", 2, "--detach")
    made.said = up.stdout + up.stderr
    try:
        yield made
    finally:
        made.command("down", "-v")
    assert made.left() == []
    assert not (state / "stacks" / PROJECT).exists()


def test_up_prints_all_addresses_and_all_services_are_healthy(stack: Stack, state: Path) -> None:
    assert f"Building {IMAGE} from the installed package" in stack.said
    password = stack.project["grafana_password"]
    assert f"http://127.0.0.1:3000    user admin, password {password}" in stack.said
    assert f"Next: obswarm run --project {PROJECT}" in stack.said
    status = stack.must("status").stdout
    for name in ("prometheus", "alertmanager", "grafana", "master", "worker 2", "database", "load-balancer"):
        assert re.search(rf" {name} +healthy", status), status
    folder = state / "stacks" / PROJECT
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("project.json", "stack.env", "grafana_password"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name


def test_nothing_runs_as_root_or_is_reached_from_outside(stack: Stack) -> None:
    containers = stack.containers()
    assert len(containers) == 13
    for each in containers:
        name, host = each["Name"], each["HostConfig"]
        assert each["Config"]["User"] not in ("", "root", "0"), name
        assert not host["Privileged"], name
        assert host["CapDrop"] == ["ALL"], name
        assert "no-new-privileges:true" in host["SecurityOpt"], name
        addresses = {place["HostIp"] for places in (host["PortBindings"] or {}).values() for place in places}
        assert addresses <= {"127.0.0.1"}, name
        assert ":" in each["Config"]["Image"], name
    image = json.loads(docker("image", "inspect", IMAGE))[0]
    assert image["Size"] < LARGEST_IMAGE_BYTES
    assert image["Config"]["User"] == "obswarm"
    assert image["Config"]["Healthcheck"]


def test_grafana_is_given_what_it_needs(stack: Stack) -> None:
    given = stack.get("grafana", "/given")
    assert given["home"] == "obswarm: run"
    assert sorted(given["dashboards"]) == [
        f"obswarm-{name}.json" for name in ("compare", "correlate", "generator", "run")
    ]
    assert len(given["files"]) == 2
    assert given["user"] == 472


def test_a_run_is_made_by_the_stack_and_stands_beside_the_targets_figures(stack: Stack) -> None:
    _, run = words(snippet("README.md", "obswarm up --demo"))
    done = stack.must(*run, "-t", "12s", "--headless", "--json", "-")
    result = done.result
    assert done.stderr.startswith(
        f"The stack {PROJECT} executes this run, because it is running; use --local to run in this process.\n"
    )
    assert f"The stack {PROJECT} has 2 workers." in done.stderr.splitlines()[1]
    assert result["totals"]["failures"] == 0
    assert result["totals"]["requests"] > 100
    assert len(result["workers"]) == 2
    # The master has become a new process without series of that run, and Prometheus may be late: what it has had.
    scraped = stack.wait_for('sum(last_over_time(obswarm_requests_total{job="obswarm"}[2m]))')
    assert float(scraped[0]["value"][1]) == result["totals"]["requests"]
    with Store(Path(os.environ["OBSWARM_STORE"], FILE)) as store:
        stored = read_run(store, store.find(result["run_id"]))
    assert stored.total().requests == result["totals"]["requests"]
    metrics = {(metric.target, metric.name) for metric in stored.samples}
    assert {("mysql", "threads running"), ("haproxy", "servers up"), ("app a", "request time")} <= metrics
    for target, kind in (("haproxy", "haproxy"), ("uwsgi a", "uwsgi"), ("mysql", "mysql"), ("node", "node")):
        missing = {signal.name for signal in KINDS[kind].metrics} - {name for where, name in metrics if where == target}
        # Nobody may have waited for a row.
        assert missing <= {"time per row lock wait"}, target
    native = "histogram_count(sum(last_over_time(obswarm_request_duration_seconds[2m])))"
    assert stack.query(native), "native histograms"
    assert stack.query("max_over_time(mysql_global_status_threads_running[2m])")
    assert stack.query('haproxy_backend_active_servers{proxy="clusters"}')
    assert float(stack.query("sum(increase(haproxy_frontend_http_requests_total[2m]))")[0]["value"][1]) > 50
    assert {each["metric"]["job"] for each in stack.query("max_over_time(up[1m]) == 1")} == {
        "obswarm",
        "haproxy",
        "mysql",
        "node",
        *(f"{what} {which}" for what in ("app", "uwsgi") for which in "ab"),
    }


def test_the_alert_stops_a_run_by_alertmanagers_webhook(stack: Stack) -> None:
    loadtest = stack.folder / "wrong.py"
    loadtest.write_text(
        "from obswarm import FastHttpUser, constant, task\n"
        "class Lost(FastHttpUser):\n"
        "    host = 'http://127.0.0.1:18080'\n"
        "    wait_time = constant(0.2)\n"
        "    @task\n"
        "    def page(self): self.client.get('/not-here')\n"
    )
    done = stack.command("run", loadtest, *["-u", "10", "-r", "10", "-t", "60s", "--headless", "--json", "-"])
    assert done.code == 3, done.stderr
    assert "Workers use the host http://load-balancer:18080 for http://127.0.0.1:18080." in done.stderr
    assert "The alert ErrorSpike fires" in done.result["stop_reason"]["detail"]
    assert done.result["alerts"][0]["source"] == "alertmanager"


def test_the_incident_as_the_documentation_has_it(stack: Stack, state: Path) -> None:
    """A fault of the contest's, and a run that shows it."""
    text = snippet("docs/stack.md", "composed fault no-cache on")
    (_, up), (_, names), (_, fault), (_, run) = text.commands
    assert (up, run) == ("obswarm up --demo --detach", "obswarm run")
    folder = state / "stacks" / PROJECT / "contest"
    names = names.replace("=obswarm ", f"={PROJECT} ").replace(
        "~/.local/state/obswarm/stacks/obswarm/contest", str(folder)
    )
    for state_of_it in ("on", "off"):
        command = f"{names}\n{fault.removesuffix('on')}{state_of_it}"
        done = subprocess.run(
            ["bash", "-ec", command], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        if state_of_it == "on":
            stack.must("run", "-t", "3s", "--headless")


def test_up_again_changes_nothing_and_heals_what_has_crashed(stack: Stack) -> None:
    before = {each["Name"]: (each["Id"], each["State"]["StartedAt"]) for each in stack.containers()}
    stack.must("up", "--detach")
    assert {each["Name"]: (each["Id"], each["State"]["StartedAt"]) for each in stack.containers()} == before
    docker("kill", *(each["Id"] for each in stack.containers()))
    # Its address goes to another one: workers have to look the master up again.
    docker("rm", "--force", f"{PROJECT}-alertmanager-1")
    assert stack.command("status").code == 1
    stack.must("up", "--detach")
    stack.wait_for('obswarm_workers{state="ready"} == 2')
    assert stack.must("status")
    assert len(stack.containers()) == len(before)


class _Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(f'asked{{path="{self.path}"}} 1\n'.encode())

    def log_message(self, *_: object) -> None:
        pass


def test_targets_are_picked_up_without_a_restart_and_those_on_this_machine_are_reached(stack: Stack) -> None:
    gateway = stack.host_seen_by_containers
    before = {each["Name"]: each["Id"] for each in stack.containers()}
    with (
        http.server.ThreadingHTTPServer((gateway, 0), _Metrics) as reached,
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Metrics) as hidden,
    ):
        for server in (reached, hidden):
            threading.Thread(target=server.serve_forever).start()
        (stack.folder / "obswarm.toml").write_text(
            f"[[targets]]\nname = 'mine'\nkind = 'app'\nurl = 'http://127.0.0.1:{reached.server_port}/there?a=b'\n"
        )
        try:
            done = stack.must(*("up", "--detach", "--target", f"hidden=app=http://127.0.0.1:{hidden.server_port}/"))
            found = stack.wait_for('asked{job="mine", kind="app"}')
        finally:
            for server in (reached, hidden):
                server.shutdown()
    assert found[0]["metric"]["path"] == "/there?a=b"
    assert "Warning: the target hidden listens only on this machine's loopback address" in done.stderr
    assert f"Let it also listen on {gateway}." in done.stderr
    assert {each["Name"]: each["Id"] for each in stack.containers()} == before


def test_more_workers_and_what_containers_use(stack: Stack) -> None:
    assert stack.must("scale", "workers=3").stderr.endswith(f"The stack {PROJECT} has 3 workers.\n")
    stack.must("up", "--detach", "--stats")
    expected = {"database", "load-balancer", "cluster-a", "cluster-b"}
    label = "container_label_com_docker_compose_service"
    names = "|".join(expected)
    # Every container is asked for its figures in a greenlet of its own; the first ones come while others have none yet.
    stack.wait_for(
        f'count(count by ({label}) (container_cpu_usage_seconds_total{{{label}=~"{names}"}})) == {len(expected)}'
    )
    found = stack.query('container_cpu_usage_seconds_total{job="containers"}')
    assert "master" not in {each["metric"][label] for each in found}, "it is no target"
    memory = stack.wait_for('container_memory_working_set_bytes{name=~".*database-1"}')
    assert float(memory[0]["value"][1]) > 50e6
    ((_, labelled),) = snippet("docs/stack.md", "io.obswarm.target").commands
    docker(*shlex.split(labelled.replace("my-service", "--rm --name my-service haproxy:3.2 sleep 60"))[1:])
    try:
        stack.wait_for('container_memory_working_set_bytes{name="my-service"}')
    finally:
        docker("rm", "--force", "my-service")
    assert len([each for each in stack.containers() if "worker" in each["Name"]]) == 3, "as before"
    # Without a quota there are no periods that could be throttled.
    docker("update", "--cpus", "0.5", f"{PROJECT}-database-1")
    queries = [query for _, _, query in queries_of([Target("containers", "", "cadvisor", has_kind_label=True)])]
    queries += [
        filled(query.expr) for graph in HOSTS.graphs if graph.title.startswith("Containers") for query in graph.queries
    ]
    for query in queries:
        assert stack.wait_for(f"({query}) >= 0")


def test_two_stacks_side_by_side(stack: Stack, state: Path) -> None:
    other = Stack("obswarm-other", state, stack.folder)
    up, run, down = words(snippet("docs/stack.md", "obswarm down"))
    (stack.folder / "loadtest.py").write_text(
        "from obswarm import User, constant, task\n"
        "class Idle(User):\n"
        "    wait_time = constant(0.5)\n"
        "    @task\n"
        "    def nothing(self): pass\n"
    )
    try:
        other.must(*up, "--detach")
        other.must(*run, "-t", "1s", "--headless")
        taken, own = set(stack.project["ports"].values()), set(other.project["ports"].values())
        assert not taken & own
        assert other.query('up{job="obswarm"} == 1') or other.wait_for('up{job="obswarm"} == 1')
        stored = other.must(*down).stderr
        assert "Its data is still in its volumes" in stored
        assert other.left() != []
        other.must("up", "--detach")
    finally:
        other.must("down", "-v")
    assert other.left() == []
    assert stack.must("status")


def test_logs_are_those_of_the_services(stack: Stack) -> None:
    assert "Waiting for runs at" in stack.must("logs", "master").stdout
    wrong = stack.command("logs", "nix")
    assert wrong.code == 2
    assert f"The stack {PROJECT} has no service nix; it has alertmanager," in wrong.stderr


def test_the_compose_file_can_be_read_without_warnings(stack: Stack) -> None:
    file = Path(__file__).parents[3] / "compose" / "compose.yaml"
    profiles = ("target", "fault", "exporters", "container-stats")
    words = [word for profile in profiles for word in ("--profile", profile)]
    done = subprocess.run(
        ["docker", "compose", "--file", str(file), *words, "config", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
        env=environment(),
    )
    assert done.stderr == ""
    services = json.loads(done.stdout)["services"]
    assert {"mysql-exporter", "machine-exporter", "cadvisor", "neighbour"} <= set(services)
    for name, service in services.items():
        tag = service["image"].rpartition(":")[2]
        assert tag != "latest" or service["image"].startswith("obswarm"), name
        assert {port["host_ip"] for port in service.get("ports", ())} <= {"127.0.0.1"}, name


def test_bad_weather(stack: Stack, state: Path) -> None:
    other = Stack("obswarm-weather", state, stack.folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Metrics) as server:
        taken = other.command("up", "--detach", OBSWARM_WEB_PORT=str(server.server_port))
    assert taken.code == 2
    assert re.search(
        rf"Port {server.server_port}, for web, is in use by \S+ \(process \d+\)\. Stop it, or", taken.stderr
    )
    docker(
        "run", "--detach", "--rm", "--name", "somebody", "--publish", "127.0.0.1:18999:80", "haproxy:3.2", "sleep", "60"
    )
    try:
        somebody = other.command("up", "--detach", OBSWARM_WEB_PORT="18999")
    finally:
        docker("rm", "--force", "somebody")
    assert somebody.code == 2
    assert "Port 18999, for web, is in use by the container somebody." in somebody.stderr
    there = stack.folder / "bin"
    there.mkdir()
    real = shutil.which("docker")
    (there / "docker").write_text(f'#!/bin/sh\n[ "$1" = compose ] && exit 1\nexec {real} "$@"\n')
    (there / "docker").chmod(0o755)
    without = other.command("up", "--detach", PATH=f"{there}:{os.environ['PATH']}")
    assert without.code == 2
    assert without.stderr.startswith("Error: Docker has no Compose plugin. Install version 2.20 or later:")
    pulled = other.command("up", "--detach", OBSWARM_PROMETHEUS_IMAGE=f"127.0.0.1:{free_port()}/prometheus:v9")
    assert pulled.code == 2
    assert "/prometheus:v9 cannot be pulled: " in pulled.stderr
    assert "or choose another image with OBSWARM_PROMETHEUS_IMAGE." in pulled.stderr
    loadtest = stack.folder / "bad.py"
    loadtest.write_text("import nothing_there\n")
    bad = other.command("up", "--detach", "-f", loadtest)
    assert bad.code == 2
    assert "ModuleNotFoundError: No module named 'nothing_there'" in bad.stderr
    loadtest.write_text("from obswarm import User, task\nclass A(User):\n    @task\n    def a(self): pass\n")
    loadtest.chmod(0o600)
    closed = other.command("up", "--detach", "-f", loadtest)
    assert closed.code == 2
    assert (
        "may be read by its owner alone, and containers run as another user. Allow it with: chmod o+r" in closed.stderr
    )
    assert other.left() == []
