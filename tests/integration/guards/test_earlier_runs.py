"""What a real Prometheus and Alertmanager say of the run before stops no run; `make lab-alerts` has more of these pairs."""

from pathlib import Path

from tests.support.run_pairs import LONG_ENOUGH_S, Pair, run_pairs

PAIRS = (Pair(3, 0.2), Pair(6, 1), Pair(LONG_ENOUGH_S, 0.2))


def test_a_healthy_run_is_not_stopped_by_the_failures_of_the_one_before(tmp_path: Path) -> None:
    outcomes = run_pairs(tmp_path, PAIRS, len(PAIRS))
    for outcome in outcomes:
        print(outcome.pair, outcome.failing.shown, outcome.healthy.shown, outcome.healthy.alerts, sep="\n  ")
    assert [wrong for outcome in outcomes for wrong in outcome.wrong] == []
    assert sum(outcome.others_alerts for outcome in outcomes), "none of them heard of the run before"
