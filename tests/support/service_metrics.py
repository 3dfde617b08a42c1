"""A file with metrics of services, in the layout of RCAEval's data.csv, in which one service has a fault."""

import csv
import io
import random
from collections.abc import Mapping

STARTED = 1_692_569_000
SERVICES = ("frontend", "cartservice", "checkoutservice", "carts-db", "emailservice")
CALLERS = {"carts-db": ("cartservice", "frontend"), "cartservice": ("frontend",), "checkoutservice": ("frontend",)}
"""The services that wait for another one."""


AS_SCRAPED = {
    "cpu": "container-cpu-usage-seconds-total",
    "mem": "container-memory-working-set-bytes",
    "diskio": "container-fs-writes-bytes-total",
    "socket": "container-sockets",
    "workload": "istio-request-total",
    "error": "istio-error-total",
    "latency-50": "istio-latency-50",
    "latency-90": "istio-latency-90",
}
SHORT = {"latency-50": "lat_50", "latency-90": "lat_90"}


def renamed(text: str, names: Mapping[str, str]) -> str:
    """Return such a file with other names of metrics."""
    header, rest = text.split("\n", 1)
    columns = (column.strip().rpartition("_") for column in header.split(","))
    return ",".join(f"{one}{sep}{names.get(metric, metric)}" for one, sep, metric in columns) + f"\n{rest}"


def metrics_csv(service: str, fault: str, seed: int = 1, seconds: int = 600, injected: int = 300) -> str:
    """`fault` is `cpu`, `mem`, `diskio`, `socket`, `delay` or the name of a column's metric that nobody knows."""
    chance = random.Random(seed)
    levels = {
        f"{each}_{metric}": level * chance.uniform(0.5, 2)
        for each in SERVICES
        for metric, level in {
            "cpu": 5.0,
            "mem": 2e8,
            "diskio": 1e5,
            "socket": 40.0,
            "workload": 60.0,
            "error": 0.0,
            "latency-50": 0.02,
            "latency-90": 0.05,
        }.items()
    }
    for each in SERVICES:
        levels[f"{each}_threads_parked"] = 12 * chance.uniform(0.5, 2)
    file = io.StringIO()
    writer = csv.writer(file)
    # The time is there twice in some of RCAEval's files.
    writer.writerow(["time", *levels, "time"])
    for second in range(seconds):
        factors = _factors(service, fault) if second >= injected + 3 else {}
        values = [
            f"{level * chance.gauss(1, 0.08) * factors.get(name, 1.0):.6g}" if chance.random() > 0.01 else ""
            for name, level in levels.items()
        ]
        writer.writerow([STARTED + second, *values, STARTED + second])
    return file.getvalue()


def _factors(service: str, fault: str) -> Mapping[str, float]:
    factors = {f"{service}_{fault}": 6.0} if fault != "delay" else {}
    slower = 1.6 if fault != "delay" else 8.0
    for number, each in enumerate((service, *CALLERS.get(service, ()))):
        for quantile in (50, 90):
            factors[f"{each}_latency-{quantile}"] = 1 + (slower - 1) / 2**number
    return factors
