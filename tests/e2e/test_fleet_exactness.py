"""Whatever happens to the connections and processes of a fleet, the master's totals are the target's."""

import random
import signal
import time
from pathlib import Path

import gevent
from gevent.pool import Pool

from tests.support.fleet import CuttableLine, Fleet
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import QuickServer
from tests.support.stalls import StallMeter

SEEDS = 10
AT_A_TIME = 5
RUN_S = 20


def disturbed_run(folder: Path, seed: int, stalls: StallMeter) -> str | None:
    """One run in which everything goes wrong at random times. A sentence when the figures do not agree."""
    draw = random.Random(seed)
    with QuickServer() as target, Fleet(folder, target.url) as fleet, CuttableLine(fleet.port) as line:
        options = ("-u", 20, "-r", 40, "-t", f"{RUN_S}s", "--expect-workers", 4)
        master = fleet.master(*options)
        _cut_off, stopped, killed, _undisturbed = (
            fleet.worker(port=line.port if number == 0 else None) for number in range(4)
        )
        wait_until(
            lambda: target.total() > 50,
            lambda: f"no load: {fleet.log()} {fleet.log('workers.log')}",
        )
        outage: list[float] = []
        killed_at: list[float] = []

        def cut() -> None:
            line.cut()
            gevent.sleep(5)
            line.mend()

        def stop() -> None:
            stopped.send_signal(signal.SIGSTOP)
            gevent.sleep(8)
            stopped.send_signal(signal.SIGCONT)

        def restart() -> None:
            nonlocal master
            outage.append(time.time())
            master.kill()
            master.wait()
            gevent.sleep(draw.uniform(0, 2))
            master = fleet.master(*options)
            wait_until(lambda: "Continuing the run" in fleet.log(), "the master did not come back")
            # Workers look for their master once a second.
            gevent.sleep(2)
            outage.append(time.time())

        def kill() -> None:
            killed_at.append(time.time())
            killed.kill()

        events = [gevent.spawn_later(draw.uniform(0.5, 8.5), event) for event in (cut, stop, restart, kill)]
        gevent.joinall(events, raise_error=True)
        code = master.wait(HANG_S)
        result = fleet.result()
        arrivals = target.arrivals()
        counted = {endpoint["name"]: endpoint["requests"] for endpoint in result["endpoints"]}
        differences = {path: len(times) - counted.get(path, 0) for path, times in arrivals.items()}
        wrong = {path: difference for path, difference in differences.items() if difference}
        context = f"seed {seed}: {differences} {result['lost']} {outage} {killed_at}\n{fleet.log()}\n{fleet.log('workers.log')}"
        if code != 4 or len(result["lost"]) != 1 or result["totals"]["failures"] or result["totals"]["interrupted"]:
            return f"exit code {code}, {result['totals']}, {context}"
        (lost,) = result["lost"]
        if not set(wrong) <= {"/" + lost["worker"]}:
            return f"others than the killed worker differ: {context}"
        times = arrivals["/" + lost["worker"]]
        last_interval = [at for at in times if at > killed_at[0] - lost["unreported_s"] - 0.1]
        if not 0 <= differences["/" + lost["worker"]] <= len(last_interval):
            return f"more is lost than reported: {context}"
        longest_s = stalls.allowed_s(2.2, killed_at[0] - 3, killed_at[0] + 3)
        if not outage[0] - 2 < killed_at[0] < outage[1] and lost["unreported_s"] > longest_s:
            return f"more than an interval (and the one in which it is noticed) is said to be lost: {context}"
    return None


def test_with_cuts_stops_restarts_and_kills_only_a_killed_workers_last_interval_is_missing(tmp_path: Path) -> None:
    pool = Pool(AT_A_TIME)
    with StallMeter() as stalls:
        runs = pool.map(lambda seed: disturbed_run(tmp_path / str(seed), seed, stalls), range(SEEDS))
    wrong = [found for found in runs if found]
    assert not wrong, "\n\n".join(wrong)
