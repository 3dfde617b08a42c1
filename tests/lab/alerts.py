"""`make lab-alerts`: twenty pairs of runs, the first of which fails, at distances from 0.2 to 30 s, with a real Prometheus
and Alertmanager each; and eight more that a master that stays makes. Prints a table, and what should not be. Takes some minutes; OBSWARM_LAB_AT_A_TIME pairs go at the
same time."""

# The monkey-patch has to stand before everything else.
import obswarm.gevent_patch  # noqa: F401, I001

import os
import sys
import tempfile
from pathlib import Path

from tests.support.run_pairs import LONG_ENOUGH_S, Pair, run_pairs

_PAUSES_S = (0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 10, 12, 15, 20, 30)
_FAILING_S = (2, 3, 4, 5, 6, 7, 8, LONG_ENOUGH_S)
PAIRS = tuple(
    Pair(_FAILING_S[number % len(_FAILING_S)], pause, service)
    for service, pauses in ((False, _PAUSES_S), (True, _PAUSES_S[:16:2]))
    for number, pause in enumerate(pauses)
)


def main() -> int:
    at_a_time = int(os.environ.get("OBSWARM_LAB_AT_A_TIME", "4"))
    with tempfile.TemporaryDirectory(prefix="obswarm-alerts-") as folder:
        outcomes = run_pairs(Path(folder), PAIRS, at_a_time)
    print("made by | fails for | pause  | alerts about the first | the first run, the second run")
    for outcome in outcomes:
        pair = outcome.pair
        heard = outcome.others_alerts
        made_by = "service" if pair.service else "run"
        print(f"{made_by:7} | {pair.failing_s:7} s | {pair.pause_s:4} s | {heard:22} | {outcome.failing.shown}")
        print(f"{'':7} | {'':9} | {'':6} | {'':22} | {outcome.healthy.shown}")
        for text in outcome.healthy.alerts:
            print(f"{'':54} - {text}")
    wrong = [text for outcome in outcomes for text in outcome.wrong]
    stopped = sum(outcome.failing.result["stop_reason"]["kind"] == "alert" for outcome in outcomes)
    heard_of = sum(outcome.others_alerts > 0 for outcome in outcomes)
    print(
        f"\n{len(outcomes)} pairs: {stopped} failing runs were stopped by an alert; {heard_of} healthy ones heard of an"
        f" alert about the run before; {len(wrong)} of all runs ended as they should not."
    )
    for text in wrong:
        print(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
