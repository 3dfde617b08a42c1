"""What a master sends to its workers: the job, the load test's files, and the specification of the run."""

from pathlib import Path

from obswarm import clock, defaults
from obswarm.app.planning import RunPlan
from obswarm.cluster import Job, Packed, RunSpec, gather, hash_of_files, pack, plain_options
from obswarm.config import RunConfig
from obswarm.engine import new_run_id


def payload_of(config: RunConfig, plan: RunPlan, shared: Path | None) -> tuple[Job, Packed | None, str]:
    """Return what is sent to workers: the job, the files if necessary, and their digest."""
    if shared is not None:
        job = job_of(config, plan, tuple(str(file.resolve()) for file in plan.files), str(shared))
        return job, None, hash_of_files(plan.files)
    root, paths = gather(plan.files, plan.loaded.opened, config.cluster.bundled)
    bundle = pack(root, paths, config.cluster.bundle_limit)
    names = tuple(file.resolve().relative_to(root).as_posix() for file in plan.files)
    return job_of(config, plan, names, ""), bundle, bundle.digest


def job_of(config: RunConfig, plan: RunPlan, files: tuple[str, ...], root: str) -> Job:
    environment = plan.environment
    return Job(
        files=files,
        root=root,
        user_classes=tuple(cls.__name__ for cls in environment.user_classes),
        options=plain_options(environment.parsed_options),
        # The load-test file may have changed these.
        config=config.replaced(
            {
                "host": environment.host,
                "tags": tuple(environment.tags or ()),
                "exclude_tags": tuple(environment.exclude_tags or ()),
                "stop_timeout": float(environment.stop_timeout or 0),
            }
        ),
    )


def run_spec(
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
