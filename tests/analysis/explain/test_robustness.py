"""Rankings of root causes on the same incidents: what other methods find, and what `obswarm explain` still finds if the
data are worse. `python -m tests.lab.rankings` prints the table of docs/explain.md."""

from collections.abc import Callable
from functools import cache

import pytest

from obswarm.analysis.explain import explain
from tests.support.rca_baselines import BASELINES, ranking_by
from tests.support.rca_cases import CHANGES, Case, Change, recorded_cases, simulated_cases, with_noise
from tests.support.rca_score import targets_of

CASES: dict[str, Callable[[], tuple[Case, ...]]] = {"simulated": simulated_cases, "recorded": recorded_cases}
MOST_LOST = 0.10
each_kind = pytest.mark.parametrize("kind", CASES)


@cache
def first_of(kind: str) -> float:
    """AC@1 of `obswarm explain`."""
    cases = CASES[kind]()
    return sum(bool(case.truth & set(targets_of(explain(case.record))[:1])) for case in cases) / len(cases)


@pytest.mark.parametrize("change", CHANGES, ids=lambda each: each.__name__)
@each_kind
def test_with_worse_data_the_true_component_is_first_almost_as_often(kind: str, change: Change) -> None:
    # Noise multiplies the time that a case takes.
    cases = CASES[kind]()[:: 2 if change is with_noise else 1]
    missed = {}
    for case in cases:
        found = targets_of(explain(change(case)))
        if not case.truth & set(found[:1]):
            missed[case.name] = found[:3]
    assert 1 - len(missed) / len(cases) >= first_of(kind) - MOST_LOST, missed


@pytest.mark.parametrize("name", BASELINES)
@each_kind
def test_no_other_method_is_better(kind: str, name: str) -> None:
    cases = CASES[kind]()
    right = sum(bool(case.truth & set(ranking_by(BASELINES[name], case.record, case.fault_s)[:1])) for case in cases)
    assert right / len(cases) < first_of(kind)
