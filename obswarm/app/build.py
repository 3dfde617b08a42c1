"""The composition root: builds a run, on this machine or on a master's workers, from its configuration."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from obswarm import clock, defaults
from obswarm.api import Environment, ObswarmError
from obswarm.app.exporters import Exporters, exporters_of
from obswarm.app.guards_setup import GuardsSetup, guards_of
from obswarm.app.output_plugins import find_outputs
from obswarm.app.planning import RunPlan, build_plan
from obswarm.app.recording import Recording, recording_of
from obswarm.app.session import Display, MakeDisplay, RunSession, file_outputs
from obswarm.app.unfinished import put_aside
from obswarm.app.worker_command import WORKER_COMMAND
from obswarm.cluster import (
    CurveKeys,
    Expectation,
    FleetGenerator,
    FleetJournal,
    Job,
    Journal,
    LocalWorkers,
    Packed,
    Recovered,
    RunSpec,
    check_free,
    derive_keys,
    gather,
    hash_of_files,
    is_loopback,
    pack,
    plain_options,
    read_journal,
    read_secret,
    tcp_endpoint,
)
from obswarm.config import RunConfig
from obswarm.engine import (
    ClosedExecutor,
    Executor,
    LoadGenerator,
    LoadSchedule,
    LocalGenerator,
    Output,
    Outputs,
    Run,
    check_descriptors,
    check_open_files,
    host_of,
    new_run_id,
)
from obswarm.streams import say
from obswarm.units import counted

Recover = Callable[[RunConfig, str], Recovered | None]
"""Finds the run to continue, from the configuration and the digest of the load test."""


def check_config(config: RunConfig) -> None:
    """Check a configuration as `build_run` does, except for the load test, without importing, connecting or writing
    anything. Raises ObswarmError."""
    is_made_here = config.cluster.master is None
    guards = guards_of(config, (), is_made_here=is_made_here)
    if is_made_here:
        exporters_of(config, guards)
    find_outputs(config.outputs.output)
    file_outputs(config, guards.evaluate)


def build_run(config: RunConfig, make_display: MakeDisplay) -> RunSession:
    """Build a run whose users are on this machine. Raises ObswarmError."""
    plan = build_plan(config)
    guards = guards_of(config, plan.loadtest.guards)
    display = make_display(config)
    count = config.cluster.workers
    check_open_files(plan.environment.user_classes, plan.schedule.most_users, count or 1, count != 0)
    exporters, recording = exporters_of(config, guards), _recording(config, plan, guards)

    def make_run(outputs: Outputs) -> Run:
        generator: LoadGenerator
        if count == 0:
            generator = LocalGenerator(plan.environment)
        else:
            files = tuple(str(file.resolve()) for file in plan.files)
            generator = FleetGenerator(
                plan.environment,
                _run_spec(_job(config, plan, files, str(Path.cwd()))),
                max_endpoints=config.load.max_endpoints,
                by_capacity=config.cluster.balance == "capacity",
                local=LocalWorkers(WORKER_COMMAND, count),
            )
        return _run(config, plan, generator, guards, outputs)

    return RunSession(config, plan.environment, make_run, display, guards, exporters, recording)


def build_local_run(
    config: RunConfig,
    test: str,
    environment: Environment,
    schedule: LoadSchedule,
    guards: GuardsSetup,
    display: Display,
    outputs: Sequence[Output] = (),
) -> RunSession:
    """Build a run in this process from imported user classes, without exporters and store."""

    def make_run(handed: Outputs) -> Run:
        executor, generator = _executor(schedule, environment), LocalGenerator(environment)
        return Run(environment, executor, generator, test=test, outputs=handed, observer=guards.evaluator)

    return RunSession(config, environment, make_run, display, guards, outputs=outputs)


def build_master_run(config: RunConfig, make_display: MakeDisplay) -> RunSession:
    """Build a run whose users are on workers that connect to this master. Raises ObswarmError."""
    keys = keys_of(config)
    plan = build_plan(config)
    guards = guards_of(config, plan.loadtest.guards)
    display = make_display(config)
    exporters, recording = exporters_of(config, guards), _recording(config, plan, guards)
    return build_fleet_run(config, plan, guards, display, exporters, recording, keys=keys)


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
    on_run: Callable[[Run], None] = lambda run: None,
) -> RunSession:
    """Build a master's run of a plan. `shared` is a folder that workers have under the same path, so that no files are
    sent; `on_run` is called with the new run. Raises ObswarmError."""
    cluster = config.cluster
    check_descriptors(cluster.expect_workers, counted(cluster.expect_workers, "worker"))
    job, bundle, content = _payload(config, plan, shared)
    digest = hashlib.sha256(content.encode() + job.pack()).hexdigest()
    recovered = (recover or recover_run)(config, digest)
    spec = _run_spec(
        job,
        bundle=bundle,
        files=plan.files,
        run_id=recovered.run_id if recovered is not None else None,
        orphan_timeout_s=cluster.orphan_timeout,
    )
    journal = Journal(
        cluster.state_path,
        spec.run_id,
        digest,
        recovered.started_wall_s if recovered is not None else clock.wall(),
        test=plan.loadtest.name,
        host=host_of(plan.environment),
        # A file that was given has to work; the default one may fail.
        may_fail=cluster.serve or cluster.state_file is None,
    )

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
        )
        journaled = FleetJournal(journal, generator)
        run = _run(config, plan, generator, guards, handed, run_id=spec.run_id, journal=journaled, earlier=recovered)
        on_run(run)
        return run

    return RunSession(
        config,
        plan.environment,
        make_run,
        display,
        guards,
        exporters,
        recording,
        outputs,
        goes_on=recovered is not None,
    )


def keys_of(config: RunConfig) -> CurveKeys | None:
    """Return the keys of the cluster's secret, None without one. Raises ObswarmError if a secret is required."""
    address, _ = config.cluster.bind
    secret, warning = read_secret(config.cluster.secret_file)
    if warning:
        say(f"Warning: {warning}", err=True)
    if secret is not None:
        return derive_keys(secret)
    if not is_loopback(address) and not config.cluster.insecure:
        raise ObswarmError(
            f"--bind {address} can be reached by other machines, and there is no secret: any program that connects"
            " could read the load test and act as a worker. Give master and workers the same --secret-file"
            " (generate one with: head -c 32 /dev/urandom | base64), or use --insecure."
        )
    return None


def recover_run(config: RunConfig, digest: str) -> Recovered | None:
    """Return the run to continue, None without one. The state of a run that cannot be continued is moved to a separate
    file, not removed. Raises ObswarmError."""
    state, fresh, max_endpoints = config.cluster.state_path, config.cluster.fresh, config.load.max_endpoints
    if state.exists():
        # Never use the state of a running master.
        check_free(*config.cluster.bind)
    try:
        found = read_journal(state, max_endpoints)
    except ObswarmError:
        if not fresh:
            raise
        found = None
    if found is None:
        if fresh and (text := put_aside(state, max_endpoints)) is not None:
            say(f"Warning: {text}", err=True)
        return None
    age_s = clock.wall() - found.progress.at_wall_s
    may_go_on = age_s <= config.cluster.orphan_timeout + defaults.GIVE_UP_AFTER_S
    if may_go_on and not fresh:
        if found.digest == digest:
            return found
        raise ObswarmError(
            f"The run {found.run_id} was left {age_s:.0f} s ago by a master with another load test or other options"
            f" (see {state}), and its workers may still be running. Use the same load test and options to continue it,"
            " or --fresh to start a new run."
        )
    say(f"Warning: {put_aside(state, max_endpoints)}", err=True)
    return None


def _recording(config: RunConfig, plan: RunPlan, guards: GuardsSetup) -> Recording | None:
    return recording_of(config, plan.files, plan.loaded.custom, guards.source, guards.evaluate)


def _run(
    config: RunConfig, plan: RunPlan, generator: LoadGenerator, guards: GuardsSetup, outputs: Outputs, **options: Any
) -> Run:
    """Make the run; `options` are further arguments of Run."""
    return Run(
        plan.environment,
        _executor(plan.schedule, plan.environment),
        generator,
        test=plan.loadtest.name,
        planned_s=plan.limit_s,
        outputs=outputs,
        observer=guards.evaluator,
        max_endpoints=config.load.max_endpoints,
        **options,
    )


def _executor(schedule: LoadSchedule, environment: Environment) -> Executor:
    """Return the executor of a run's workload model: the one place that knows which there are."""
    return ClosedExecutor(schedule, environment.user_classes)


def _payload(config: RunConfig, plan: RunPlan, shared: Path | None) -> tuple[Job, Packed | None, str]:
    """Return what is sent to workers: the job, the files if necessary, and their digest."""
    if shared is not None:
        job = _job(config, plan, tuple(str(file.resolve()) for file in plan.files), str(shared))
        return job, None, hash_of_files(plan.files)
    root, paths = gather(plan.files, plan.loaded.opened, config.cluster.bundled)
    bundle = pack(root, paths, config.cluster.bundle_limit)
    names = tuple(file.resolve().relative_to(root).as_posix() for file in plan.files)
    return _job(config, plan, names, ""), bundle, bundle.digest


def _job(config: RunConfig, plan: RunPlan, files: tuple[str, ...], root: str) -> Job:
    environment = plan.environment
    return Job(
        files=files,
        root=root,
        user_classes=tuple(cls.__name__ for cls in environment.user_classes),
        host=environment.host,
        tags=tuple(environment.tags or ()),
        exclude_tags=tuple(environment.exclude_tags or ()),
        stop_timeout_s=environment.stop_timeout,
        max_endpoints=config.load.max_endpoints,
        detailed_timings=config.load.timings,
        trace_share=config.load.trace_sample or 0.0,
        locust_names=not config.load.no_locust_compat,
        options=plain_options(environment.parsed_options),
        loglevel=config.outputs.loglevel.upper(),
    )


def _run_spec(
    job: Job,
    *,
    bundle: Packed | None = None,
    files: tuple[Path, ...] = (),
    run_id: str | None = None,
    orphan_timeout_s: float = defaults.ORPHAN_TIMEOUT_S,
) -> RunSpec:
    return RunSpec(
        run_id or new_run_id(clock.wall()),
        job.pack(),
        bundle,
        hash_of_files(files) if files else "",
        orphan_timeout_s,
    )
