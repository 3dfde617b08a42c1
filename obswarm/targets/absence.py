"""Explain why a query returns no series: a target is down, no target has the metric, or no series matches the labels.
No I/O."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from obswarm.api import ObswarmError
from obswarm.nearest import nearest_names
from obswarm.redact import redact_text
from obswarm.sanitize import clean_text
from obswarm.targets.evaluate import JOB, matcher_of, name_of, operator_of, selectors_in, tree_of
from obswarm.units import format_names

_MAX_COMPARED = 500
_MAX_LENGTH_DIFFERENCE = 3
"""Largest difference in length between a name and a suggestion for it."""

_MIN_SIMILARITY = 0.8


@dataclass(frozen=True, slots=True)
class KnownTargets:
    """The targets of a source, and which metrics they have.

    `down`: target name (label `job`) → why it is down, empty if it is up. `current`: metric name → targets that have it
    now. `lost`: metric name → targets that had it earlier, or should have it by their kind. `run_jobs`: names of the
    run's own targets, None for all; another target is only reported as down if it had the missing metric or the query
    names it.
    """

    down: Mapping[str, str]
    current: Mapping[str, Collection[str]]
    lost: Mapping[str, Collection[str]]
    run_jobs: Collection[str] | None = None


def metrics_in_query(query: str) -> set[str]:
    """Return the metric names in a query; empty if obswarm cannot parse it."""
    return {name for selector in _selectors(query) if (name := name_of(selector))}


def reason_for_no_series(query: str, known: KnownTargets, names: Callable[[str], Iterable[str]]) -> str:
    """Return why a query returns no series, as a clause: `target db is down: Connection refused`. Empty if unknown.

    `names` returns the existing metric names similar to a name, for suggestions.
    """
    selectors = _selectors(query)
    for selector in selectors:
        try:
            found = _missing(selector, known, names)
        except ValueError:
            # A pattern that only Prometheus' version of RE2 supports.
            return ""
        if found:
            return redact_text(found)
    if not known.down or not selectors or not all(map(name_of, selectors)):
        return ""
    return "the metrics exist, but none of their series matches the query"


def _selectors(query: str) -> list[Any]:
    try:
        return list(selectors_in(tree_of(query)))
    except ObswarmError:
        return []


def _missing(selector: Any, known: KnownTargets, names: Callable[[str], Iterable[str]]) -> str:
    """Return why the selector matches nothing; empty if the metric exists."""
    name = name_of(selector)
    matches_job = matcher_of(selector, JOB)

    def matches(job: str) -> bool:
        return matches_job({JOB: job})

    targets = [job for job in known.down if matches(job)]
    if any(matches(job) for job in known.current.get(name, ())):
        return ""
    if not targets:
        wanted = next((each.value for each in selector.matchers.matchers if each.name == JOB), "")
        return (
            f"no target is called {clean_text(wanted)}{_suggestion(wanted, known.down)}"
            if wanted and known.down
            else ""
        )
    all_down = {job: known.down[job] for job in targets if known.down[job]}
    lost = {job: why for job, why in all_down.items() if job in known.lost.get(name, ())}
    is_about_all = known.run_jobs is None or (_names_jobs(selector) and len(targets) < len(known.down))
    down = {job: why for job, why in all_down.items() if is_about_all or job in (known.run_jobs or ())}
    if lost or (down and len(all_down) == len(targets)):
        return describe_down(lost or down)
    if not name:
        return describe_down(down) if down else ""
    shown = clean_text(name)
    text = f"the target {targets[0]} has no metric {shown}" if len(targets) == 1 else f"no target has a metric {shown}"
    text += _suggestion(name, names(name))
    return f"{text}; {describe_down(down)}" if down else text


def _names_jobs(selector: Any) -> bool:
    return any(each.name == JOB and operator_of(each) in ("Equal", "Re") for each in selector.matchers.matchers)


def describe_down(down: Mapping[str, str]) -> str:
    """Return which targets are down and why, as a clause; a common reason is given once."""
    reasons = set(down.values())
    if len(down) == 1:
        ((job, why),) = down.items()
        return f"the target {job} is down: {why}"
    if len(reasons) == 1:
        return f"the targets {format_names(list(down))} are down: {reasons.pop()}"
    return f"the targets {format_names([f'{job} ({why})' for job, why in down.items()])} are down"


def _suggestion(wanted: str, names: Iterable[str]) -> str:
    near = [name for name in names if name[:1] == wanted[:1] and abs(len(name) - len(wanted)) <= _MAX_LENGTH_DIFFERENCE]
    found = nearest_names(wanted, near[:_MAX_COMPARED], 1, _MIN_SIMILARITY)
    return f" (did you mean {clean_text(found[0])}?)" if found and found[0] != wanted else ""


class ReasonCache:
    """Cache the reasons why queries return no series; a reason is searched for at most every `keep_s` seconds."""

    def __init__(self, keep_s: float) -> None:
        self._keep_s = keep_s
        self._found: dict[str, tuple[float, str]] = {}

    def is_due(self, query: str, now: float) -> bool:
        """Return whether to search for the reason now; if so, the next search is due `keep_s` later."""
        searched_s, text = self._found.get(query, (None, ""))
        if searched_s is not None and now - searched_s < self._keep_s:
            return False
        self._found[query] = (now, text)
        return True

    def keep(self, query: str, text: str) -> None:
        self._found[query] = (self._found[query][0], text)

    def get(self, query: str) -> str:
        return self._found.get(query, (0.0, ""))[1]
