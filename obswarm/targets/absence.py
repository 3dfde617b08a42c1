"""Why a query gives no series: a target is down, none has such a metric, or no series is the one that is asked for. No
I/O."""

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from obswarm.api import ObswarmError
from obswarm.redact import redact_text
from obswarm.sanitize import clean_text
from obswarm.targets.evaluate import JOB, matcher_of, name_of, operator_of, selectors_in, tree_of
from obswarm.units import format_names

_MOST_COMPARED = 500
_LONGEST_DIFFERENCE = 3
"""Of the lengths of two names, one of which may be the other with a slip."""

_ALIKE = 0.8


@dataclass(frozen=True, slots=True)
class Known:
    """What a source knows of its targets. `down` has each of them by its name (the series' label `job`), and why it is
    down, empty where it is up. `having` are the targets that have a metric now, by the metric's name; `had` those that
    have had it, or should have it by their kind.

    `own` are those that the run is about, all of them if None: of others it is not told that they are down, unless they
    had what is missing, or the query names them."""

    down: Mapping[str, str]
    having: Mapping[str, Collection[str]]
    had: Mapping[str, Collection[str]]
    own: Collection[str] | None = None


def metrics_asked_for(query: str) -> set[str]:
    """The names of a query's metrics; none where the query cannot be read."""
    return {name for selector in _selectors(query) if (name := name_of(selector))}


def reason_for_nothing(query: str, known: Known, names: Callable[[str], Iterable[str]]) -> str:
    """Say why a query gives no series, as a clause: `the target db is down: Connection refused`. Empty when nothing is
    known about it. `names` are those of metrics that there are, like a name."""
    selectors = _selectors(query)
    for selector in selectors:
        try:
            found = _missing(selector, known, names)
        except ValueError:
            # A pattern that only another one than ours can read.
            return ""
        if found:
            return redact_text(found)
    if not known.down or not selectors or not all(map(name_of, selectors)):
        return ""
    return "the metrics are there, but no series of theirs is what it asks for"


def _selectors(query: str) -> list[Any]:
    try:
        return list(selectors_in(tree_of(query)))
    except ObswarmError:
        return []


def _missing(selector: Any, known: Known, names: Callable[[str], Iterable[str]]) -> str:
    """Empty when the metric is there."""
    name = name_of(selector)
    fits_job = matcher_of(selector, JOB)

    def fits(job: str) -> bool:
        return fits_job({JOB: job})

    targets = [job for job in known.down if fits(job)]
    if any(fits(job) for job in known.having.get(name, ())):
        return ""
    if not targets:
        asked = next((each.value for each in selector.matchers.matchers if each.name == JOB), "")
        return f"no target is called {clean_text(asked)}{_meant(asked, known.down)}" if asked and known.down else ""
    all_down = {job: known.down[job] for job in targets if known.down[job]}
    had = {job: why for job, why in all_down.items() if job in known.had.get(name, ())}
    is_about_all = known.own is None or (_names_jobs(selector) and len(targets) < len(known.down))
    down = {job: why for job, why in all_down.items() if is_about_all or job in (known.own or ())}
    if had or (down and len(all_down) == len(targets)):
        return describe_down(had or down)
    if not name:
        return describe_down(down) if down else ""
    shown = clean_text(name)
    text = f"the target {targets[0]} has no metric {shown}" if len(targets) == 1 else f"no target has a metric {shown}"
    text += _meant(name, names(name))
    return f"{text}; {describe_down(down)}" if down else text


def _names_jobs(selector: Any) -> bool:
    return any(each.name == JOB and operator_of(each) in ("Equal", "Re") for each in selector.matchers.matchers)


def describe_down(down: Mapping[str, str]) -> str:
    """Say which targets are down, and why, as a clause; the reason once where it is the same for all."""
    reasons = set(down.values())
    if len(down) == 1:
        ((job, why),) = down.items()
        return f"the target {job} is down: {why}"
    if len(reasons) == 1:
        return f"the targets {format_names(list(down))} are down: {reasons.pop()}"
    return f"the targets {format_names([f'{job} ({why})' for job, why in down.items()])} are down"


def _meant(asked: str, names: Iterable[str]) -> str:
    near = [name for name in names if name[:1] == asked[:1] and abs(len(name) - len(asked)) <= _LONGEST_DIFFERENCE]
    found = difflib.get_close_matches(asked, near[:_MOST_COMPARED], 1, _ALIKE)
    return f" (did you mean {clean_text(found[0])}?)" if found and found[0] != asked else ""


class Reasons:
    """Keeps the reasons of queries for `keep_s` seconds, so that they are not looked for with each question."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._found: dict[str, tuple[float, str]] = {}

    def is_due(self, query: str, now: float) -> bool:
        """Whether it is time to look for one; true once for each time."""
        looked_s, text = self._found.get(query, (None, ""))
        if looked_s is not None and now - looked_s < self._keep_s:
            return False
        self._found[query] = (now, text)
        return True

    def keep(self, query: str, text: str) -> None:
        self._found[query] = (self._found[query][0], text)

    def get(self, query: str) -> str:
        return self._found.get(query, (0.0, ""))[1]
