"""The options of guards, requirements, targets and alerts, and what they make: shared by the commands that run
something."""

import logging
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from obswarm import defaults
from obswarm.api import ObswarmError
from obswarm.cli.earlier_alerts import Stoppable, wait_for_earlier_alerts
from obswarm.cli.options import Command, duration, duration_or_zero, option
from obswarm.cli.settings import EARLIER_ALERTS, Settings, check_url, make_target, read_settings
from obswarm.engine import Output, RunCourse, RunResult
from obswarm.guards import (
    Guard,
    GuardBoard,
    GuardRule,
    Judgement,
    Requirement,
    judge,
    parse_action,
    parse_requirement,
    with_own_names,
)
from obswarm.report import GrafanaAnnotations
from obswarm.targets import EmbeddedSource, MetricSource, PrometheusSource, Target, queries_of
from obswarm.units import format_duration
from obswarm.web import AlertsApp

logger = logging.getLogger(__name__)

_WHENS = ("stop", "abort", "hold", "notify")

source_options: tuple[Callable[[Any], Any], ...] = (
    option("--config", metavar="FILE", help="Settings.  [default: obswarm.toml, or [tool.obswarm] in pyproject.toml]"),
    option("--prometheus-url", metavar="URL", help="A Prometheus that scrapes the target; guards' PromQL goes there."),
    option(
        "--target",
        "targets",
        multiple=True,
        metavar="KIND=URL",
        help="A metrics endpoint to read during the run, like mysql=http://db:9104/metrics; repeat it.",
    ),
)

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    *(
        option(
            f"--{action}-when",
            multiple=True,
            metavar="GUARD",
            help={
                "stop": "Stop the run when that is so, like 'error_ratio > 5% for 10s'; repeat it.",
                "abort": "As --stop-when, but at once.",
                "hold": "Freeze the load while that is so.",
                "notify": "Say it and keep it with the run.",
            }[action],
        )
        for action in _WHENS
    ),
    option("--guard", "guards", multiple=True, metavar="ACTION:GUARD", help="Any action, like 'scale(50%): p95 > 2s'."),
    option(
        "--require",
        "requirements",
        multiple=True,
        metavar="CONDITION",
        help="Has to be so over the whole run, like 'p95 < 500ms'; else the exit code is 5. Repeat it.",
    ),
    option("--junit", metavar="FILE", help="Write requirements and guards as JUnit's XML."),
    option("--alerts-token", metavar="TOKEN", help="For POST /api/v1/alerts.  [default: made anew and shown]"),
    option("--on-alert", metavar="ACTION", help="What alerts without the label obswarm_action do.  [default: stop]"),
    option(
        "--alerts-grace",
        type=duration_or_zero,
        metavar="DURATION",
        help="An alert without a run id that fires so soon after the start may be from before; it acts after that time,"
        " if it still fires.  [default: 10s]",
    ),
    option(
        "--earlier-alerts",
        type=click.Choice(EARLIER_ALERTS),
        help="Alerts that fire since before the run: note them, or wait with the start until they are resolved."
        "  [default: note]",
    ),
    option(
        "--earlier-alerts-max-wait",
        type=duration,
        metavar="DURATION",
        help="After that long the run ends without having begun, with exit code 3.  [default: 5m]",
    ),
    option("--grafana-url", metavar="URL", help="Send annotations there."),
    option("--grafana-token", metavar="TOKEN", help="A Grafana service account's token."),
    *source_options,
)


def guard_options(command: Command) -> Command:
    """Adds them."""
    for each in reversed(_OPTIONS):
        command = each(command)
    return command


class Guarding:
    """What watches over a run. A context manager; `attach` it to the run before that starts."""

    def __init__(
        self,
        board: GuardBoard,
        source: MetricSource | None,
        requirements: list[Requirement],
        token: str,
        token_is_new: bool,
        grafana: tuple[str, str] | None,
        junit: str | None,
        earlier_alerts_max_wait_s: float | None = None,
    ) -> None:
        """`earlier_alerts_max_wait_s` is how long the start waits for alerts from before the run; None: not at all."""
        self.board = board
        self.earlier_alerts_max_wait_s = earlier_alerts_max_wait_s
        self.requirements = requirements
        self.junit = junit
        self.app = AlertsApp(board, token)
        self.source = source
        self._token = token
        self._token_is_new = token_is_new
        self.outputs: list[Output] = [] if grafana is None else [GrafanaAnnotations(*grafana)]

    def __enter__(self) -> "Guarding":
        if self.source is not None:
            self.source.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.board.close()
        if self.source is not None:
            self.source.close()

    def attach(self, run: RunCourse) -> None:
        run.watch = self.board
        self.board.alerts.run_id = run.run_id
        self.board.annotate = run.annotate
        planned_s = run.statistics.planned_s
        for rule in (watch.rule for watch in self.board.watches):
            if planned_s is not None and rule.when.for_s >= planned_s:
                logger.warning(
                    "The guard %s cannot trip: its condition has to hold for %s, and the run takes %s.",
                    rule.name,
                    format_duration(rule.when.for_s),
                    format_duration(planned_s),
                )

    def await_earlier_alerts(self, run: Stoppable, interrupted: Callable[[], bool]) -> None:
        """Wait, if that is asked for, while alerts fire that began before the run; `run` is stopped when that takes too
        long. Ends when `interrupted` says so."""
        if self.earlier_alerts_max_wait_s is not None:
            wait_for_earlier_alerts(self.board, run, self.earlier_alerts_max_wait_s, interrupted)

    def notice(self, server_url: str) -> str:
        """What to tell at the start."""
        secret = f", with the bearer token {self._token}" if self._token_is_new else ""
        return f"Alerts are taken at {server_url}/api/v1/alerts{secret}"

    def judge(self, result: RunResult) -> list[Judgement]:
        return judge(self.requirements, result.final)


def make_source(
    targets: Sequence[Target], prometheus_url: str | None, queries: Sequence[str] | None
) -> MetricSource | None:
    """A Prometheus when there is one, else what reads the targets itself, else nothing."""
    if prometheus_url is not None:
        return PrometheusSource(prometheus_url, targets)
    return EmbeddedSource(targets, queries) if targets else None


def settings_of(options: dict[str, Any]) -> tuple[Settings, tuple[Target, ...], str | None]:
    """The file's settings, and targets and Prometheus as command line and file together say."""
    settings = read_settings(options["config"], Path.cwd())
    url: str | None = options["prometheus_url"] or settings.prometheus_url
    if url is not None:
        check_url("--prometheus-url", url)
    targets = [*settings.targets]
    for text in options["targets"]:
        kind, equals, where = text.partition("=")
        if not equals:
            raise ObswarmError(f"--target {text}: write it like mysql=http://127.0.0.1:9104/metrics.")
        targets.append(make_target(f"--target {text}: ", _free_name(kind, targets), where, kind))
    return settings, tuple(targets), url


def _free_name(kind: str, targets: Sequence[Target]) -> str:
    """The kind, with a number from the second on, that no other target has: a target is told by its name alone."""
    number = sum(target.kind == kind for target in targets) + 1
    taken = {target.name for target in targets}
    while (name := kind if number == 1 else f"{kind}-{number}") in taken:
        number += 1
    return name


def guarding_of(options: dict[str, Any], from_file: Sequence[object]) -> Guarding:
    """What the options, obswarm.toml and the load-test file's `guards` ask for. Raises ObswarmError."""
    settings, targets, prometheus_url = settings_of(options)
    rules = with_own_names([*settings.guards, *_of_the_loadtest(from_file), *_of_the_command_line(options)])
    queries = [rule.query for rule in rules if rule.query is not None]
    # Those that are kept with the run have to be read as well.
    kept = [] if options["no_store"] else [query for _, _, query in queries_of(targets)]
    source = make_source(targets, prometheus_url, [*queries, *kept])
    for query in queries:
        if source is None:
            raise ObswarmError(
                f"The guard promql({query}) has nowhere to ask: give --prometheus-url, or --target KIND=URL"
                " (or prometheus_url or [[targets]] in obswarm.toml)."
            )
        source.check(query)
    requirements = [_in_option("--require", text, parse_requirement) for text in options["requirements"]]
    requirements += [_in_option("require", text, parse_requirement) for text in settings.require]
    grace_s = options["alerts_grace"] if options["alerts_grace"] is not None else settings.alerts_grace_s
    longest_s = options["earlier_alerts_max_wait"] or settings.earlier_alerts_max_wait_s
    waits = (options["earlier_alerts"] or settings.earlier_alerts) == "wait"
    if longest_s is not None and not waits:
        raise ObswarmError("--earlier-alerts-max-wait (earlier_alerts_max_wait) needs --earlier-alerts wait.")
    on_alert = _in_option("--on-alert", options["on_alert"] or settings.on_alert or "stop", parse_action)
    token = options["alerts_token"] or settings.alerts_token
    grafana_url = options["grafana_url"] or settings.grafana_url
    grafana_token = options["grafana_token"] or settings.grafana_token
    if grafana_url and not grafana_token:
        raise ObswarmError("--grafana-url needs --grafana-token: a service account's token that may write annotations.")
    if grafana_url:
        check_url("--grafana-url", grafana_url)
    return Guarding(
        GuardBoard(rules, source, on_alert, alerts_grace_s=defaults.ALERTS_GRACE_S if grace_s is None else grace_s),
        source,
        requirements,
        token or secrets.token_urlsafe(16),
        token is None,
        (grafana_url, grafana_token) if grafana_url and grafana_token else None,
        options["junit"],
        (longest_s or defaults.EARLIER_ALERTS_MAX_WAIT_S) if waits else None,
    )


def simple_guarding(rules: Sequence[GuardRule]) -> Guarding:
    """Guards on the engine's own figures alone."""
    board = GuardBoard(with_own_names(rules), None, parse_action("notify"))
    return Guarding(board, None, [], secrets.token_urlsafe(16), False, None, None)


def _of_the_loadtest(guards: Sequence[object]) -> list[GuardRule]:
    for guard in guards:
        if not isinstance(guard, GuardRule):
            raise ObswarmError(f"The load-test file's guards hold {guard!r}; each is a Guard(…).")
    return [guard for guard in guards if isinstance(guard, GuardRule)]


def _of_the_command_line(options: dict[str, Any]) -> list[GuardRule]:
    rules = [
        _in_option(f"--{action}-when", text, partial(Guard, action=action))
        for action in _WHENS
        for text in options[f"{action}_when"]
    ]
    for text in options["guards"]:
        action, colon, when = text.partition(":")
        if not colon:
            raise ObswarmError(f"--guard {text!r}: write it like 'scale(50%): p95 > 2s for 5s'.")
        rules.append(_in_option("--guard", when.strip(), partial(Guard, action=action)))
    return rules


def _in_option(name: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ObswarmError as error:
        raise ObswarmError(f"{name}: {error}") from None


def check_junit(options: dict[str, Any], ctx: click.Context) -> None:
    """Raises click's error when the file cannot be written."""
    if not options["junit"]:
        return
    try:
        Path(options["junit"]).parent.mkdir(parents=True, exist_ok=True)
        with open(options["junit"], "ab"):
            pass
    except OSError as error:
        raise click.BadParameter(f"the file cannot be written: {error.strerror}.", ctx, param_hint="--junit") from None
