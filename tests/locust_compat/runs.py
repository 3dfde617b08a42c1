"""A case's run by either program, and what is compared of it: an observation, which is JSON."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.locust_compat.corpus import Case
from tests.locust_compat.recording_server import RecordingServer
from tests.support.forked import run_forked
from tests.support.patience import HANG_S
from tests.support.programs import ROOT, Finished

Observation = dict[str, Any]

COMMON = ("--headless", "--only-summary", "--csv", "out", "--json-file", "out")


@dataclass(frozen=True)
class Program:
    """A load tester: its command, the Python that has it, and variables of its environment."""

    command: tuple[str, ...]
    python: str
    environ: dict[str, str] = field(default_factory=dict)


OBSWARM = Program(
    command=(sys.executable, "-m", "obswarm", "run"),
    python=sys.executable,
    # Locust runs users in its one process; and nothing of obswarm's own is looked at.
    environ={
        "PYTHONPATH": str(ROOT),
        "OBSWARM_WORKERS": "0",
        "OBSWARM_NO_STORE": "true",
        "OBSWARM_WEB_PORT": "0",
    },
)


def observe(case: Case, program: Program, folder: Path) -> Observation:
    """Run the case in the folder, which is to be empty, and return what was observed."""
    for file in case.files:
        if file.is_file():
            shutil.copy(file, folder / file.name)
    seen = folder / "observed.jsonl"
    seen.touch()
    with RecordingServer() as server:
        done = _finished(case, program, server.url, folder, _environment(case, program, server, seen))
        requests, connections = server.requests, server.connections
    (folder / "stdout.txt").write_text(done.stdout)
    (folder / "stderr.txt").write_text(done.stderr)
    observation: Observation = {"exit_code": done.code}
    observation["requests"] = requests if _in_order(case) else dict(sorted(Counter(requests).items()))
    observation["connections"] = connections
    observation |= _observed(case, seen)
    observation["csv"] = {name: _csv(folder / f"out_{name}.csv") for name in ("stats", "failures", "exceptions")}
    observation["csv"]["stats_history"] = _history(folder / "out_stats_history.csv")
    observation["json"] = _json(folder)
    observation["stdout"] = [word for word in case.printed if word in done.stdout]
    if case.by_proportions:
        _drop_counts(observation)
    return _general(observation, str(server.port))


def _finished(case: Case, program: Program, url: str, folder: Path, environment: Mapping[str, str]) -> Finished:
    if program is OBSWARM and not case.is_program:
        return run_forked(["run", *_arguments(case, url)], environment, folder)
    done = subprocess.run(
        [program.python, case.file.name] if case.is_program else [*program.command, *_arguments(case, url)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    return Finished(done.returncode, done.stdout, done.stderr)


def _general(observation: Observation, port: str) -> Observation:
    """Replace what is another in each run: port, names of workers, times in query strings, folders."""
    text = json.dumps(observation, ensure_ascii=False).replace(port, "PORT")
    text = re.sub(r"_=\d+", "_=TIME", text)
    text = re.sub(r"(/[\w.+-]+)+/(?=\w+\.py\b)", "", text)
    general: Observation = json.loads(re.sub(r"\w+_[0-9a-f]{8,}\b", "WORKER", text))
    return general


def _arguments(case: Case, url: str) -> list[str]:
    """Return the arguments: the case's own, and of what every run needs that which it does not have or refuse."""
    arguments = [each.replace("TARGET", url) for each in case.arguments]
    for refusal, option, value in (
        ("--no-host", "-H", url),
        ("--no-file", "-f", case.file.name),
        ("--no-time", "-t", "20s"),
    ):
        if refusal in arguments:
            arguments.remove(refusal)
        elif option not in arguments:
            arguments = [option, value, *arguments]
    return [*COMMON, *arguments]


def _in_order(case: Case) -> bool:
    return not (case.any_order or case.by_proportions)


def _environment(case: Case, program: Program, server: RecordingServer, seen: Path) -> dict[str, str]:
    others = ("OBSWARM_", "LOCUST_", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    mine = {"OBSERVED": str(seen), "OBSERVED_TARGET": server.url, "HOME": str(seen.parent), "NO_COLOR": "1"}
    wanted = {name: value.replace("TARGET", server.url) for name, value in case.environ.items()}
    # No bytecode in the folder, which is observed; that of other tests' programs has a folder of its own.
    kept["PYTHONDONTWRITEBYTECODE"] = "" if "PYTHONPYCACHEPREFIX" in kept else "1"
    return {**kept, **mine, **program.environ, **wanted}


def _observed(case: Case, seen: Path) -> Observation:
    """Return events and what the locustfile wrote down. Of several processes the kinds of events are kept."""
    lines = [json.loads(line) for line in seen.read_text(encoding="utf-8").splitlines()]
    of_kind: dict[str, list[str]] = {"event": [], "request": [], "said": []}
    for kind, name, values in lines:
        if kind == "request":
            first = f"{values.pop('request_type', None)} | {values.pop('name', None)}"
        else:
            first = name
        of_kind[kind].append(f"{first} | {json.dumps(values, sort_keys=True, ensure_ascii=False)}")
    if case.processes:
        kinds = {line.partition(" | ")[0] + f" | {sorted(values)}" for kind, line, values in lines if kind == "event"}
        of_kind["event"] = sorted(kinds)
    return {
        "events": of_kind["event"],
        "request_events": _counted(of_kind["request"]),
        "said": of_kind["said"] if _in_order(case) else _counted(of_kind["said"]),
    }


def _counted(lines: list[str]) -> list[str]:
    return [f"{line} | {count}" for line, count in sorted(Counter(lines).items())]


def _rows(file: Path) -> tuple[list[str], list[dict[str, str]]]:
    with file.open(encoding="utf-8", newline="") as lines:
        reader = csv.DictReader(lines)
        rows = list(reader)
        return list(reader.fieldnames or ()), rows


_COUNTS = ("Request Count", "Failure Count", "Occurrences", "Count")
_TEXTS = ("Type", "Method", "Name", "Error", "Message")


def _csv(file: Path) -> Observation | None:
    """Return the columns, and of each row texts and counts; numbers that depend on time have to be plausible."""
    if not file.exists():
        return None
    columns, rows = _rows(file)
    found: Observation = {"columns": ",".join(columns), "rows": [], "implausible": []}
    for row in rows:
        kept = {name: row[name] for name in (*_TEXTS, *_COUNTS) if name in row}
        if "Message" in kept:
            kept["Traceback"] = "with its lines" if 'File "' in row["Traceback"] else row["Traceback"]
        if "Average Content Size" in row:
            kept["Average Content Size"] = str(round(float(row["Average Content Size"]), 1))
            found["implausible"] += _implausible(row)
        if "Error" in kept:
            kept["Error"] = re.sub(r"(127\.0\.0\.1|localhost):\d+|port=\d+|0x[0-9a-f]+", "ADDRESS", kept["Error"])
        found["rows"].append(" | ".join(kept.values()))
    found["rows"].sort()
    return found


def _implausible(row: dict[str, str]) -> list[str]:
    """Return what cannot be true of a row of statistics."""
    if row["Request Count"] == "0":
        return []
    low, mean, high = (float(row[f"{name} Response Time"]) for name in ("Min", "Average", "Max"))
    percentiles = [float(value) for name, value in row.items() if re.fullmatch(r"[\d.]+%", name)]
    rules = {
        "the minimum is below the mean": low <= mean + 1,
        "the mean is below the maximum": mean <= high + 1,
        "percentiles ascend": percentiles == sorted(percentiles),
        "percentiles are at most the maximum": percentiles[-1] <= high * 1.05 + 10,
        "times are milliseconds": low >= 0 and high < 60_000,
        "failures are a part of the rate": float(row["Failures/s"]) <= float(row["Requests/s"]),
    }
    return [f"{row['Name']}: not true that {rule}" for rule, holds in rules.items() if not holds]


def _history(file: Path) -> Observation | None:
    """Return the columns, the names, and whether it is ordered in time, and ends with the totals."""
    if not file.exists():
        return None
    columns, rows = _rows(file)
    times = [int(row["Timestamp"]) for row in rows]
    totals = [int(row["Total Request Count"]) for row in rows if row["Name"] == "Aggregated"]
    return {
        "columns": ",".join(columns),
        "names": sorted({row["Name"] for row in rows}),
        "ordered": times == sorted(times) and totals == sorted(totals),
        "total": totals[-1] if totals else None,
    }


def _json(folder: Path) -> Observation | None:
    """Return of each entry its keys and what is determined."""
    file = folder / "out.json"
    if not file.exists():
        return None
    entries = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(entries, list):
        return {"keys": sorted(entries), "entries": []}
    determined = ("method", "name", "num_requests", "num_none_requests", "num_failures", "total_content_length")
    found = [" | ".join(str(entry.get(key)) for key in determined) for entry in entries]
    times = [sum(entry["response_times"].values()) == entry["num_requests"] for entry in entries]
    keys = {key: type(value).__name__ for entry in entries[:1] for key, value in sorted(entry.items())}
    return {"keys": keys, "entries": sorted(found), "times_of_each": all(times)}


def _drop_counts(observation: Observation) -> None:
    """Leave out what comes from chance, except for the requests themselves."""
    for name in ("request_events", "said"):
        observation[name] = [line.rpartition(" | ")[0] for line in observation[name]]
    for table in observation["csv"].values():
        if table is not None:
            table.pop("rows", None)
    if observation["json"] is not None:
        observation["json"].pop("entries")
