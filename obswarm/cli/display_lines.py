"""Lines of the live display about users, iterations, requests in flight and the load generator."""

from rich.console import RenderableType
from rich.text import Text

from obswarm.cli.plain import limited_text
from obswarm.cli.text_console import plain
from obswarm.cli.window import RecentIntervals
from obswarm.record import Snapshot, WorkerStatus
from obswarm.stats import total_in_flight
from obswarm.units import counted, format_bytes, format_count, format_latency

OLD_S = 1.0
"""Age from which on the oldest request in flight is shown."""


def in_flight_texts(snapshot: Snapshot) -> tuple[Text, Text]:
    """Return the number of requests in flight, and age and endpoint of the oldest."""
    total = total_in_flight(snapshot.in_flight.values())
    if not total.count:
        return plain("0", "bold"), plain("")
    key = max(snapshot.in_flight, key=lambda key: snapshot.in_flight[key].oldest_s)
    style = "yellow" if total.oldest_s >= OLD_S else "dim"
    return plain(f"{total.count:,}", "bold"), plain(f"oldest {format_latency(total.oldest_s)}, {key.label}", style)


def iteration_rows(snapshot: Snapshot, recent: RecentIntervals) -> list[tuple[str, Text, Text]]:
    """Return the rows of iterations: their rate, those that were not started, and latency from the intended start."""
    rows = []
    if snapshot.iterations_target:
        rows.append(("iterations", plain(limited_text(snapshot), "bold"), plain("")))
    if snapshot.is_open:
        rate = f"{format_count(recent.iterations_rate)} of {format_count(snapshot.rate_target)}"
        rows.append(("iterations/s", plain(rate, "bold"), plain("")))
    if snapshot.dropped:
        reasons = " · ".join(f"{reason} {number:,}" for reason, number in snapshot.dropped_by_reason.items())
        name = "dropped/s" if snapshot.is_open else "shortfall/s"
        rows.append((name, plain(format_count(recent.rate(recent.dropped)), "bold yellow"), plain(reasons, "dim")))
    if snapshot.total.intended_duration is not None:
        intended = recent.total().intended_duration
        value = format_latency(None if intended is None else intended.quantile(0.95))
        rows.append(("p95", plain(value, "bold"), plain("from the intended start", "dim")))
    return rows


def classes_text(snapshot: Snapshot) -> Text:
    """Return the number of users of each class, empty if there is one class."""
    if len(snapshot.users) < 2:
        return plain("")
    return plain(" · ".join(f"{name} {count:,}" for name, count in snapshot.users.items()), "dim")


def health_line(snapshot: Snapshot) -> RenderableType:
    """Return workers, CPU use, event loop lag and memory of the load generator."""
    line = plain("generator ", "dim")
    workers = [worker for worker in snapshot.workers if worker.state in (WorkerStatus.READY, WorkerStatus.LEAVING)]
    away = len(snapshot.workers) - len(workers)
    if len(snapshot.workers) > 1:
        line.append(f"{counted(len(workers), 'worker')} · ", "dim")
    if away:
        line.append(f"{away} missing · ", "bold red")
    if workers:
        saturated = sum(worker.saturated for worker in workers)
        most = "up to " if len(workers) > 1 else ""
        cpu_ratio = max(worker.cpu_ratio for worker in workers)
        lag = format_latency(max(worker.loop_lag_s for worker in workers))
        memory = format_bytes(sum(worker.memory_bytes for worker in workers))
        style = "bold white on red" if saturated else "dim"
        line.append(f"CPU {most}{cpu_ratio:.0%} · loop lag {most}{lag} · {memory}", style)
        if saturated:
            which = f" ({saturated} of {len(workers)})" if len(workers) > 1 else ""
            line.append(f" THE GENERATOR IS THE BOTTLENECK{which}", "bold red")
    if snapshot.exceptions:
        count = sum(found.count for found in snapshot.exceptions.values())
        line.append(f"   {count:,} exceptions in tasks", "red")
    return line
