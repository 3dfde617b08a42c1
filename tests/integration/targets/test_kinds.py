"""Each figure of a kind against a real server with its real exporter, which have done what is known; the panels of the
dashboards, guards on the figures, and the alerts. Containers are the exception: `obswarm container-stats` is real, the
engine that it asks is a stand-in."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from dashboards.layers.database import POSTGRES, REDIS
from dashboards.layers.machines import HOSTS
from obswarm.targets import Target
from tests.support.docker_api import Container, DockerApi
from tests.support.figures import Check, Figures
from tests.support.haproxy import HaProxy
from tests.support.nginx import Nginx, free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.postgres import Postgres
from tests.support.programs import ROOT, command
from tests.support.prometheus import program
from tests.support.readiness import wait_for_http
from tests.support.redis import Redis


@dataclass(frozen=True, slots=True)
class Servers:
    postgres: Postgres
    redis: Redis
    nginx_url: str
    haproxy: HaProxy
    engine: DockerApi
    container_exporter: "subprocess.Popen[bytes]"
    figures: Figures


SERIES = {
    # As postgres_exporter has them, whether there are any or not.
    "Backends by state": (6,),
    "Commits and rollbacks": (1, 1, 1),
    "Locks by mode": (9,),
    "Containers: CPU": (2,),
    "Containers: throttled": (1,),
}
"""How many each query of a panel gives; one where nothing stands here."""


@contextmanager
def exporter(name: str, *words: str) -> Iterator[str]:
    """Its URL."""
    port = free_port()
    process = subprocess.Popen(
        [program(name), f"--web.listen-address=127.0.0.1:{port}", *words], stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}/metrics"
        wait_for_http(url, process, lambda: name)
        yield url
    finally:
        process.terminate()
        process.wait(HANG_S)


@contextmanager
def container_stats(engine: DockerApi) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Its URL, and itself."""
    port = free_port()
    process = subprocess.Popen(
        command("container-stats", "--listen", f"127.0.0.1:{port}"),
        env={**os.environ, "DOCKER_HOST": engine.url},
        stderr=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}/metrics"
        wait_for_http(url, process, lambda: "container-stats")
        yield url, process
    finally:
        process.terminate()
        process.wait(HANG_S)


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The alerts of the target's layers as they are shipped, but for how long they wait, which promtool looks at."""
    groups = yaml.safe_load((ROOT / "dashboards" / "rules" / "alerts.yml").read_text())["groups"]
    (group,) = [group for group in groups if group["name"] == "obswarm-target"]
    for rule in group["rules"]:
        rule["for"] = "1s"
    path = tmp_path_factory.mktemp("rules") / "alerts.yml"
    path.write_text(yaml.safe_dump({"groups": [group]}))
    return path


@pytest.fixture(scope="module")
def servers(rules: Path) -> Iterator[Servers]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    block = f"server {{ listen 127.0.0.1:{port}; location = /status {{ stub_status; }} location / {{ return 200 there; }} }}"
    with (
        Postgres() as postgres,
        Redis(8_000_000) as redis,
        Nginx(block, port),
        DockerApi(Container("app", 0.5, 3 * 2**20, throttled=0.1), Container("cache", 0.25, 2**20)) as engine,
        container_stats(engine) as (container_metrics, container_exporter),
        HaProxy(port) as haproxy,
        exporter("prometheus-nginx-exporter", f"--nginx.scrape-uri={url}/status") as nginx_metrics,
        exporter("prometheus-node-exporter") as node_metrics,
        Figures(
            Target("database", postgres.metrics_url, "postgres"),
            Target("cache", redis.metrics_url, "redis"),
            Target("front", nginx_metrics, "nginx"),
            Target("machine", node_metrics, "node"),
            Target("containers", container_metrics, "cadvisor"),
            Target("balancer", haproxy.metrics_url, "haproxy"),
            rule_files=(rules,),
        ) as figures,
    ):
        yield Servers(postgres, redis, url, haproxy, engine, container_exporter, figures)


def between(low: float, high: float) -> Check:
    return lambda value: low <= value <= high


def test_redis(servers: Servers) -> None:
    server = servers.redis
    idle = [server.connect() for _ in range(4)]
    waiting = [server.connect() for _ in range(3)]
    for connection in waiting:
        connection.send("BLPOP nothing 0")
    busy = server.connect()
    assert busy.ask(*["PING"] * 500) == ["+PONG"] * 500
    assert busy.ask(*["GET missing"] * 50) == ["$-1"] * 50
    value = "x" * 50_000
    for number in range(400):
        busy.ask(f"SET key{number} {value}")
    evicted, used = (float(busy.numbers()[name]) for name in ("evicted_keys", "used_memory"))
    assert evicted > 100
    servers.figures.wait_for(
        "redis",
        {
            # And what the exporter asks.
            "commands": servers.figures.counted(500 + 50 + 400, own_per_s=100),
            "connected clients": between(4 + 3 + 1, 4 + 3 + 1 + 3),
            "blocked clients": between(3, 3),
            "memory": between(used * 0.8, used * 1.2),
            "evictions": between(evicted, 2 * evicted),
        },
    )
    servers.figures.wait_for_panels(REDIS.graphs, SERIES)
    for connection in (*idle, *waiting, busy):
        connection.close()


def test_postgres(servers: Servers) -> None:
    server = servers.postgres
    server.execute("CREATE TABLE rows (id INT PRIMARY KEY, value INT); INSERT INTO rows VALUES (1, 0), (2, 0)")
    counts = "SELECT sum(xact_commit), sum(xact_rollback) FROM pg_stat_database"
    before = [int(value) for value in server.execute(counts).split("|")]
    sessions = [server.session("SELECT pg_sleep(600);") for _ in range(5)]
    sessions += [server.session("SELECT count(pg_advisory_lock(n)) FROM generate_series(1, 40) AS n;")]
    server.execute("UPDATE rows SET value = value + 1 WHERE id = 1;\n" * 200)
    server.execute("BEGIN;\nUPDATE rows SET value = 0;\nROLLBACK;\n" * 50)
    first = server.session("BEGIN;\nUPDATE rows SET value = 1 WHERE id = 1;\n\\echo held")
    assert first.stdout is not None
    assert first.stdin is not None
    assert first.stdout.readline() == "held\n"
    second = server.session("BEGIN;\nUPDATE rows SET value = 1 WHERE id = 2;\n\\echo held")
    assert second.stdout is not None
    assert second.stdin is not None
    assert second.stdout.readline() == "held\n"
    # Each waits for the other: one of them is ended by the server.
    second.stdin.write("UPDATE rows SET value = 1 WHERE id = 1;\n")
    first.stdin.write("UPDATE rows SET value = 1 WHERE id = 2;\n")
    for session in (first, second):
        session.stdin.flush()
    for session in (first, second):
        session.communicate(timeout=HANG_S)
    servers.figures.wait_for(
        "postgres",
        {
            # Those of the test, and the exporter's own while it asks.
            "active backends": between(5, 5 + 4),
            "backends": between(6, 6 + 6),
            "connections limit": between(37, 37),
            "commits": servers.figures.counted(200, own_per_s=200),
            "rollbacks": between(50, 2 * 50),
            "deadlocks": between(1, 2),
            "locks": between(40, 40 + 20),
        },
    )
    after = [int(value) for value in server.execute(counts).split("|")]
    assert after[0] - before[0] >= 200
    servers.figures.wait_for_panels(POSTGRES.graphs, SERIES)
    for session in sessions:
        session.kill()
        session.communicate()


def test_nginx(servers: Servers) -> None:
    for _ in range(100):
        urllib.request.urlopen(f"{servers.nginx_url}/", timeout=HANG_S).close()
    servers.figures.wait_for(
        "nginx",
        {
            # Those of its exporter, which asks for two readers once a second.
            "connections": between(1, 5),
            "idle connections": between(0, 4),
            "requests": servers.figures.counted(100, own_per_s=10),
        },
    )


def test_node(servers: Servers) -> None:
    with open("/proc/meminfo", encoding="ascii") as file:
        total = 1024 * int(file.readline().split()[1])
    servers.figures.wait_for(
        "node",
        {
            "CPU": between(0, 1),
            "load": between(0, 1000),
            "memory available": between(total * 0.001, total),
            "CPU pressure": lambda value: value >= 0,
            "I/O pressure": lambda value: value >= 0,
            "disk time": lambda value: value >= 0,
            "TCP segments repeated": lambda value: value >= 0,
        },
    )
    servers.figures.wait_for_panels(HOSTS.graphs, SERIES)


def test_containers(servers: Servers) -> None:
    periods, throttled = 10 * 30, 0.1
    servers.figures.wait_for(
        "cadvisor",
        {
            "CPU cores in use": servers.figures.counted(0.5, own_per_s=2),
            # Whole periods, of few at first.
            "periods throttled": between(throttled * (1 - 10 / periods) - 0.1, throttled + 0.1),
            "memory": between(4 * 2**20, 4 * 2**20),
        },
    )


def test_haproxy(servers: Servers) -> None:
    for _ in range(30):
        urllib.request.urlopen(f"{servers.haproxy.url}/", timeout=HANG_S).close()
        with pytest.raises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(f"{servers.haproxy.url}/broken", timeout=HANG_S)
        assert raised.value.code == 503
        raised.value.close()
    servers.figures.wait_for(
        "haproxy",
        {
            # Those of the two readers.
            "sessions": between(0, 4),
            "queue": between(0, 0),
            "servers up": between(1, 1),
            "response time": between(0, 5),
            "queue time": between(0, 5),
            "5xx": between(30, 2 * 30),
            "slots in use": between(0, 4),
            "slots": between(20, 20),
            "failed health checks": between(0, 0),
            # For /broken there is no server to connect to.
            "connection errors": between(30, 2 * 30),
        },
    )


@pytest.mark.parametrize("name", ["database", "cache", "front", "machine", "balancer", "containers"])
def test_all_series_of_an_exporter_are_those_that_prometheus_has(servers: Servers, name: str) -> None:
    servers.figures.wait_for_series(name)


def test_guards_on_figures(servers: Servers) -> None:
    servers.figures.wait_for_guards("postgres", "redis", "cadvisor")


def test_alerts(servers: Servers) -> None:
    """Each is silent until there is a reason, and fires then."""
    postgres, redis, figures = servers.postgres, servers.redis, servers.figures

    def firing() -> set[tuple[str, str]]:
        """Of the targets that this test changes; the others share the machine with other tests."""
        return {each for each in figures.firing() if each[1] in ("database", "cache", "containers", "app")}

    # What the tests before this one have evicted has left the window of the rate.
    wait_until(lambda: not firing())
    # Of 37; the question is asked by one as well, and tests before this one have left some that sleep.
    present = int(postgres.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'")) - 1
    connections: list[socket.socket] = []
    # The exporter's own may have come between, and have taken the last one.
    with suppress(ConnectionError):
        while len(connections) < 35 - present:
            connections.append(postgres.connect())
    busy = redis.connect()
    servers.engine.containers["app"].throttled = 0.9

    def keep_evicting() -> None:
        for number in range(20):
            busy.ask(f"SET more{number}:{time.monotonic()} {'x' * 50_000}")

    expected = {("DatabaseConnectionsExhausted", "database"), ("CacheEvicts", "cache"), ("ContainerThrottled", "app")}
    ask_often(lambda: firing() == expected, keep_evicting)
    for connection in connections:
        connection.close()
    busy.close()
    servers.engine.containers["app"].throttled = 0.1
    postgres.stop_exporter()
    redis.stop_exporter()
    servers.container_exporter.terminate()
    expected = {("TargetDown", "database"), ("TargetDown", "cache"), ("TargetDown", "containers")}
    wait_until(lambda: firing() == expected)
    # And guards on them say so.
    for name, query in {
        "database": "max(pg_settings_max_connections)",
        "cache": "max(redis_connected_clients)",
        "containers": "sum(container_memory_working_set_bytes)",
    }.items():
        wait_until(
            lambda query=query, name=name: all(  # type: ignore[misc]  # mypy knows no defaults of lambdas
                reason.startswith(f"the target {name} is down: ") for reason in figures.reasons(query)
            )
        )


def ask_often(condition: Callable[[], bool], meanwhile: Callable[[], None]) -> None:
    """Until it holds, doing something all the time."""

    def holds() -> bool:
        meanwhile()
        return condition()

    wait_until(holds)
