"""What a real Prometheus and Alertmanager say of the run before stops no run: real programs for three pairs, and twenty
of boards in this process at the same time. `make lab-alerts` has twenty-eight of the former."""

import gevent
import pytest

from tests.support.paired_evaluators import EvaluatorPair, run_evaluator_pairs
from tests.support.run_pairs import LONG_ENOUGH_S, NOT_OURS, Outcome, Pair, run_pairs

PAIRS = (Pair(3, 0.2), Pair(6, 1), Pair(LONG_ENOUGH_S, 0.2))
_PAUSES_S = (0.2, 0.3, 0.5, 0.7, 1, 1.2, 1.5, 2, 2.5, 3, 3.3, 3.7, 4, 4.5, 5, 5.5, 6, 7, 8, 9)
_FAILING_S = (3, 9, 5, 4, 8, 6, 7)
EVALUATOR_PAIRS = tuple(
    EvaluatorPair(_FAILING_S[number % len(_FAILING_S)], pause_s, grafana=number % 2 == 1)
    for number, pause_s in enumerate(_PAUSES_S)
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    """Those of real programs, while the boards have their seconds."""
    evaluators = gevent.spawn(run_evaluator_pairs, EVALUATOR_PAIRS)
    found = run_pairs(tmp_path_factory.mktemp("pairs"), PAIRS, len(PAIRS))
    evaluators.get()
    for _ in range(2):
        if not any(outcome.others_alerts for outcome in found):
            # Programs took so long to start that every alert was resolved before there was a second run.
            found += run_pairs(tmp_path_factory.mktemp("pairs"), PAIRS, len(PAIRS))
    return found


def test_a_healthy_run_is_not_stopped_by_the_failures_of_the_one_before(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        print(outcome.pair, outcome.failing.shown, outcome.healthy.shown, outcome.healthy.alerts, sep="\n  ")
    assert [wrong for outcome in outcomes for wrong in outcome.wrong] == []
    assert sum(outcome.others_alerts for outcome in outcomes), "none of them heard of the run before"


@pytest.mark.usefixtures("outcomes")
def test_nor_is_any_of_twenty_at_different_distances() -> None:
    for pair in EVALUATOR_PAIRS:
        print(pair)
    assert [pair for pair in EVALUATOR_PAIRS if pair.healthy] == []
    assert {pair.refused for pair in EVALUATOR_PAIRS} == {0}
    for is_grafana in (False, True):
        heard = [pair for pair in EVALUATOR_PAIRS if pair.grafana == is_grafana and pair.noted]
        assert heard, "none of them heard of the run before"
        assert all(any(reason in text for reason in NOT_OURS) for pair in heard for text in pair.noted)
        stopped = [pair for pair in EVALUATOR_PAIRS if pair.grafana == is_grafana and pair.failing]
        assert stopped, "no failing run was stopped by its own alert"
        assert {pair.failing[0][:2] for pair in stopped} <= {("stop", "alert"), ("stop", "guard")}
