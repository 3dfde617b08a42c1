"""The composition root: builds a run, on this machine or on a master's workers, from its configuration."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

from obswarm import clock
from obswarm.api import Environment, ObswarmError
from obswarm.api.feed import LocalSupply, definitions, set_supply
from obswarm.app.exporters import Exporters, exporters_of
from obswarm.app.feed_summary import FeedSummary
from obswarm.app.guards_setup import GuardsSetup, guards_of
from obswarm.app.idle_alerts import IdleAlerts
from obswarm.app.limit_settings import LimitSettings
from obswarm.app.output_plugins import find_outputs
from obswarm.app.outputs import file_outputs, outputs_of
from obswarm.app.page_access import access_of
from obswarm.app.page_of_run import page_of
from obswarm.app.planning import RunPlan, build_plan
from obswarm.app.rate_query import with_queried_rate
from obswarm.app.recording import Recording, recording_of
from obswarm.app.replanning import Replanning
from obswarm.app.session import CompleteResult, Display, MakeDisplay, RunSession
from obswarm.app.unfinished import Recover, rates_of_unfinished, recover_run
from obswarm.app.worker_command import WORKER_COMMAND
from obswarm.app.worker_job import job_of, payload_of, run_spec
from obswarm.cluster import (
    CurveKeys,
    Expectation,
    FleetGenerator,
    FleetJournal,
    Journal,
    LocalWorkers,
    derive_keys,
    is_loopback,
    read_secret,
    tcp_endpoint,
)
from obswarm.config import RunConfig
from obswarm.engine import (
    ClosedExecutor,
    CombinedExecutor,
    Executor,
    IterationCount,
    LoadGenerator,
    LoadSchedule,
    MessageListeners,
    OpenExecutor,
    Output,
    Outputs,
    Run,
    check_descriptors,
    check_open_files,
    host_of,
    new_run_id,
    scenarios_in,
)
from obswarm.feeds import FeedServer
from obswarm.guards import configured_guards
from obswarm.streams import echo
from obswarm.units import counted
from obswarm.web import WebServer

if TYPE_CHECKING:
    from obswarm.app.find_limit import LimitFinder
    from obswarm.app.page import Page


class ServedSession(Protocol):
    """A process that makes one run after the other: its server with the page, the alerts from between two runs, and
    the listeners of messages of all runs. The load test has been initialised."""

    @property
    def page(self) -> "Page": ...

    @property
    def server(self) -> WebServer: ...

    @property
    def alerts(self) -> IdleAlerts: ...

    @property
    def messages(self) -> MessageListeners: ...

    def began(self, run: Run) -> None:
        """Note that a run exists; called before it starts."""


def check_config(config: RunConfig) -> None:
    """Check a configuration as `build_run` does, except for the load test, without importing, connecting or writing
    anything. Raises ObswarmError."""
    is_made_here = config.cluster.master is None
    guards = guards_of(config, configured_guards(config, ()), is_made_here=is_made_here, is_imported=False)
    access_of(config)
    if is_made_here:
        exporters_of(config, guards)
    find_outputs(config.outputs.output)
    file_outputs(config, guards.evaluate)


def build_run(
    config: RunConfig,
    plan: RunPlan,
    make_display: MakeDisplay,
    *,
    finder: "LimitFinder | None" = None,
    session: ServedSession | None = None,
) -> RunSession:
    """Build a run whose users are on this machine. `finder` decides the loads of a search; `session` is that of a
    process with several runs. Raises ObswarmError."""
    page = page_of(config, plan) if session is None else session.page
    messages = None if session is None else session.messages
    guards = guards_of(config, configured_guards(config, plan.loadtest.guards), of_scenarios=plan.requirements)
    display = make_display(config)
    count = config.cluster.workers
    check_open_files(plan.environment.user_classes, plan.schedule.most_users, count or 1, count != 0)
    exporters = exporters_of(config, guards, None if session is None else session.server, page=page)
    recording = _recording(config, plan, guards)
    if session is not None:
        guards.evaluator.deliver(session.alerts.hand_to(guards.app))
    feeds = FeedServer(definitions(), quotas=_quotas(plan))

    def make_run(handed: Outputs) -> Run:
        generator: LoadGenerator
        run_id = new_run_id(clock.wall())
        if count == 0:
            # Only here: with workers, no user is in this process.
            from obswarm.engine import LocalGenerator

            generator = local = LocalGenerator(plan.environment, messages=messages)
            supply = LocalSupply(feeds, _stop_of(plan.environment))
            set_supply(supply)
            local.limit_iterations(plan.iterations, supply)
        else:
            files = tuple(str(file.resolve()) for file in plan.files)
            generator = FleetGenerator(
                plan.environment,
                run_spec(job_of(config, plan, files, str(Path.cwd())), run_id=run_id),
                max_endpoints=config.load.max_endpoints,
                by_capacity=config.cluster.balance == "capacity",
                local=LocalWorkers(WORKER_COMMAND, count),
                messages=messages,
                feeds=feeds,
            )
        run = _run(config, plan, generator, guards, handed, feeds, run_id=run_id)
        if session is not None:
            session.began(run)
        return run

    own, completing = _with_summaries(feeds, finder)
    shown = [] if page is None else [page.service.live]
    return RunSession(
        config,
        plan.environment,
        make_run,
        display,
        guards,
        exporters,
        recording,
        outputs_of(config, display, guards.evaluate, recording, (*own, *shown)),
        replanning=_replanning(config, plan, finder),
        completing=completing,
        page=page,
        is_initialised=session is not None,
    )


def planned(config: RunConfig, search: LimitSettings | None) -> tuple[RunConfig, RunPlan, "LimitFinder | None"]:
    """Return configuration and plan of a run, or of that of a search for the limit with the output that decides it.
    Raises ObswarmError."""
    if search is None:
        return config, build_plan(config), None
    # Only here: other runs have no use for it.
    from obswarm.app.find_limit import searched

    config = search.config_of(config)
    plan, finder = searched(build_plan(config, with_scenarios=False), search, config.load.spawn_rate)
    return config, plan, finder


def _replanning(config: RunConfig, plan: RunPlan, finder: "LimitFinder | None") -> Replanning | None:
    """Return what applies the changes of listeners to the plan; None for the load of a search, which is not theirs."""
    return Replanning(config, plan) if finder is None else None


def _with_summaries(feeds: FeedServer, finder: "LimitFinder | None") -> tuple[list[Output], list[CompleteResult]]:
    """Return the outputs that decide a search and summarise feeds, and what they add to the result."""
    summary = FeedSummary(feeds)
    if finder is None:
        return [summary], [summary.completed]
    return [finder, summary], [finder.completed, summary.completed]


def build_local_run(
    config: RunConfig,
    test: str,
    environment: Environment,
    schedule: LoadSchedule,
    guards: GuardsSetup,
    display: Display,
    outputs: Sequence[Output] = (),
    recording: Recording | None = None,
) -> RunSession:
    """Build a run in this process from imported user classes, without exporters."""

    from obswarm.engine import LocalGenerator

    def make_run(handed: Outputs) -> Run:
        executor, generator = ClosedExecutor(schedule, environment.user_classes), LocalGenerator(environment)
        return Run(environment, executor, generator, test=test, outputs=handed, observer=guards.evaluator)

    handed = outputs_of(config, display, guards.evaluate, recording, outputs)
    return RunSession(config, environment, make_run, display, guards, recording=recording, outputs=handed)


def build_master_run(config: RunConfig, make_display: MakeDisplay) -> RunSession:
    """Build a run whose users are on workers that connect to this master. Raises ObswarmError."""
    keys = keys_of(config)
    given = config.load.arrival_rate
    config = with_queried_rate(config, partial(rates_of_unfinished, config))
    plan = build_plan(config)
    guards = guards_of(config, configured_guards(config, plan.loadtest.guards), of_scenarios=plan.requirements)
    display = make_display(config)
    page = page_of(config, plan)
    exporters, recording = exporters_of(config, guards, page=page), _recording(config, plan, guards)
    rate = config.load.arrival_rate
    rates = {} if given is None or rate is None or given == rate else {given: rate}
    return build_fleet_run(
        config, plan, guards, display, exporters, recording, keys=keys, queried_rates=rates, page=page
    )


def build_fleet_run(
    config: RunConfig,
    plan: RunPlan,
    guards: GuardsSetup,
    display: Display,
    exporters: Exporters,
    recording: Recording | None = None,
    outputs: Sequence[Output] = (),
    *,
    keys: CurveKeys | None,
    shared: Path | None = None,
    recover: Recover | None = None,
    queried_rates: Mapping[str, str] = MappingProxyType({}),
    finder: "LimitFinder | None" = None,
    on_run: Callable[[Run], None] = lambda run: None,
    page: "Page | None" = None,
    run_id: str | None = None,
) -> RunSession:
    """Build a master's run of a plan. `shared` is a folder that workers have under the same path, so that no files are
    sent; `queried_rates` are rates of iterations by their queries, which the journal needs after a restart; `finder`
    decides the loads of a search; `on_run` is called with the new run; `page` shows it; `run_id` is the id of a new
    run. Raises ObswarmError."""
    cluster = config.cluster
    check_descriptors(cluster.expect_workers, counted(cluster.expect_workers, "worker"))
    job, bundle, content = payload_of(config, plan, shared)
    digest = hashlib.sha256(content.encode() + job.pack()).hexdigest()
    recovered = (recover or recover_run)(config, digest)
    spec = run_spec(
        job,
        bundle=bundle,
        files=plan.files,
        run_id=recovered.run_id if recovered is not None else run_id,
        orphan_timeout_s=cluster.orphan_timeout,
    )
    journal = Journal(
        cluster.state_path,
        spec.run_id,
        digest,
        recovered.started_wall_s if recovered is not None else clock.wall(),
        test=plan.loadtest.name,
        host=host_of(plan.environment),
        queried_rates=queried_rates,
        # A file that was given has to work; the default one may fail.
        may_fail=cluster.serve or cluster.state_file is None,
    )

    feeds = FeedServer(definitions(), cluster.state_path.with_suffix(".feeds"), spec.run_id, quotas=_quotas(plan))

    def make_run(handed: Outputs) -> Run:
        generator = FleetGenerator(
            plan.environment,
            spec,
            max_endpoints=config.load.max_endpoints,
            endpoint=tcp_endpoint(*cluster.bind),
            keys=keys,
            by_capacity=cluster.balance == "capacity",
            expect=Expectation(cluster.expect_workers, cluster.expect_workers_max_wait, cluster.serve),
            recovered=recovered,
            feeds=feeds,
        )
        journaled = FleetJournal(journal, generator)
        options = {"run_id": spec.run_id, "journal": journaled, "earlier": recovered}
        run = _run(config, plan, generator, guards, handed, feeds, **options)
        on_run(run)
        return run

    own, completing = _with_summaries(feeds, finder)
    shown = [] if page is None else [page.service.live]
    return RunSession(
        config,
        plan.environment,
        make_run,
        display,
        guards,
        exporters,
        recording,
        outputs_of(config, display, guards.evaluate, recording, (*outputs, *own, *shown)),
        goes_on=recovered is not None,
        replanning=_replanning(config, plan, finder),
        completing=completing,
        page=page,
    )


def keys_of(config: RunConfig) -> CurveKeys | None:
    """Return the keys of the cluster's secret, None without one. Raises ObswarmError if a secret is required."""
    address, _ = config.cluster.bind
    secret, warning = read_secret(config.cluster.secret_file)
    if warning:
        echo(f"Warning: {warning}", err=True)
    if secret is not None:
        return derive_keys(secret)
    if not is_loopback(address) and not config.cluster.insecure:
        raise ObswarmError(
            f"--bind {address} can be reached by other machines, and there is no secret: any program that connects"
            " could read the load test and act as a worker. Give master and workers the same --secret-file"
            " (generate one with: head -c 32 /dev/urandom | base64), or use --insecure."
        )
    return None


def _recording(config: RunConfig, plan: RunPlan, guards: GuardsSetup) -> Recording | None:
    return recording_of(config, plan.files, plan.loaded.custom, guards.source, guards.evaluate)


def _run(
    config: RunConfig,
    plan: RunPlan,
    generator: LoadGenerator,
    guards: GuardsSetup,
    outputs: Outputs,
    feeds: FeedServer,
    **options: Any,
) -> Run:
    """Make the run; `options` are further arguments of Run."""
    iterations = IterationCount(plan.iterations, feeds)
    return Run(
        plan.environment,
        _executor(plan, iterations),
        generator,
        test=plan.loadtest.name,
        planned_s=plan.limit_s,
        outputs=outputs,
        observer=guards.evaluator,
        max_endpoints=config.load.max_endpoints,
        iterations=iterations if plan.iterations else None,
        **options,
    )


def _quotas(plan: RunPlan) -> dict[str, int]:
    """Return the limited numbers of iterations, by name."""
    return {limit.name: limit.number for limit in plan.iterations}


def _executor(plan: RunPlan, iterations: IterationCount) -> Executor:
    """Return the executor of a run's workload model: the one place that knows which there are."""
    if scenarios_in(plan.environment.user_classes):
        # Only here: most load tests have none.
        from obswarm.engine import ScenarioExecutor, plan_scenarios

        return ScenarioExecutor(plan_scenarios(plan.environment.user_classes, plan.arrivals, iterations.is_done))
    classes = plan.closed_classes
    closed = ClosedExecutor(plan.schedule, classes, lambda: plan.closed_classes)
    if not plan.arrivals:
        return closed
    opened = OpenExecutor(plan.arrivals)
    return CombinedExecutor(closed, opened) if classes else opened


def _stop_of(environment: Environment) -> Callable[[str], None]:
    """Return a function that stops the run that the environment takes part in by then."""

    def stop(detail: str) -> None:
        if environment.steering is not None:
            environment.steering.stop_test(detail)

    return stop
