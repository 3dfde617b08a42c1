"""Runs as tests want them: with users in this process, or of a master without a network."""

from typing import Any

from obswarm.api import Environment
from obswarm.cluster.master.fleet_journal import FleetJournal
from obswarm.cluster.master.generator import FleetGenerator
from obswarm.cluster.master.journal import Journal, Recovered
from obswarm.cluster.master.run_spec import RunSpec
from obswarm.engine import ClosedExecutor, Executor, LoadSchedule, LocalGenerator, Run


def local_run(environment: Environment, schedule: LoadSchedule, *, test: str = "t", **options: Any) -> Run:
    """A run whose users live in this process; options are those of Run."""
    executor = ClosedExecutor(schedule, environment.user_classes)
    return Run(environment, executor, LocalGenerator(environment), test=test, **options)


def fleet_run(
    environment: Environment,
    plan: LoadSchedule | Executor,
    journal: Journal | None = None,
    recovered: Recovered | None = None,
    **options: Any,
) -> tuple[Run, FleetGenerator]:
    """A master's run, and its workers; the plan is one of the closed model, or an executor of its own. Options are those
    of Run."""
    spec = RunSpec("a-run", b"", None, "")
    generator = FleetGenerator(environment, spec, endpoint="tcp://127.0.0.1:*", recovered=recovered)
    run = Run(
        environment,
        plan if hasattr(plan, "step") else ClosedExecutor(plan, environment.user_classes),
        generator,
        test="t",
        run_id=spec.run_id,
        journal=FleetJournal(journal, generator) if journal is not None else None,
        earlier=recovered,
        **options,
    )
    return run, generator
