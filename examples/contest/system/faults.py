"""Faults of the contest: each can be switched on and off, and describes its visible effect."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from system import ContestError

NETWORK_DELAY_S = 0.02
NETWORK_LOSS = 0.1
QUERIES_PER_PROBLEM = 40
PAUSE_S = 0.4
PAUSE_EVERY_S = 2.0
CHECKER_DELAY_S = 0.4
QUOTA_CORES = 0.06
NEIGHBOURS = 4
NEIGHBOUR_S = 600
_DRAIN_S = 0.5
_TRIES = 100
_RETRY_S = 0.1
_TOO_MANY_CONNECTIONS = "1040"
"""The database's number for this error."""


class System(Protocol):
    """A running contest, as processes or containers."""

    def sql(self, statements: str) -> None:
        """Execute statements in the database, as its administrator."""

    def change(self, **settings: float | str) -> None:
        """Change settings. The application reads its own within a second, a part's command at its next start."""

    def restore(self, *names: str) -> None:
        """Reset settings to their usual values."""

    def limit_cpu(self, name: str, cores: float | None) -> None:
        """Give a part a quota of CPUs; None takes it away."""

    def start(self, *names: str) -> None: ...

    def stop(self, *names: str) -> None: ...

    def balance(self, command: str) -> None:
        """Send a command to HAProxy's runtime interface."""

    def address(self, name: str, port: str) -> tuple[str, int]:
        """Return the address at which other parts reach a port of a part."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: `does` describes the change, `seen` its visible effect."""

    name: str
    does: str
    seen: str
    on: Callable[[System], None]
    off: Callable[[System], None]


LETTERS = ("a", "b")


def _restart_clusters(system: System) -> None:
    """Restart them one after the other without failed requests, as for the release of a new version."""
    for letter in LETTERS:
        system.balance(f"set server clusters/{letter} state drain")
        time.sleep(_DRAIN_S)
        # Without health checks meanwhile, so that it gets requests as soon as it is ready.
        system.balance(f"set server clusters/{letter} state maint")
        system.stop(f"cluster-{letter}")
        system.start(f"cluster-{letter}")
        system.balance(f"set server clusters/{letter} state ready")


def _few_processes(system: System) -> None:
    system.change(processes=1, threads=1)
    _restart_clusters(system)


def _usual_processes(system: System) -> None:
    system.restore("processes", "threads")
    _restart_clusters(system)


def _neighbour(system: System) -> None:
    system.change(neighbours=NEIGHBOURS, neighbour_s=NEIGHBOUR_S)
    system.start("neighbour")


def _slow_network(system: System) -> None:
    system.change(network_delay_s=NETWORK_DELAY_S)
    system.start("slow-network")
    host, port = system.address("slow-network", "mysql")
    system.change(database_host=host, database_port=port)


def _lossy_network(system: System) -> None:
    system.change(network_loss=NETWORK_LOSS)
    system.start("slow-network")
    host, port = system.address("slow-network", "mysql")
    system.change(database_host=host, database_port=port)


def _usual_network(system: System) -> None:
    system.restore("database_host", "database_port", "network_delay_s", "network_loss")
    system.stop("slow-network")


def _usual_connections(system: System) -> None:
    """Reset the limit. The one connection above it that the administrator may have is, for moments, one of those that
    are about to be refused."""
    for left in reversed(range(_TRIES)):
        try:
            system.sql("SET GLOBAL max_connections = 200;")
            return
        except ContestError as error:
            if left == 0 or _TOO_MANY_CONNECTIONS not in str(error):
                raise
            time.sleep(_RETRY_S)


def _each_cluster(system: System, command: str) -> None:
    for letter in LETTERS:
        system.balance(command.format(f"clusters/{letter}"))


FAULTS = (
    Fault(
        "no-index",
        "takes away the index that the leaderboard is made from",
        "The leaderboard's query takes many times as long, and whoever needs a new leaderboard waits with his worker.",
        lambda system: system.sql("ALTER TABLE contest.submissions DROP INDEX leaderboard;"),
        lambda system: system.sql(
            "ALTER TABLE contest.submissions ADD INDEX leaderboard"
            " (contest_id, verdict, user_id, problem_id, points, submitted_at);"
        ),
    ),
    Fault(
        "row-locks",
        "judges a submission while the contest's row of counters is locked",
        "Submissions wait for one another; everything that only reads is as fast as ever.",
        lambda system: system.change(judge_in_transaction_s=0.1),
        lambda system: system.restore("judge_in_transaction_s"),
    ),
    Fault(
        "no-cache",
        "makes the leaderboard anew for every request",
        "The database is busy with one query; at full load everything waits for it, until health checks fail.",
        lambda system: system.change(leaderboard_cache_s=0.0),
        lambda system: system.restore("leaderboard_cache_s"),
    ),
    Fault(
        "small-pool",
        "gives each process one database connection for its two threads",
        "Threads wait for connections while the database has nothing to do.",
        lambda system: system.change(pool_size=1),
        lambda system: system.restore("pool_size"),
    ),
    Fault(
        "few-processes",
        "starts each cluster with one process of one thread",
        "All workers are busy and requests queue before them, with an idle database.",
        _few_processes,
        _usual_processes,
    ),
    Fault(
        "neighbour",
        f"lets {NEIGHBOURS} other programs compute, for {NEIGHBOUR_S // 60} minutes at most",
        "CPUs are fully used and everything is a little slower, with the same queries and requests as before.",
        _neighbour,
        lambda system: system.stop("neighbour"),
    ),
    Fault(
        "slow-network",
        f"holds back what application and database say to each other for {NETWORK_DELAY_S * 1000:.0f} ms",
        "Every query takes longer by the same time in the application; the database itself finds them fast.",
        _slow_network,
        _usual_network,
    ),
    Fault(
        "disk-flush",
        "has the database write its log through to the disk at every commit",
        "Commits take as long as the disk; reading is as fast as ever.",
        lambda system: system.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1;"),
        lambda system: system.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2;"),
    ),
    Fault(
        "cluster-down",
        "stops one of the two clusters",
        "The load balancer has one server left, which gets all requests.",
        lambda system: system.stop("cluster-b"),
        lambda system: system.start("cluster-b"),
    ),
    Fault(
        "low-maxconn",
        "lets the load balancer have one request at a time with each cluster",
        "Requests queue in the load balancer, with idle workers behind it.",
        lambda system: _each_cluster(system, "set maxconn server {} 1"),
        lambda system: _each_cluster(system, "set maxconn server {} 128"),
    ),
    Fault(
        "few-connections",
        "lets the database have 10 connections at most, and closes those of the application",
        "The database refuses connections, also to the exporter; requests without one fail at once.",
        # It opens its connections again.
        lambda system: system.sql("SET GLOBAL max_connections = 10; KILL USER contest;"),
        _usual_connections,
    ),
    Fault(
        "small-buffer",
        "leaves the database 5 MB of memory for its pages",
        "The database reads pages from the disk again and again, and its statements wait for that.",
        lambda system: system.sql("SET GLOBAL innodb_buffer_pool_size = 5 * 1024 * 1024;"),
        lambda system: system.sql("SET GLOBAL innodb_buffer_pool_size = 192 * 1024 * 1024;"),
    ),
    Fault(
        "full-disk",
        "leaves the database no disk space for temporary tables, and no memory for them",
        "The leaderboard's query fails, as its table is full, and so do some of the exporter's.",
        # They hold for new connections.
        lambda system: system.sql(
            "SET GLOBAL tmp_memory_table_size = 1024; SET GLOBAL tmp_disk_table_size = 16384; KILL USER contest;"
        ),
        lambda system: system.sql(
            "SET GLOBAL tmp_memory_table_size = DEFAULT; SET GLOBAL tmp_disk_table_size = DEFAULT; KILL USER contest;"
        ),
    ),
    Fault(
        "many-queries",
        f"reads {QUERIES_PER_PROBLEM} submissions one by one for each problem's page, and each one's user",
        "The database has many times as many statements, each of which is fast.",
        lambda system: system.change(queries_per_problem=QUERIES_PER_PROBLEM),
        lambda system: system.restore("queries_per_problem"),
    ),
    Fault(
        "stampede",
        "lets the cached leaderboards expire at the same moment, once a second",
        "Once a second, the database computes the same leaderboard many times at once, and requests wait for it.",
        lambda system: system.change(leaderboard_expires_at_once=True, leaderboard_cache_s=1.0),
        lambda system: system.restore("leaderboard_expires_at_once", "leaderboard_cache_s"),
    ),
    Fault(
        "pauses",
        f"stops each process of the application for {PAUSE_S * 1000:.0f} ms every {PAUSE_EVERY_S:.0f} s",
        "Requests take as long as a pause now and then, with idle CPUs and an idle database.",
        lambda system: system.change(pause_s=PAUSE_S, pause_every_s=PAUSE_EVERY_S),
        lambda system: system.restore("pause_s", "pause_every_s"),
    ),
    Fault(
        "slow-checker",
        f"lets the service outside that checks submissions take {CHECKER_DELAY_S * 1000:.0f} ms",
        "Submissions wait for that service, and keep their workers busy; the database has nothing to do.",
        lambda system: system.change(checker_delay_s=CHECKER_DELAY_S),
        lambda system: system.restore("checker_delay_s"),
    ),
    Fault(
        "packet-loss",
        f"loses {NETWORK_LOSS:.0%} of what application and database say to each other, until it is repeated",
        "Some queries take 200 ms more, or a multiple, in the application; the database itself finds them fast.",
        _lossy_network,
        _usual_network,
    ),
    Fault(
        "cpu-quota",
        f"gives cluster a {QUOTA_CORES:.0%} of one CPU",
        "One cluster is throttled in most periods and slow, while the other one is as fast as ever.",
        lambda system: system.limit_cpu("cluster-a", QUOTA_CORES),
        lambda system: system.limit_cpu("cluster-a", None),
    ),
)

BY_NAME = {fault.name: fault for fault in FAULTS}
