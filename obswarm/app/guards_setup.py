"""Sets up guards, requirements, targets and alerts of a run from the configuration and the load test."""

import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from obswarm.api import ObswarmError
from obswarm.api.custom_metrics import declared
from obswarm.app.earlier_alerts import Stoppable, wait_for_earlier_alerts
from obswarm.app.sources import make_source, prometheus_of, targets_of
from obswarm.config import RunConfig
from obswarm.engine import Output, Run, RunResult
from obswarm.guards import (
    Condition,
    EngineOperand,
    FindSuspect,
    GuardEvaluator,
    GuardRule,
    Requirement,
    RequirementResult,
    evaluate_requirements,
    is_custom,
    parse_action,
    parse_requirement,
    with_own_names,
    wrong_metric,
)
from obswarm.targets import MetricSource, Target, TargetCoverage, queries_of, statement_metrics
from obswarm.units import format_duration
from obswarm.web import AlertsApp

logger = logging.getLogger(__name__)

EvaluateRequirements = Callable[[RunResult], Sequence[RequirementResult]]
"""Evaluates the requirements on a result."""


class GuardsSetup:
    """Guards, requirements, their metric source and the alerts API of a run. A context manager; `attach` it to the run
    before that starts."""

    def __init__(
        self,
        evaluator: GuardEvaluator,
        source: MetricSource | None,
        requirements: list[Requirement],
        token: str,
        token_is_new: bool,
        grafana: tuple[str, str] | None,
        earlier_alerts_max_wait_s: float | None = None,
    ) -> None:
        """`earlier_alerts_max_wait_s` is the maximum delay of the start for alerts from before the run; None for no
        delay."""
        self.evaluator = evaluator
        self._earlier_alerts_max_wait_s = earlier_alerts_max_wait_s
        self.requirements = requirements
        self.app = AlertsApp(evaluator, token)
        self.source = source
        self._token = token
        self._token_is_new = token_is_new
        self.coverage = TargetCoverage(source) if source is not None else None
        self.outputs: list[Output] = []
        if grafana is not None:
            # Few runs have a Grafana, and this imports requests.
            from obswarm.report import GrafanaAnnotations

            self.outputs.append(GrafanaAnnotations(*grafana))
        if self.coverage is not None:
            self.outputs.append(self.coverage)

    def __enter__(self) -> "GuardsSetup":
        if self.source is not None:
            self.source.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.evaluator.close()
        if self.source is not None:
            self.source.close()

    def attach(self, run: Run) -> None:
        self.evaluator.attach(run)
        if self.coverage is not None:
            self.coverage.attach(run.annotate)
        planned_s = run.statistics.planned_s
        for rule in (guard.rule for guard in self.evaluator.guards):
            if planned_s is not None and rule.when.for_s >= planned_s:
                logger.warning(
                    "The guard %s cannot trip: its condition has to hold for %s, but the run takes only %s.",
                    rule.name,
                    format_duration(rule.when.for_s),
                    format_duration(planned_s),
                )

    def look_for_suspects(self, find: FindSuspect) -> None:
        """Look up the first suspect when a guard trips, if targets are observed."""
        if self.source is not None:
            self.evaluator.look_for_suspects(find)

    def with_suspect(self, result: RunResult) -> RunResult:
        """Return the result of a run that a guard has stopped with the first suspect in its reason, if there is one."""
        return replace(result, stop_reason=self.evaluator.with_suspect(result.stop_reason))

    def await_earlier_alerts(self, run: Stoppable, interrupted: Callable[[], bool]) -> None:
        """Wait, if so configured, while alerts from before the run are firing; stops `run` after the maximum wait.
        Returns early when `interrupted()` is true."""
        if self._earlier_alerts_max_wait_s is not None:
            wait_for_earlier_alerts(self.evaluator, run, self._earlier_alerts_max_wait_s, interrupted)

    def notice(self, server_url: str) -> tuple[str, str]:
        """Return the message about alerts for the start of the run, and its secret part, which is only for the
        user who starts the run."""
        secret = f", with the bearer token {self._token}" if self._token_is_new else ""
        return f"Alerts are received at {server_url}/api/v1/alerts", secret

    def evaluate(self, result: RunResult) -> list[RequirementResult]:
        return evaluate_requirements(self.requirements, result.final)


def guards_of(
    config: RunConfig,
    rules: Sequence[GuardRule],
    folder: Path | None = None,
    is_made_here: bool = True,
    is_imported: bool = True,
    of_scenarios: Sequence[tuple[str, str]] = (),
) -> GuardsSetup:
    """Set up the guards, which `configured_guards` has returned, and requirements. `of_scenarios` are requirements for
    scenarios, as (name of the scenario, text). Paths are relative to `folder`, if given; if another machine executes
    the run (not `is_made_here`), they are paths of that machine. If the load test has been imported, conditions about
    its own metrics are checked. Raises ObswarmError."""
    targets = targets_of(config, folder, is_made_here)
    prometheus = prometheus_of(config, folder, is_made_here)
    file, guards = config.file, config.guards
    queries = [rule.query for rule in rules if rule.query is not None]
    # Metrics that are stored with the run have to be scraped as well.
    stored = [] if config.store.no_store else _stored_queries(targets)
    source = make_source(targets, prometheus, [*queries, *stored])
    for query in queries:
        if source is None:
            raise ObswarmError(
                f"The guard promql({query}) has no source of metrics: give --prometheus-url, or --target KIND=URL"
                " (or prometheus_url or [[targets]] in obswarm.toml)."
            )
        source.check(query)
    requirements = [_in_option("--require", text, parse_requirement) for text in guards.requirements]
    where = f"{file.where}require"
    requirements += [_in_option(where, text, parse_requirement) for text in file.texts.get("require", ())]
    requirements += [
        _in_option(f"Scenario {name!r}: require", text, partial(_parse_of, name)) for name, text in of_scenarios
    ]
    if is_imported:
        _check_custom(rule.when.condition for rule in rules)
        _check_custom(requirement.condition for requirement in requirements)
    waits = guards.earlier_alerts == "wait"
    if config.is_given("earlier_alerts_max_wait") and not waits:
        raise ObswarmError("--earlier-alerts-max-wait needs --earlier-alerts wait.")
    if guards.grafana_url and not guards.grafana_token:
        raise ObswarmError("--grafana-url needs --grafana-token, a service account token that may write annotations.")
    return GuardsSetup(
        GuardEvaluator(rules, source, parse_action(guards.on_alert), alerts_grace_s=guards.alerts_grace),
        source,
        requirements,
        guards.alerts_token or secrets.token_urlsafe(16),
        not guards.alerts_token,
        (guards.grafana_url, guards.grafana_token) if guards.grafana_url and guards.grafana_token else None,
        guards.earlier_alerts_max_wait if waits else None,
    )


def _stored_queries(targets: Sequence[Target]) -> list[str]:
    """Return the queries for what is stored with a run."""
    return [*(query for _, _, query in queries_of(targets)), *statement_metrics(targets)]


def simple_guards(rules: Sequence[GuardRule], targets: Sequence[Target] = ()) -> GuardsSetup:
    """Set up guards that use only the engine's own metrics. All metrics of `targets` are scraped, for the store."""
    source = make_source(targets, None, _stored_queries(targets))
    evaluator = GuardEvaluator(with_own_names(rules), source, parse_action("notify"))
    return GuardsSetup(evaluator, source, [], secrets.token_urlsafe(16), False, None)


def _check_custom(conditions: Iterable[Condition]) -> None:
    """Raise ObswarmError for a condition about a metric that the load test does not have."""
    for condition in conditions:
        if isinstance(condition.operand, EngineOperand) and is_custom(condition.operand):
            wrong = wrong_metric(condition.operand, declared())
            if wrong is not None:
                raise ObswarmError(f"{condition}: {wrong}")


def _parse_of(scenario: str, text: str) -> Requirement:
    return parse_requirement(text).of(scenario)


def _in_option(name: str, text: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(text)
    except ObswarmError as error:
        raise ObswarmError(f"{name}: {error}") from None
