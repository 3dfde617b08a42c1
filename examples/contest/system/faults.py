"""What can be wrong with the contest: each fault can be switched on and off again, and says what a person would see."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

NETWORK_DELAY_S = 0.02
NEIGHBOURS = 4
NEIGHBOUR_S = 600
_DRAIN_S = 0.5


class System(Protocol):
    """A running contest, in whichever way."""

    def sql(self, statements: str) -> None:
        """Carry out statements in the database, as its administrator."""

    def change(self, **settings: float | str) -> None:
        """Change settings. The application sees its own within a second; a part's command when it is started."""

    def restore(self, *names: str) -> None:
        """Set settings back to what they should be."""

    def start(self, *names: str) -> None: ...

    def stop(self, *names: str) -> None: ...

    def balance(self, command: str) -> None:
        """A command for HAProxy's runtime interface."""

    def address(self, name: str, port: str) -> tuple[str, int]:
        """Where the other parts reach that port of a part."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`does` is what is done, `seen` what a person would notice."""

    name: str
    does: str
    seen: str
    on: Callable[[System], None]
    off: Callable[[System], None]


LETTERS = ("a", "b")


def _restart_clusters(system: System) -> None:
    """One after the other, and without a request that fails: as one would release a new version."""
    for letter in LETTERS:
        system.balance(f"set server clusters/{letter} state drain")
        time.sleep(_DRAIN_S)
        # Without health checks meanwhile: it is back as soon as it is ready.
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


def _usual_network(system: System) -> None:
    system.restore("database_host", "database_port")
    system.stop("slow-network")


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
)

BY_NAME = {fault.name: fault for fault in FAULTS}
