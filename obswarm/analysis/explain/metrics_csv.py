"""Metrics of a system from a CSV file, and the services that a fault in them comes from.

The layout is that of the data.csv of RCAEval, a benchmark for root cause analysis (Pham et al., "RCAEval: A Benchmark
for Root Cause Analysis of Microservice Systems with Telemetry Data", WWW 2025): a column `time` in seconds, and a
column `<service>_<metric>` for each metric, as `frontend_cpu` or `cartservice_latency-90`. Its data sets name metrics
in three ways: `carts_lat_90`, `carts_latency-90`, and, where they are as a Prometheus had them,
`carts_istio-latency-90` and `carts_container-cpu-usage-seconds-total`. The moment at which the fault was injected is
given; nothing is known of the load.
"""

import csv
import math
import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from obswarm.analysis.explain.document import finding_document, number_or_none
from obswarm.analysis.explain.findings import WEIGHTS, Finding, findings_of
from obswarm.analysis.explain.onset import Onset
from obswarm.analysis.explain.sentences import change_text, moment
from obswarm.analysis.explain.symptom import Symptom
from obswarm.analysis.explain.timeline import Timeline, Values
from obswarm.errors import ObswarmError, reason_of
from obswarm.record import MetricKey
from obswarm.sanitize import clean_text
from obswarm.targets import Kind, Meaning, TargetMetric
from obswarm.units import counted, format_count, format_duration

TIME = "time"
_TIMES = frozenset({TIME, "Time", "time.1"})
"""Columns with the time: some files have it twice, and pandas names the second one so."""
_INDEX = re.compile(r"(Unnamed: \d+)?")
"""The first column of a file that pandas has written with its row numbers."""
KIND = "service"
MAX_WINDOW_S = 1800.0
"""Seconds before and after the injection that are used; RCAEval itself uses ten minutes."""
MIN_BEFORE, MIN_AFTER = 12, 4
"""Rows that are needed before and after the injection."""
MAX_CELLS = 50_000_000
_SETTLING_S = 30.0
"""A fault may take so long until its metrics show it: scrape interval, and windows of rates."""
_SHOWN = 40

_MEANINGS: Mapping[str, Meaning] = {
    **dict.fromkeys(("cpu", "mem", "memory", "disk", "diskio", "fs", "blkio", "socket", "sockets"), "utilisation"),
    **dict.fromkeys(("latency", "lat"), "duration"),
    **dict.fromkeys(("error", "errors"), "errors"),
    **dict.fromkeys(("workload", "load", "request", "network"), "rate"),
}
_SOURCES = frozenset({"container", "istio"})
"""What metrics begin with that are as cAdvisor and a service mesh have them."""
_KNOWN = re.compile(rf"(?P<service>.+)_(?P<metric>(?:{'|'.join(_MEANINGS)})(?:[-_]\d+)?)")
_ANY = re.compile(r"(?P<service>[^_]+)_(?P<metric>.+)")
_FACTORS: Mapping[Meaning, float] = {
    # The resources of a service are its own; its latency and its errors are also those of the services that it calls.
    "utilisation": 1.0 / WEIGHTS["utilisation"],
    "errors": 0.5 / WEIGHTS["errors"],
    "duration": 0.5 / WEIGHTS["duration"],
}


@dataclass(frozen=True, slots=True)
class MetricsTable:
    """The columns of a file, around the injection. Times are in seconds since the first row of the file; `values` has
    NaN for empty cells."""

    times_s: Values
    injected_s: float
    values: Mapping[MetricKey, Values]


@dataclass(frozen=True, slots=True)
class ServiceSuspect:
    """A service with its conspicuous metrics, the strongest first. `strength` is from 0 to 1."""

    service: str
    strength: float
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class CsvExplanation:
    """The services that changed after a fault was injected, the most probable cause first."""

    injected_s: float
    services: tuple[ServiceSuspect, ...]
    metrics: int


def read_metrics_csv(path: Path, injected_at: float) -> MetricsTable:
    """Read a file with metrics; `injected_at` is the moment of the injection in the file's time, in seconds. Raises
    ObswarmError, with the line, for a file of another layout, or one that has too little around that moment."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _table(path, csv.reader(file), injected_at)
    except OSError as error:
        raise ObswarmError(f"{path} cannot be read: {reason_of(error)}.") from None
    except UnicodeDecodeError:
        raise ObswarmError(f"{path} is not a text in UTF-8.") from None
    except csv.Error as error:
        raise ObswarmError(f"{path} is not a CSV file: {error}.") from None


def _table(path: Path, rows: Any, injected_at: float) -> MetricsTable:
    header = next(rows, None)
    if header is None:
        raise ObswarmError(f"{path} is empty.")
    names = [name.strip() for name in header]
    time_at = next((at for at, name in enumerate(names) if name in _TIMES), None)
    if time_at is None:
        raise ObswarmError(
            f"{path} has no column {TIME!r}; its first line has to be like {TIME},frontend_cpu,frontend_latency-90."
        )
    keys = dict(_keys(path, names))
    if not keys:
        raise ObswarmError(f"{path} has no metrics, only the column {TIME!r}.")
    times_s = array("d")
    columns = {at: array("d") for at in keys}
    for row in rows:
        if not row:
            continue
        where = f"{path}, line {rows.line_num}: "
        if len(row) != len(names):
            raise ObswarmError(f"{where}it has {counted(len(row), 'cell')}, and the first line has {len(names)}.")
        time_s = _number(f"{where}{TIME}", row[time_at])
        if not math.isfinite(time_s):
            raise ObswarmError(f"{where}the time is missing.")
        if times_s and time_s <= times_s[-1]:
            raise ObswarmError(f"{where}the time {row[time_at].strip()} is not later than that of the line before.")
        if len(times_s) * len(columns) > MAX_CELLS:
            raise ObswarmError(f"{path} has more than {format_count(MAX_CELLS)} values.")
        times_s.append(time_s)
        for at, column in columns.items():
            column.append(_number(f"{where}{names[at]}", row[at]))
    return _around(path, times_s, injected_at, {key: columns[at] for at, key in keys.items()})


def _keys(path: Path, names: Sequence[str]) -> Iterator[tuple[int, MetricKey]]:
    """Yield the position and the key of each metric."""
    known = set()
    for at, name in enumerate(names):
        if name in _TIMES or (at == 0 and _INDEX.fullmatch(name)):
            continue
        found = _KNOWN.fullmatch(name) or _ANY.fullmatch(name)
        if found is None:
            shown = clean_text(name, _SHOWN)
            raise ObswarmError(f"{path}: column {at + 1}, {shown!r}, has to be named like frontend_cpu.")
        if name in known:
            raise ObswarmError(f"{path} has the column {clean_text(name, _SHOWN)!r} twice.")
        known.add(name)
        yield at, MetricKey(found["service"], KIND, found["metric"], "number")


def _meaning_of(metric: str) -> Meaning | None:
    """Return what a metric says by the first word of its name, None for one that is not known."""
    words = re.split(r"[-_]", metric)
    if words[0] in _SOURCES:
        words = words[1:]
    return _MEANINGS.get(words[0]) if words else None


def _number(where: str, cell: str) -> float:
    """Return the number of a cell, NaN for none: an empty one, `nan`, or an infinity."""
    text = cell.strip()
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise ObswarmError(f"{where} is {clean_text(text, _SHOWN)!r}; it has to be a number.") from None
    return value if math.isfinite(value) else math.nan


def _around(path: Path, times_s: Values, injected_at: float, columns: Mapping[MetricKey, Values]) -> MetricsTable:
    used = [at for at, time_s in enumerate(times_s) if abs(time_s - injected_at) <= MAX_WINDOW_S]
    before = sum(1 for at in used if times_s[at] < injected_at)
    if not times_s:
        raise ObswarmError(f"{path} has no rows with values.")
    if not times_s[0] <= injected_at <= times_s[-1]:
        span = f"{times_s[0]:.15g} to {times_s[-1]:.15g}"
        raise ObswarmError(f"--injected-at {injected_at:.15g} is not among the times of {path}, {span}.")
    if before < MIN_BEFORE or len(used) - before < MIN_AFTER:
        raise ObswarmError(
            f"{path} has {counted(before, 'row')} before --injected-at {injected_at:.15g} and {len(used) - before} from"
            f" then on; at least {MIN_BEFORE} and {MIN_AFTER} are needed."
        )
    part = slice(used[0], used[-1] + 1)
    start_s = times_s[0]
    return MetricsTable(
        array("d", (time_s - start_s for time_s in times_s[part])),
        injected_at - start_s,
        {key: column[part] for key, column in columns.items()},
    )


def explain_metrics(table: MetricsTable) -> CsvExplanation:
    """Rank the services by how much their metrics changed at the injection, and how soon after it. Metrics of unknown
    names are judged by their behaviour alone."""
    names = sorted({key.name for key in table.values})
    metrics = (
        TargetMetric(name, "", "number", meaning) for name in names if (meaning := _meaning_of(name)) is not None
    )
    kinds = {KIND: Kind(KIND, KIND, "application", tuple(metrics))}
    injected_s = table.injected_s
    onset = Onset(injected_s, injected_s, injected_s, injected_s + _SETTLING_S)
    symptom = Symptom("p95", onset, 1.0, 1.0, 1.0)
    services: dict[str, list[tuple[float, Finding]]] = {}
    for finding in findings_of(_timeline(table), symptom, kinds):
        if finding.onset.before(onset):
            # It changed surely before the fault.
            continue
        strength = min(1.0, finding.strength * _FACTORS.get(finding.meaning, 1.0))
        services.setdefault(finding.key.target, []).append((strength, finding))
    suspects = []
    for service, found in services.items():
        found.sort(key=lambda each: -each[0])
        suspects.append(ServiceSuspect(service, found[0][0], tuple(finding for _, finding in found)))
    suspects.sort(key=lambda each: -each.strength)
    return CsvExplanation(injected_s, tuple(suspects), len(table.values))


def _timeline(table: MetricsTable) -> Timeline:
    """Return the metrics with a constant load, since nothing is known of it, and the geometric mean of all latencies,
    relative to those before the injection."""
    count = len(table.times_s)
    constant, none = array("d", [1.0]) * count, array("d", [math.nan]) * count
    steps = sorted(after - before for before, after in zip(table.times_s, table.times_s[1:], strict=False))
    latency = _latency(table)
    return Timeline(
        times_s=table.times_s,
        step_s=steps[len(steps) // 2],
        users=constant,
        users_target=constant,
        requests=constant,
        throughput=constant,
        errors=none,
        mean_s=none,
        p95_s=latency,
        p95_window_s=latency,
        in_flight=none,
        endpoints={},
        generator={},
        saturated_workers={},
        targets=table.values,
    )


def _latency(table: MetricsTable) -> Values:
    healthy = sum(1 for time_s in table.times_s if time_s < table.injected_s)
    logs = []
    for key, values in table.values.items():
        if _meaning_of(key.name) != "duration":
            continue
        usual = [value for value in values[:healthy] if value > 0]
        if usual:
            center = math.log(median(usual))
            logs.append([math.log(value) - center if value > 0 else math.nan for value in values])
    found = array("d")
    for every in zip(*logs, strict=True) if logs else ():
        known = [each for each in every if math.isfinite(each)]
        found.append(math.exp(sum(known) / len(known)) if known else math.nan)
    return found or array("d", [1.0]) * len(table.times_s)


def csv_headline(found: CsvExplanation) -> str:
    """Return the one sentence that names the service from which the fault comes."""
    if not found.services:
        return f"None of the {found.metrics:,} metrics changed when the fault was injected."
    first = found.services[0]
    return f"The most probable cause is {first.service}: {_evidence(first.findings[0], found)}."


def csv_sections(found: CsvExplanation) -> list[tuple[str, list[str]]]:
    """Return the services with the evidence for each, the most probable cause first."""
    return [
        (
            f"{number}. {each.service}",
            [f"{_evidence(finding, found)}." for finding in each.findings[:_MAX_EVIDENCE]],
        )
        for number, each in enumerate(found.services[:_MAX_SERVICES], start=1)
    ]


_MAX_EVIDENCE, _MAX_SERVICES = 3, 5


def _evidence(finding: Finding, found: CsvExplanation) -> str:
    onset = finding.onset
    late_s = round(onset.time_s - found.injected_s)
    if onset.low_s <= found.injected_s:
        when = "when the fault was injected"
    else:
        when = f"{format_duration(late_s)} after the fault was injected"
    return f"{change_text(finding)} at {moment(onset)}, {when}"


def csv_document(path: str, found: CsvExplanation) -> dict[str, Any]:
    """Return an explanation as a JSON document. Times are in seconds since the first row of the file."""
    return {
        "file": path,
        "headline": csv_headline(found),
        "injected_s": number_or_none(found.injected_s),
        "sections": [{"heading": heading, "sentences": lines} for heading, lines in csv_sections(found)],
        "services": [
            {
                "service": each.service,
                "strength": number_or_none(each.strength),
                "findings": [finding_document(finding) for finding in each.findings],
            }
            for each in found.services
        ],
    }
