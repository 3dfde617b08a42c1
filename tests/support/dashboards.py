"""Whether every panel of the committed dashboards shows what it should, on a Prometheus that has scraped the contest."""

import os
import time
from pathlib import Path

from dashboards import render
from tests.support.prometheus import Prometheus

SLOWEST_S = 0.2
ATTEMPTS = 5
NOT_HERE = {
    "Backends by state": "no PostgreSQL",
    "Commits and rollbacks": "no PostgreSQL",
    "Locks by mode": "no PostgreSQL",
    "Reads that miss the buffers": "no PostgreSQL",
    "Commands": "no Redis",
    "Time per command": "no Redis",
    "Clients": "no Redis",
    "Evictions and misses": "no Redis",
    "Containers: CPU": "no containers in the native way",
    "Containers: throttled": "no containers in the native way",
    "Iterations per second": "the load is a number of users",
    "Iterations that were not started, by reason": "the load is a number of users",
    "Latency from the intended start": "the load is a number of users",
}
"""Panels without data, and why."""

CLUSTERS, ENDPOINTS = 2, 5
SEVERAL = range(1, 30)
SERIES: dict[str, tuple[object, ...]] = {
    "Users": (1, 1),
    "Errors by kind": (SEVERAL,),
    "Latency, distribution": (1,),
    "Responses by status class": (SEVERAL,),
    "Servers that are up": (1,),
    "Workers that are busy": (CLUSTERS,),
    "Listen queue": (CLUSTERS,),
    "Time per request": (CLUSTERS,),
    "Time per statement": (range(1, 200),),
    "Share of the database's time": (range(1, 200),),
    "Requests per second, by endpoint": (ENDPOINTS,),
    "p95 by endpoint": (ENDPOINTS,),
    "Requests in flight": (ENDPOINTS,),
    "Oldest request in flight": (ENDPOINTS,),
    "Failures per second, by endpoint": (SEVERAL,),
    "Bytes received, by endpoint": (ENDPOINTS,),
    "Guards": (4,),
    "Workers by state": (5,),
    "Load generator": (SEVERAL,),
    "Event loop lag": (SEVERAL,),
    "CPU of workers": (SEVERAL,),
    "Memory of workers": (SEVERAL,),
    "Users per worker": (SEVERAL,),
    "Measured capacity": (SEVERAL,),
    "Age of the newest statistics": (SEVERAL,),
}
"""How many each query of a panel gives; one where nothing stands here."""


def check(prometheus: Prometheus, begin_s: float, end_s: float) -> None:
    """Every query and annotation runs, is quick, and gives the right number of series."""
    wrong: list[str] = []
    for uid, document in render.dashboards().items():
        for panel in render.panels(document):
            title = panel["title"]
            found = render.answers(prometheus.url, panel, begin_s, end_s, {"shift": "10s"})
            wanted = SERIES.get(title, (1,) * len(found))
            for answer, count in zip(found, wanted, strict=True):
                took_s = answer.took_s
                for _ in range(ATTEMPTS):
                    if took_s <= SLOWEST_S:
                        break
                    # What a query takes is what it takes when the machine has nothing else to do: it may have had.
                    time.sleep(1)
                    took_s = min(took_s, render.ask(prometheus.url, answer.expr, begin_s, end_s).took_s)
                if took_s > SLOWEST_S:
                    wrong.append(f"{uid}, {title}: {took_s:.3f} s for {answer.expr}")
                number = len(answer.series)
                if title in NOT_HERE or (title == "Connections" and "pg_" in answer.expr):
                    fine = number == 0
                else:
                    fine = number in count if isinstance(count, range) else number == count
                if not fine:
                    wrong.append(f"{uid}, {title}: {number} series, not {count}, for {answer.expr}")
        colours = {colour for _, colour in render.marks(prometheus.url, document, begin_s, end_s)}
        if not {"green", "blue", "red"} <= colours:
            wrong.append(f"{uid}: the marks are {colours}")
    assert not wrong, "\n".join(wrong)


STORY = ("Users", "Latency", "Threads running", "Workers that are busy", "Servers that are up", "Errors by kind")
"""Panels of Correlate that tell the incident in a few lines."""


def draw(prometheus: Prometheus, begin_s: float, end_s: float, folder: Path) -> None:
    """Pictures of all dashboards, and of the incident; into docs/images when OBSWARM_PICTURES names that."""
    folder = Path(os.environ.get("OBSWARM_PICTURES", folder))
    # The run before this one, if the tests have made one.
    start = "obswarm_run_start_timestamp_seconds"
    shift_s = prometheus.value(f"{start} - min_over_time({start}[10m])", end_s) or 10
    documents = render.dashboards()
    for uid, document in documents.items():
        path = folder / f"{uid}.png"
        render.draw(prometheus.url, document, begin_s, end_s, path, {"shift": f"{shift_s:.0f}s"})
        assert path.stat().st_size > 20_000, uid
    path = folder / "incident.png"
    render.draw_under_each_other(prometheus.url, documents["obswarm-correlate"], STORY, begin_s, end_s, path)
    assert path.stat().st_size > 20_000
