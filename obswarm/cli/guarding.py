"""The options of guards, requirements, targets and alerts, and what they make: shared by the commands that run
something."""

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from obswarm import defaults
from obswarm.api import ObswarmError
from obswarm.cli.earlier_alerts import Stoppable, wait_for_earlier_alerts
from obswarm.cli.options import Command, Line, duration, duration_or_zero, http_url
from obswarm.cli.options import shared_option as option
from obswarm.cli.settings import EARLIER_ALERTS
from obswarm.cli.sources import make_source, settings_of, source_options
from obswarm.engine import Output, Run, RunResult
from obswarm.guards import (
    Action,
    Guard,
    GuardEvaluator,
    GuardRule,
    Requirement,
    RequirementResult,
    evaluate_requirements,
    parse_action,
    parse_requirement,
    split_name,
    with_own_names,
)
from obswarm.private_files import check_writable
from obswarm.report import GrafanaAnnotations
from obswarm.stats import GuardAction
from obswarm.targets import MetricSource, TargetCoverage, queries_of
from obswarm.units import format_duration
from obswarm.web import AlertsApp

logger = logging.getLogger(__name__)


def _action(text: str) -> Action:
    try:
        return parse_action(text)
    except ObswarmError as error:
        raise click.BadParameter(str(error)) from None


_WHENS = (GuardAction.STOP, GuardAction.ABORT, GuardAction.HOLD, GuardAction.NOTIFY)
_KEYS_OF_GUARDS = {**{f"{action}-when": f"{action}_when" for action in _WHENS}, "guard": "guard"}
_OPTIONS_OF_GUARDS = {**_KEYS_OF_GUARDS, "guard": "guards"}

_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    *(
        option(
            f"--{action}-when",
            type=Line(),
            multiple=True,
            adds=True,
            metavar="[NAME:]GUARD",
            help={
                "stop": "Stop the run when that is so, like 'error_ratio > 5% for 10s' or 'slow: p95 > 2s'; repeat it.",
                "abort": "As --stop-when, but at once.",
                "hold": "Freeze the load while that is so.",
                "notify": "Say it and keep it with the run.",
            }[action],
        )
        for action in _WHENS
    ),
    option(
        "--guard",
        "guards",
        type=Line(),
        multiple=True,
        adds=True,
        metavar="ACTION:[NAME:]GUARD",
        help="Any action, like 'scale(50%): p95 > 2s'.",
    ),
    option(
        "--require",
        "requirements",
        type=Line(),
        multiple=True,
        adds=True,
        metavar="CONDITION",
        help="Has to be so over the whole run, like 'p95 < 500ms'; else the exit code is 5. Repeat it.",
    ),
    option("--junit", metavar="FILE", help="Write requirements and guards as JUnit's XML."),
    option("--alerts-token", metavar="TOKEN", help="For POST /api/v1/alerts.  [default: made anew and shown]"),
    option(
        "--on-alert",
        type=_action,
        metavar="ACTION",
        help="What alerts without the label obswarm_action do.  [default: stop]",
    ),
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
    option("--grafana-url", type=http_url, metavar="URL", help="Send annotations there."),
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
        evaluator: GuardEvaluator,
        source: MetricSource | None,
        requirements: list[Requirement],
        token: str,
        token_is_new: bool,
        grafana: tuple[str, str] | None,
        junit: str | None,
        earlier_alerts_max_wait_s: float | None = None,
    ) -> None:
        """`earlier_alerts_max_wait_s` is how long the start waits for alerts from before the run; None: not at all."""
        self.evaluator = evaluator
        self.earlier_alerts_max_wait_s = earlier_alerts_max_wait_s
        self.requirements = requirements
        self.junit = junit
        self.app = AlertsApp(evaluator, token)
        self.source = source
        self._token = token
        self._token_is_new = token_is_new
        self.coverage = TargetCoverage(source) if source is not None else None
        self.outputs: list[Output] = [] if grafana is None else [GrafanaAnnotations(*grafana)]
        if self.coverage is not None:
            self.outputs.append(self.coverage)

    def __enter__(self) -> "Guarding":
        if self.source is not None:
            self.source.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.evaluator.close()
        if self.source is not None:
            self.source.close()

    def attach(self, run: Run) -> None:
        run.observer = self.evaluator
        self.evaluator.alerts.run_id = run.run_id
        self.evaluator.annotate = run.annotate
        if self.coverage is not None:
            self.coverage.annotate = run.annotate
        planned_s = run.statistics.planned_s
        for rule in (guard.rule for guard in self.evaluator.guards):
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
            wait_for_earlier_alerts(self.evaluator, run, self.earlier_alerts_max_wait_s, interrupted)

    def notice(self, server_url: str) -> tuple[str, str]:
        """What to tell at the start, and what of it only those may know who started the run."""
        secret = f", with the bearer token {self._token}" if self._token_is_new else ""
        return f"Alerts are taken at {server_url}/api/v1/alerts", secret

    def evaluate(self, result: RunResult) -> list[RequirementResult]:
        return evaluate_requirements(self.requirements, result.final)


def guarding_of(
    options: dict[str, Any], from_file: Sequence[object], folder: Path | None = None, is_made_here: bool = True
) -> Guarding:
    """What the options, obswarm.toml and the load-test file's `guards` ask for; see `settings_of`. Raises
    ObswarmError."""
    settings, targets, prometheus = settings_of(options, folder, is_made_here)
    rules = with_own_names(
        [
            *settings.guards,
            *_written(settings.where, {name: settings.texts(key) for name, key in _KEYS_OF_GUARDS.items()}),
            *_of_the_loadtest(from_file),
            *_written("", {name: options[parameter] for name, parameter in _OPTIONS_OF_GUARDS.items()}),
        ]
    )
    queries = [rule.query for rule in rules if rule.query is not None]
    # Those that are kept with the run have to be read as well.
    kept = [] if options["no_store"] else [query for _, _, query in queries_of(targets)]
    source = make_source(targets, prometheus, [*queries, *kept])
    for query in queries:
        if source is None:
            raise ObswarmError(
                f"The guard promql({query}) has nowhere to ask: give --prometheus-url, or --target KIND=URL"
                " (or prometheus_url or [[targets]] in obswarm.toml)."
            )
        source.check(query)
    requirements = [_in_option("--require", text, parse_requirement) for text in options["requirements"]]
    where = f"{settings.where}require"
    requirements += [_in_option(where, text, parse_requirement) for text in settings.texts("require")]
    grace_s, longest_s = options["alerts_grace"], options["earlier_alerts_max_wait"]
    waits = options["earlier_alerts"] == "wait"
    if longest_s is not None and not waits:
        raise ObswarmError("--earlier-alerts-max-wait needs --earlier-alerts wait.")
    on_alert = options["on_alert"] or parse_action("stop")
    token, grafana_url, grafana_token = options["alerts_token"], options["grafana_url"], options["grafana_token"]
    if grafana_url and not grafana_token:
        raise ObswarmError("--grafana-url needs --grafana-token: a service account's token that may write annotations.")
    return Guarding(
        GuardEvaluator(rules, source, on_alert, alerts_grace_s=defaults.ALERTS_GRACE_S if grace_s is None else grace_s),
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
    evaluator = GuardEvaluator(with_own_names(rules), None, parse_action("notify"))
    return Guarding(evaluator, None, [], secrets.token_urlsafe(16), False, None, None)


def _of_the_loadtest(guards: Sequence[object]) -> list[GuardRule]:
    for guard in guards:
        if not isinstance(guard, GuardRule):
            raise ObswarmError(f"The load-test file's guards hold {guard!r}; each is a Guard(…).")
    return [guard for guard in guards if isinstance(guard, GuardRule)]


def _written(where: str, texts: Mapping[str, Sequence[str]]) -> list[GuardRule]:
    """Guards as texts, by what they are the value of: `stop-when`, …, `guard`."""
    rules = []
    for name, values in texts.items():
        key = where + name.replace("-", "_") if where else f"--{name}"
        for text in values:
            action, colon, rest = (name.partition("-")[0], ":", text) if name != "guard" else text.partition(":")
            if not colon:
                raise ObswarmError(f"{key} {text!r}: write it like 'scale(50%): p95 > 2s for 5s'.")
            rules.append(_in_option(key, rest, partial(_named, action=action)))
    return rules


def _named(text: str, action: str) -> GuardRule:
    """A guard as options have it, with or without a name. Raises ObswarmError."""
    parse_action(action)
    name, when = split_name(text)
    if name in tuple(GuardAction):
        # Whoever writes --stop-when 'notify: …' has meant something else than a guard of that name.
        raise ObswarmError(
            f"{name!r} is an action, and this guard's is {action.strip()}; use --guard '{name}: {when}', or another"
            " name."
        )
    return Guard(when, action, name)


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
        check_writable(options["junit"])
    except OSError as error:
        raise click.BadParameter(f"the file cannot be written: {error.strerror}.", ctx, param_hint="--junit") from None
