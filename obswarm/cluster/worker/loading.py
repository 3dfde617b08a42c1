"""Load the job of a master on a worker: its files, and the environment of its run in this process."""

import argparse
import os
from pathlib import Path

from obswarm.api import Environment, events, make_parser, new_option_values, register_secrets
from obswarm.cluster.job import Job
from obswarm.engine import UserSettings, add_folder, load, plan_arrivals
from obswarm.engine.otlp import exports, sampler_of
from obswarm.stats import RECORDED, Recorder


def load_job(job: Job, folder: Path | None, own_files: list[Path] | None) -> Environment:
    """Import the load test of a job, from the folder in which its bundle is, or from a worker's own files. Raises
    ObswarmError."""
    root = folder if folder is not None else Path(job.root)
    paths = [root / file for file in job.files]
    if own_files:
        paths = own_files
    elif folder is not None:
        # Load tests open data files by paths relative to the folder in which the master was started.
        os.chdir(root)
        add_folder(root)
    config = job.config.load
    loadtest = load(paths, locust_names=not config.no_locust_compat)
    classes = UserSettings(
        job.user_classes, config.tags, config.exclude_tags, config.config_users, config.equal_weights
    ).applied_to(loadtest)
    plan_arrivals(classes, loadtest.arrival_rate, config)
    if config.host:
        for cls in classes:
            cls.host = config.host
    parser = make_parser(events, loadtest.name)
    # The master has parsed the command line, with the environment and the files of its machine.
    custom = parser.defaults()
    options = {**new_option_values(), **vars(custom), **job.options, "master": False, "worker": True}
    register_secrets(parser, {**vars(custom), **job.options})
    exports_spans = job.config.metrics.otlp and exports("traces")
    return Environment(
        events=events,
        recorder=Recorder(config.max_endpoints, detailed_timings=config.timings, custom=RECORDED),
        user_classes=list(classes),
        host=config.host,
        stop_timeout=config.stop_timeout,
        parsed_options=argparse.Namespace(**options),
        locustfile=loadtest.name,
        tags=list(config.tags) or None,
        exclude_tags=list(config.exclude_tags) or None,
        parsed_locustfiles=[str(path) for path in paths],
        available_user_classes={cls.__name__: cls for cls in loadtest.user_classes},
        profile=options["profile"],
        trace_sampler=sampler_of(config.trace_sample, exports_spans),
        exports_spans=exports_spans,
    )
