"""The parts of the contest, from which both processes and Compose services are made.

Placeholders in commands and environments: {database.mysql} is a port of a part, {database.host} its host for other
parts, {self} the part itself, {listen} the address on which it listens; {app}, {conf} and {run} are the folders of the
application, its configuration and its state, {counters} a folder that is empty when the part starts, {files} that of
its `files`; {contest.…} are the values of SETTINGS.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Target:
    """A metrics endpoint of a part: `kind` as in obswarm.toml."""

    name: str
    kind: str
    path: str
    port: str = "metrics"


@dataclass(frozen=True, slots=True)
class Part:
    """One program. `ports` are those in a container; on this machine, others are used if they are taken. `program` has
    the names of the program on this machine; `package` is its Debian package."""

    name: str
    shows: str
    ports: Mapping[str, int]
    program: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    package: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """Configuration files by name, for programs without arguments or environment for it; with the same placeholders."""

    ready: tuple[str, str] | None = None
    """Port and path that respond when it is ready."""

    targets: tuple[Target, ...] = ()
    image: str | None = None
    """None: built from this folder's Dockerfile."""

    image_command: tuple[str, ...] | None = None
    """Command of the container, if it is not the image's entry point with `arguments`."""

    volumes: tuple[str, ...] = ()
    """Mounts of the container, besides {conf} and {run}."""

    image_environment: Mapping[str, str] = field(default_factory=dict)

    user: str | None = None
    """User of the container, if the image's is root."""

    healthy: tuple[str, ...] | None = None
    """Health check command of the container, if `ready` cannot be used."""

    on_demand: bool = False
    """Only started by a fault."""


SETTINGS: Mapping[str, int | float | str] = {
    "processes": 4,
    "threads": 2,
    "network_delay_s": 0.0,
    "network_loss": 0.0,
    "neighbours": 0,
    "neighbour_s": 0.0,
}
"""Values for commands and environments without a fault; other defaults are the application's own (settings.py)."""

DATABASE_OPTIONS = (
    "--performance-schema=ON",
    "--innodb-buffer-pool-size=192M",
    "--innodb-log-file-size=96M",
    # Once a second instead of at each commit: lost submissions of a second are acceptable.
    "--innodb-flush-log-at-trx-commit=2",
    "--max-connections=200",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--character-set-server=ascii",
)


def _cluster(letter: str, port: int) -> Part:
    return Part(
        name=f"cluster-{letter}",
        shows="the application, on uWSGI",
        ports={"http": port, "metrics": port + 100, "stats": port + 200},
        program=("uwsgi",),
        package="uwsgi-core uwsgi-plugin-python3 python3-flask python3-pymysql python3-prometheus-client",
        arguments=("--ini", "{conf}/uwsgi.ini"),
        environment={
            "CONTEST_APP": "{app}",
            "CONTEST_LISTEN": "{listen}:{self.http}",
            "CONTEST_METRICS": "{listen}:{self.metrics}",
            "CONTEST_STATS": "127.0.0.1:{self.stats}",
            "CONTEST_PROCESSES": "{contest.processes}",
            "CONTEST_THREADS": "{contest.threads}",
            "CONTEST_DATABASE": "{database.host}:{database.mysql}",
            "CONTEST_CHECKER": "{checker.host}:{checker.http}",
            "CONTEST_SETTINGS": "{run}/settings.json",
            "CONTEST_DB_USER": "contest",
            "CONTEST_DB_PASSWORD": "contest",
            "CONTEST_SECRET_KEY": "{contest.secret_key}",
            "CONTEST_SIGNING_KEY": "{contest.signing_key}",
            "PROMETHEUS_MULTIPROC_DIR": "{counters}",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        ready=("http", "/health"),
        targets=(
            Target(f"app {letter}", "app", "/metrics"),
            Target(f"uwsgi {letter}", "uwsgi", "/uwsgi/metrics"),
        ),
    )


PARTS = (
    Part(
        name="database",
        shows="MariaDB with 50,000 users and 200,000 submissions",
        ports={"mysql": 13306},
        program=("mariadbd",),
        package="mariadb-server",
        arguments=(
            "--no-defaults",
            "--datadir={run}/database",
            "--socket={run}/database.sock",
            "--pid-file={run}/database.pid",
            "--bind-address={listen}",
            "--port={self.mysql}",
            *DATABASE_OPTIONS,
        ),
        image="mariadb:11.8",
        image_command=("mariadbd", "--port={self.mysql}", *DATABASE_OPTIONS),
        # Its administrator has no password, and connects inside of the container.
        image_environment={"MARIADB_ALLOW_EMPTY_ROOT_PASSWORD": "1", "MARIADB_ROOT_HOST": "localhost"},
        volumes=(
            "./conf/schema.sql:/docker-entrypoint-initdb.d/1-schema.sql:ro",
            "./conf/data.sql:/docker-entrypoint-initdb.d/2-data.sql:ro",
        ),
        user="mysql",
        # It listens only after the data has been imported.
        healthy=(
            "mariadb-admin",
            "--protocol=tcp",
            "--host=127.0.0.1",
            "--port={self.mysql}",
            "--user=contest",
            "--password=contest",
            "ping",
        ),
    ),
    Part(
        name="checker",
        shows="a service outside, which is asked about each submission",
        ports={"http": 18300},
        program=("python3",),
        arguments=("{app}/checker.py", "{listen}:{self.http}", "{run}/settings.json"),
        ready=("http", "/health"),
    ),
    _cluster("a", 18001),
    _cluster("b", 18002),
    Part(
        name="load-balancer",
        shows="HAProxy: the address that contestants see",
        ports={"http": 18080, "metrics": 18404, "admin": 18405},
        program=("haproxy",),
        package="haproxy",
        arguments=("-db", "-f", "{conf}/haproxy.cfg"),
        environment={
            "CONTEST_LISTEN": "{listen}:{self.http}",
            "CONTEST_METRICS": "{listen}:{self.metrics}",
            "CONTEST_ADMIN": "{listen}:{self.admin}",
            "CONTEST_CLUSTER_A": "{cluster-a.host}:{cluster-a.http}",
            "CONTEST_CLUSTER_B": "{cluster-b.host}:{cluster-b.http}",
        },
        ready=("http", "/health"),
        targets=(Target("haproxy", "haproxy", "/metrics"),),
        image="haproxy:3.2",
        image_command=("haproxy", "-db", "-f", "{conf}/haproxy.cfg"),
    ),
    Part(
        name="database-exporter",
        shows="mysqld_exporter",
        ports={"metrics": 19104},
        program=("prometheus-mysqld-exporter", "mysqld_exporter"),
        package="prometheus-mysqld-exporter",
        arguments=(
            "--web.listen-address={listen}:{self.metrics}",
            # The only way to set the database that both older and newer releases know.
            "--config.my-cnf={files}/exporter.cnf",
            "--collect.perf_schema.eventsstatements",
            "--collect.info_schema.innodb_metrics",
            # There is no replica, and the query for one needs another privilege.
            "--no-collect.slave_status",
        ),
        files={
            "exporter.cnf": "[client]\nhost={database.host}\nport={database.mysql}\nuser=exporter\npassword=exporter\n"
        },
        ready=("metrics", "/metrics"),
        targets=(Target("mysql", "mysql", "/metrics"),),
        image="prom/mysqld-exporter:v0.17.2",
    ),
    Part(
        name="node-exporter",
        shows="node_exporter: CPU, memory, disk",
        ports={"metrics": 19100},
        program=("prometheus-node-exporter", "node_exporter"),
        package="prometheus-node-exporter",
        arguments=("--web.listen-address={listen}:{self.metrics}",),
        ready=("metrics", "/metrics"),
        targets=(Target("node", "node", "/metrics"),),
        image="prom/node-exporter:v1.9.1",
    ),
    Part(
        name="slow-network",
        shows="a line to the database on which everything comes late, or some of it is lost",
        ports={"mysql": 13307},
        program=("python3",),
        arguments=(
            *("{app}/slow_network.py", "{listen}:{self.mysql}", "{database.host}:{database.mysql}"),
            *("{contest.network_delay_s}", "{contest.network_loss}"),
        ),
        on_demand=True,
    ),
    Part(
        name="neighbour",
        shows="programs that take the machine's CPUs",
        ports={},
        program=("python3",),
        arguments=("{app}/neighbour.py", "{contest.neighbours}", "{contest.neighbour_s}"),
        on_demand=True,
    ),
)

BY_NAME = {part.name: part for part in PARTS}
