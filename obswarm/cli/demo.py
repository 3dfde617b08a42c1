"""`obswarm demo`: a ramp of users against the embedded target, beyond the knee of its throughput."""

from collections.abc import Sequence
from pathlib import Path

import click

from obswarm import __version__, defaults
from obswarm.analysis import Knee, LoadPoint, find_knee
from obswarm.analysis.explain import Explanation, headline, sections
from obswarm.analysis.explain import explain as explain_run
from obswarm.api import Environment, Stage, events
from obswarm.app import exit_codes
from obswarm.app.build import build_local_run
from obswarm.app.exit_status import is_incomplete
from obswarm.app.guards_setup import simple_guards
from obswarm.app.recording import Recording
from obswarm.cli.option_types import duration as parse_duration
from obswarm.cli.options import option
from obswarm.cli.terminal import TerminalDisplay
from obswarm.cli.text_console import TextConsole, joined, plain
from obswarm.config import RunConfig
from obswarm.engine import Output, RunResult, StagesSchedule, check_open_files
from obswarm.guards import Guard
from obswarm.record import RunMetadata, RunState, Snapshot, StopKind
from obswarm.stats import Recorder
from obswarm.store import Store, read_run
from obswarm.streams import echo_error
from obswarm.targets import Target
from obswarm.temporary import TemporaryFolder
from obswarm.units import format_count, format_duration, format_latency

MOST_USERS = 900
_RAMP_SHARE = 0.9
_CALM_USERS = 60
_CALM_SHARE = 0.35
"""Share of the time with few users: what is compared with to find what saturated."""
_SHORTEST_S = 15.0
_GUARD = "error_ratio > 30% for 2s"
"""The site has refused requests for some time then, so the knee is in the measurements."""

_MANY = 0.05
_SECONDS = 3
"""The site counts as broken from this share of errors on, in each of this number of consecutive seconds."""


class _RampPoints(Output):
    """Collects the measurements from which the knee is found."""

    def __init__(self) -> None:
        self.points: list[LoadPoint] = []

    def snapshot(self, snapshot: Snapshot) -> None:
        if snapshot.state not in (RunState.SPAWNING, RunState.RUNNING):
            return
        recent = snapshot.interval_total
        self.points.append(
            LoadPoint(
                users=snapshot.user_count,
                rps=(recent.requests - recent.failures) / snapshot.interval_s,
                p95_s=recent.quantile(0.95),
                failures_per_s=recent.failures / snapshot.interval_s,
            )
        )


@click.command()
@option(
    "--duration",
    type=parse_duration,
    metavar="DURATION",
    default="40s",
    show_default=True,
    envvar="OBSWARM_DEMO_DURATION",
    help="Duration of the ramp.",
)
@option("--headless", is_flag=True, help="Print plain lines instead of the live display.")
@option("--json", "json_file", metavar="FILE|-", help="Write the result as JSON; - is standard output.")
@click.pass_context
def demo(ctx: click.Context, duration: float, headless: bool, json_file: str | None) -> None:
    """Run a demo: a load test that overloads an embedded site.

    The site is a programming contest with an SQLite database, in a separate process on this machine. The number of
    users grows until throughput stops growing and latency rises. No other software is needed.
    """
    if duration < _SHORTEST_S:
        raise click.BadParameter(
            f"the ramp has to take at least {format_duration(_SHORTEST_S)}.", ctx, param_hint="--duration"
        )
    # A local import: it is a load-test file, which no other command should load.
    from obswarm.demo.loadtest import Contestant
    from obswarm.demo.process import TargetProcess

    config = RunConfig.of({"headless": headless, "json_file": json_file, "loglevel": "WARNING"}, {})
    display = TerminalDisplay(config)
    check_open_files([Contestant], MOST_USERS, 1, has_workers=False)
    console = display.progress_console
    with TargetProcess() as target, TemporaryFolder("demo") as folder:
        console.print(f"Target: {target.url} (metrics of its database, workers and queue: {target.url}/metrics)")
        console.print(f"Ramping to {MOST_USERS} users in {format_duration(duration)} …")
        environment = Environment(
            events=events,
            recorder=Recorder(),
            user_classes=[Contestant],
            host=target.url,
            stop_timeout=defaults.STOP_TIMEOUT_S,
        )
        points = _RampPoints()
        calm_s, end_s = duration * _CALM_SHARE, duration * (1 - _RAMP_SHARE)
        ramp = Stage(duration - calm_s - end_s, MOST_USERS)
        schedule = StagesSchedule((Stage(calm_s, _CALM_USERS), ramp, Stage(end_s, MOST_USERS)))
        guards = simple_guards([Guard(_GUARD)], [Target("demo", f"{target.url}/metrics", "app")])
        recording = Recording(
            Path(folder.name), RunMetadata(__version__), guards.source, config.file, (), guards.evaluate
        )
        session = build_local_run(config, "demo", environment, schedule, guards, display, [points], recording)
        result = session.run()
        found = _explanation(recording, result)
    if result.error is not None:
        echo_error(result.error)
    if result.stop_reason.kind not in (StopKind.TIME, StopKind.GUARD):
        ctx.exit(exit_codes.INTERRUPTED if result.stop_reason.kind is StopKind.SIGNAL else exit_codes.FAILURES)
    if result.stop_reason.kind is StopKind.GUARD:
        display.summary_console.print(plain(f"Stopped by a guard: {result.stop_reason.detail}.", "bold yellow"))
    code = explain(display.summary_console, points.points, result.stop_reason.kind is StopKind.GUARD)
    _print_explanation(display.summary_console, found)
    ctx.exit(exit_codes.INCOMPLETE if is_incomplete(result) else code)


def explain(console: TextConsole, points: Sequence[LoadPoint], stopped_by_guard: bool) -> int:
    """Print where the knee was, or where errors began. Returns the exit code, 0 if the site broke."""
    knee = find_knee(points)
    if knee is not None:
        _explain_knee(console, knee)
        return exit_codes.OK
    shares = [_error_share([point]) for point in points]
    runs_of_seconds = (shares[number : number + _SECONDS] for number in range(len(shares) - _SECONDS + 1))
    began = next((number for number, seen in enumerate(runs_of_seconds) if min(seen) > _MANY), None)
    if began is None and not stopped_by_guard:
        text = "No knee: the site kept up until the end of the ramp, with at most {share:.0%} errors in any second."
        console.print(plain(text.format(share=max(shares, default=0.0)), "bold yellow"))
        return exit_codes.FAILURES
    last = points[-_SECONDS:]
    users = points[began].users if began is not None else max((point.users for point in last), default=0)
    console.print(
        plain(
            f"The site broke: from about {format_count(round(users))} users on, it refused requests, with"
            f" {_error_share(last):.0%} errors at the end. The knee could not be determined: the machine was too busy,"
            " or the ramp too steep.",
            "bold yellow",
        )
    )
    return exit_codes.OK


def _error_share(points: Sequence[LoadPoint]) -> float:
    failures = sum(point.failures_per_s for point in points)
    answers = failures + sum(point.rps for point in points)
    return failures / answers if answers else 0.0


def _explain_knee(console: TextConsole, knee: Knee) -> None:
    throughput = (
        f"throughput stayed at {knee.throughput_growth:.0%} of this"
        if knee.throughput_growth < 1.2
        else f"throughput only grew to {knee.throughput_growth:.1f} times this"
    )
    console.print(
        joined(
            ("The knee: ", "bold"),
            f"up to about {format_count(round(knee.users))} users the site kept up, with"
            f" {format_count(round(knee.rps))} successful requests/s and a p95 of {format_latency(knee.p95_s)}.",
        )
    )
    console.print(
        f"With {knee.load_growth:.1f} times as many users, {throughput}, and the p95 was"
        f" {knee.latency_growth:.0f} times as long."
    )


def _explanation(recording: Recording, result: RunResult) -> Explanation | None:
    """Return what saturated first; None if that cannot be read from the recording, which the result says then."""
    try:
        with Store(recording.path) as store:
            return explain_run(read_run(store, store.find(result.run_id)))
    except Exception:
        # A fault of the explanation takes nothing else with it; the run has warned of it.
        return None


def _print_explanation(console: TextConsole, found: Explanation | None) -> None:
    """Print what saturated first, and its evidence and consequences."""
    if found is None:
        return
    console.print(plain(headline(found), "bold"))
    for heading, sentences in sections(found):
        if found.causes and heading.startswith(("Cause", "Perhaps also", "Consequences")):
            for sentence in sentences:
                console.print(plain(f"  {sentence}"))
