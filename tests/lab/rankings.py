"""Print how often each ranking of root causes finds the true component, as the table in docs/explain.md.

    python -m tests.lab.rankings

AC@k is the share of incidents in which it is among the first k, Avg@5 the mean of AC@1 to AC@5 (Pham et al., RCAEval).
"""

from collections.abc import Sequence

from obswarm import gevent_patch  # noqa: F401 - as the command has it
from obswarm.analysis.explain import explain
from tests.support.rca_baselines import BASELINES, ranking_by
from tests.support.rca_cases import CHANGES, Case, recorded_cases, simulated_cases
from tests.support.rca_score import targets_of


def row(name: str, cases: Sequence[Case], rankings: Sequence[Sequence[str]]) -> str:
    def share(most: int) -> float:
        found = zip(cases, rankings, strict=True)
        return sum(bool(case.truth & set(ranking[:most])) for case, ranking in found) / len(cases)

    average = sum(map(share, range(1, 6))) / 5
    return f"| {name} | {share(1):.2f} | {share(3):.2f} | {average:.2f} |"


def main() -> None:
    for what, cases in (("simulated", simulated_cases()), ("recorded", recorded_cases())):
        print(f"| {len(cases)} {what} incidents | AC@1 | AC@3 | Avg@5 |\n| --- | --- | --- | --- |")
        print(row("obswarm explain", cases, [targets_of(explain(case.record)) for case in cases]))
        for name, scorer in BASELINES.items():
            print(row(name, cases, [ranking_by(scorer, case.record, case.fault_s) for case in cases]))
        for change in CHANGES:
            rankings = [targets_of(explain(change(case))) for case in cases]
            print(row(f"obswarm explain, {change.__name__.replace('_', ' ')}", cases, rankings))


if __name__ == "__main__":
    main()
