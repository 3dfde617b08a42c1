"""Texts that a target or a load test may send, and runs in which they stand everywhere, as if nothing had been cleaned
on the way: outputs must not rely on that."""

import re
from dataclasses import replace

from obswarm.api import ObswarmError
from obswarm.engine import FailedOutput, RunResult, StopReason, WorkerLoss
from obswarm.record import (
    AlertCount,
    AlertStatus,
    Annotation,
    GeneratorHealth,
    GuardState,
    GuardView,
    RefusedAlerts,
    RunState,
    Snapshot,
    StopKind,
    WorkerStatus,
)
from obswarm.stats import EndpointKey, EndpointStats, ErrorKey, ErrorStats, Exemplar, InFlight
from obswarm.stats.in_flight import CutOff, CutOffKey
from obswarm.stats.table import TaskException
from tests.support.recorded import MadeUpRun

TEXTS = {
    "closing markup": "no [/b] such",
    "brackets": "/users/[id]",
    "markup": "[red]x[/red]",
    "link markup": "[link=http://evil.example]here[/link]",
    "emoji code": ":smile:",
    "terminal title": "\x1b]0;title\x07",
    "clear screen": "\x1b[2J",
    "8-bit control sequence": "\x9b31m",
    "formula": "=cmd|' /C calc'!A0",
    "sum": "@SUM(1)",
    "minus formula": "-2+3",
    "tab formula": "\t=1+1",
    "script": "</script><script>window.hacked=1</script>",
    "image": "<img src=x onerror=window.hacked=1>",
    "comment": "<!--",
    "cdata": "]]>",
    "entity": "&amp;",
    "template": "{{ 7*7 }}",
    "quotes": "\"quoted\" 'it' \\ \n",
    "line feed": "one\nERROR: two",
    "carriage return": "one\rtwo",
    "line separator": "one\u2028two",
    "frame": "\x1e40\x1fobswarm\x1fforged\x1d",
    "lone surrogate": "half \ud83d",
    "no character": "\ufffe\uffff",
    "zero byte": "a\x00b",
    "right to left": "\u202egnp.exe",
    "long": "x" * 10_000,
    "percent": "100%s %(message)s %d",
}

UNFIT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
"""What must not be in an output of several lines."""


def hostile_snapshot(text: str) -> Snapshot:
    """With `text` wherever a text of somebody else can be."""
    key, error = EndpointKey(text, text), ErrorKey(text, text, text)
    stats = EndpointStats(key)
    for _ in range(3):
        stats.record(0.01, 100, "2xx", False)
    stats.record(0.5, 0, text, True)
    stats.add_exemplar(Exemplar(text, 0.01, 5.0))
    seen = {error: ErrorStats(1, 5.0, 6.0)}
    worker = GeneratorHealth(text, 3, 0.256, 0.0123, 2**26, True, WorkerStatus.READY, 1.0)
    guard = GuardView(
        text, text, text, GuardState.NO_DATA, float("inf"), text, None, (("stop", 1),), no_data_reason=text
    )
    return replace(
        MadeUpRun([]).second({}),
        interval_s=1.0,
        load_s=1.0,
        test=text,
        host=text,
        state=RunState.RUNNING,
        endpoints={key: stats},
        interval={key: stats},
        total=stats,
        interval_total=stats,
        errors=seen,
        exceptions={text: TaskException(text, f"Traceback\n  {text}")},
        users={text: 1, "other": 1},
        users_target={text: 1},
        iterations={text: 1},
        in_flight={key: InFlight(2, 3.0)},
        cut_off={CutOffKey("request", text, text): CutOff(1, 2.0)},
        workers=(worker, replace(worker, worker=f"{text} 2")),
        guards=(guard, replace(guard, name=f"{text} 2", state=GuardState.TRIPPED)),
        alerts=(AlertCount(text, AlertStatus.FIRING, text, 1),),
        refused_alerts=(RefusedAlerts(text, 1, text),),
    )


def hostile_result(text: str) -> RunResult:
    final = replace(hostile_snapshot(text), state=RunState.STOPPED)
    return RunResult(
        run_id=final.run_id,
        started_s=1.0,
        ended_s=2.0,
        duration_s=1.0,
        stop_reason=StopReason(StopKind.GUARD, text),
        error=ObswarmError(text),
        users_max=1,
        final=final,
        saturated=True,
        max_loop_lag_s=float("inf"),
        max_cpu_ratio=float("nan"),
        forced=False,
        losses=(WorkerLoss(text, text, 1.0, 1),),
        annotations=(Annotation(1.0, "guard", text),),
        failed_outputs=(FailedOutput(text, text),),
    )
