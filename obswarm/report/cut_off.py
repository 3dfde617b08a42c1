"""Requests, tasks and on_stop calls that were cut off when their users were stopped: rows for files, and sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from obswarm.stats import CUT_OFF_KINDS, CutOff, CutOffKey
from obswarm.units import format_latency, rounded

_MAX_NAMED = 3
_SENTENCES = {
    "request": (
        "1 request was cut off when its user was stopped, after {age}; it is not counted anywhere else",
        "{count:,} requests were cut off when their users were stopped, the oldest after {age}; they are not counted"
        " anywhere else",
    ),
    "task": (
        "1 task was cut off when its user was stopped, after {age}",
        "{count:,} tasks were cut off when their users were stopped, the longest after {age}",
    ),
    "on_stop": (
        "1 on_stop call was cut off, after {age}",
        "{count:,} on_stop calls were cut off, the longest after {age}",
    ),
}


def cut_off_rows(cut_off: Mapping[CutOffKey, CutOff]) -> list[dict[str, Any]]:
    """Return rows for JSON, grouped by kind, most frequent first."""
    kinds = {kind: number for number, kind in enumerate(CUT_OFF_KINDS)}
    ordered = sorted(cut_off.items(), key=lambda item: (kinds[item[0].kind], -item[1].count, item[0]))
    return [
        {
            "kind": key.kind,
            "method": key.method,
            "name": key.name,
            "count": seen.count,
            "oldest_s": rounded(seen.oldest_s),
        }
        for key, seen in ordered
    ]


def cut_off_sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for each kind: how many, for how long, where."""
    sentences = []
    for kind, (one, many) in _SENTENCES.items():
        mine = [row for row in rows if row["kind"] == kind]
        if not mine:
            continue
        count = sum(row["count"] for row in mine)
        age = format_latency(max(row["oldest_s"] for row in mine))
        places = [f"{row['count']:,} × {row['method']} {row['name']}".replace("×  ", "× ") for row in mine[:_MAX_NAMED]]
        if len(mine) > _MAX_NAMED:
            places.append(f"{len(mine) - _MAX_NAMED:,} more")
        sentences.append(f"{(one if count == 1 else many).format(count=count, age=age)}: {', '.join(places)}.")
    return sentences
