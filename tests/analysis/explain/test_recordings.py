"""Recorded incidents: how often the true component comes first, on the half of them that `obswarm explain` was developed
with, and on the other one. docs/explain.md states the results."""

import re
from collections.abc import Mapping
from functools import cache

import pytest

from obswarm.analysis.explain import Explanation, explain
from tests.lab.incidents import planned
from tests.support.programs import ROOT
from tests.support.rca_score import Score, is_incident, recordings_of, score, targets_of
from tests.support.recordings import (
    FOLDER,
    HEALTHY,
    OVERLOAD,
    SUFFIX,
    Half,
    Recording,
    read_index,
    read_split,
    recording_paths,
)

HALVES: tuple[Half, ...] = ("dev", "test")
LARGEST_BYTES = 100_000
ALL_BYTES = 10_000_000
FEWEST_FAULTS = 12

each_half = pytest.mark.parametrize("half", HALVES)


@cache
def explained(half: Half) -> list[tuple[Recording, Explanation]]:
    return [(each, explain(each.explain_input)) for each in recordings_of(half)]


def by_fault(half: Half) -> Mapping[str, Score]:
    found: dict[str, Score] = {}
    for recording, explanation in explained(half):
        if is_incident(recording):
            found[recording.fault] = found.get(recording.fault, Score()) + score(
                targets_of(explanation), recording.truth
            )
    return found


def healthy(half: Half) -> tuple[int, int]:
    """Healthy runs of which nothing is said to have saturated, of how many."""
    symptoms = [found.symptoms for recording, found in explained(half) if recording.fault == HEALTHY]
    return sum(not each for each in symptoms), len(symptoms)


def whole(half: Half) -> Score:
    return sum(by_fault(half).values(), Score())


# The aim is 0.80 and 0.95, and 0.90 of healthy runs; docs/explain.md says where it is missed. These are what was reached,
# less one incident of each half: a change must not make it worse.
REACHED = {"dev": (0.96, 0.96), "test": (0.81, 0.88)}
REACHED_HEALTHY = 0.90


@each_half
def test_the_true_component_comes_first_as_often_as_it_did(half: Half) -> None:
    assert whole(half).ac_1 >= REACHED[half][0], by_fault(half)


@each_half
def test_the_true_component_is_among_the_first_three_as_often_as_it_was(half: Half) -> None:
    assert whole(half).ac_3 >= REACHED[half][1], by_fault(half)


def test_nothing_saturated_in_healthy_runs() -> None:
    fine, count = (sum(numbers) for numbers in zip(*map(healthy, HALVES), strict=True))
    assert count >= 10
    assert fine / count >= REACHED_HEALTHY


def test_there_are_enough_faults_and_some_that_development_never_saw() -> None:
    faults = {half: set(by_fault(half)) for half in HALVES}
    assert len(faults["dev"] | faults["test"]) >= FEWEST_FAULTS
    assert faults["test"] - faults["dev"] == set(read_split()["only_test"]) - set(read_split()["left_out"])


def test_every_recording_is_in_the_index_and_small() -> None:
    sizes = {path.name.removesuffix(SUFFIX): path.stat().st_size for path in FOLDER.glob(f"*{SUFFIX}")}
    assert set(sizes) == set(read_index())
    assert {path.name for half in HALVES for path in recording_paths(half)} == {f"{name}{SUFFIX}" for name in sizes}
    assert max(sizes.values()) <= LARGEST_BYTES
    assert sum(sizes.values()) <= ALL_BYTES


def test_the_truth_names_targets_of_the_recordings() -> None:
    for half in HALVES:
        for recording, _ in explained(half):
            assert recording.truth <= {key.target for key in recording.explain_input.samples}, recording.name
            assert bool(recording.truth) == (recording.fault != HEALTHY)
            assert (recording.fault_on_s is None) == (recording.fault in (HEALTHY, OVERLOAD))


def test_the_lab_records_each_fault_at_three_loads_and_twice() -> None:
    recorded: dict[str, set[tuple[int, int]]] = {}
    for one in planned():
        recorded.setdefault(one.fault, set()).add((one.users, one.repetition))
    split = read_split()
    assert set(recorded) == set(split["truth"]) - set(split["left_out"])
    for fault in set(recorded) - {HEALTHY, OVERLOAD}:
        loads = {users for users, _ in recorded[fault]}
        assert (len(loads), recorded[fault]) == (3, {(users, number) for users in loads for number in (1, 2)}), fault


def stated() -> dict[str, tuple[str, str]]:
    """The table of docs/explain.md: by fault, what it says of both halves."""
    text = (ROOT / "docs" / "explain.md").read_text()
    rows = re.findall(r"^\| (?:`([\w-]+)`|(all|healthy)) \|.*\| ([^|]+) \| ([^|]+) \|$", text, re.MULTILINE)
    return {fault or name: (dev, test) for fault, name, dev, test in rows}


def measured() -> dict[str, tuple[str, str]]:
    scores = [by_fault(half) for half in HALVES]
    faults = sorted({fault for each in scores for fault in each})
    found = {fault: tuple(str(each[fault]) if fault in each else "–" for each in scores) for fault in faults}
    found["all"] = tuple(
        f"{whole(half).first / whole(half).count:.0%} and {whole(half).among_three / whole(half).count:.0%}"
        f" of {whole(half).count}"
        for half in HALVES
    )
    found["healthy"] = tuple("{} of {}".format(*healthy(half)) for half in HALVES)
    return {name: (dev, test) for name, (dev, test) in found.items()}


def test_the_documentation_states_these_results() -> None:
    assert stated() == measured()
