"""Scores of root-cause rankings on recorded incidents: AC@k, the share of incidents in which a true component is among
the first k (as in Pham et al., "BARO: Robust Root Cause Analysis for Microservices via Multivariate Bayesian Online
Change Point Detection", FSE 2024)."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from obswarm.analysis.explain import Explanation, explain
from tests.support.recordings import HEALTHY, OVERLOAD, Half, Recording, load_recording, recording_paths

Ranking = Callable[[Recording], Sequence[str]]
"""Names of targets, the most probable cause first, each once."""


@dataclass(frozen=True)
class Score:
    """Of `count` incidents."""

    count: int = 0
    first: int = 0
    among_three: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(self.count + other.count, self.first + other.first, self.among_three + other.among_three)

    @property
    def ac_1(self) -> float:
        return self.first / self.count

    @property
    def ac_3(self) -> float:
        return self.among_three / self.count

    def __str__(self) -> str:
        return f"{self.first} and {self.among_three} of {self.count}"


def recordings_of(half: Half) -> Iterator[Recording]:
    return map(load_recording, recording_paths(half))


def is_incident(recording: Recording) -> bool:
    """Return whether users noticed a fault; overload without one is another matter."""
    return recording.is_felt and recording.fault not in (HEALTHY, OVERLOAD)


def score(ranking: Sequence[str], truth: frozenset[str]) -> Score:
    """Return the score of one incident."""
    return Score(1, int(bool(truth & set(ranking[:1]))), int(bool(truth & set(ranking[:3]))))


def scores_by_fault(rank: Ranking, recordings: Iterable[Recording]) -> Mapping[str, Score]:
    """Return the scores of a ranking for each fault."""
    found: dict[str, Score] = {}
    for each in recordings:
        if is_incident(each):
            found[each.fault] = found.get(each.fault, Score()) + score(rank(each), each.truth)
    return found


def targets_of(found: Explanation) -> list[str]:
    """Return the targets of the suspects of `obswarm explain`, in their order."""
    return list(dict.fromkeys(suspect.component.target for suspect in found.suspects))


def by_explain(recording: Recording) -> list[str]:
    return targets_of(explain(recording.explain_input))
