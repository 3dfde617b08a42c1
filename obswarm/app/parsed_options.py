"""`environment.parsed_options`: the configuration of a run under the names of Locust's options."""

from collections.abc import Sequence
from typing import Any

from obswarm import defaults
from obswarm.api import Stage, format_stages, new_option_values
from obswarm.config import RunConfig
from obswarm.engine import parse_user_config


def options_for_locustfiles(
    config: RunConfig, locustfile: str, names: Sequence[str], tags: Sequence[str], exclude_tags: Sequence[str]
) -> dict[str, Any]:
    """Return all of Locust's options by name, with Locust's defaults for those that obswarm does not have, and a few of
    obswarm's own. `names` are the user classes that were chosen."""
    load, outputs, cluster, metrics = config.load, config.outputs, config.cluster, config.metrics
    bind_host, bind_port = cluster.bind
    return {
        **new_option_values(),
        "locustfile": locustfile,
        "config": config.file.path if config.file.named else None,
        "host": load.host,
        "users": load.users,
        "num_users": load.users,
        "spawn_rate": load.spawn_rate,
        "run_time": load.run_time,
        "stages": format_stages([Stage(*each) for each in load.stages]) if load.stages else None,
        "config_users": [list(parse_user_config(text)) for text in load.config_users] or None,
        "equal_weights": load.equal_weights,
        "user_classes": list(names),
        "headless": outputs.headless,
        # Without a web page a run always starts by itself.
        "autostart": not outputs.headless,
        "autoquit": -1 if config.web.autoquit is None else int(config.web.autoquit),
        "tags": list(tags) or None,
        "exclude_tags": list(exclude_tags) or None,
        "stop_timeout": load.stop_timeout,
        "reset_stats": load.reset_stats,
        "csv_prefix": outputs.csv,
        "stats_history_enabled": outputs.csv_full_history,
        "html_file": outputs.html,
        "json": outputs.stats_json == "-",
        "json_file": None if outputs.stats_json == "-" else outputs.stats_json,
        "only_summary": outputs.only_summary,
        "skip_log_setup": outputs.skip_log_setup,
        "loglevel": outputs.loglevel,
        "logfile": outputs.logfile,
        "exit_code_on_error": outputs.exit_code_on_error,
        "profile": config.store.profile,
        "otel": metrics.otlp,
        "web_host": metrics.metrics_addr,
        "web_port": metrics.web_port if metrics.web_port is not None else defaults.WEB_PORT,
        "master": cluster.workers != 0,
        "master_bind_host": bind_host,
        "master_bind_port": bind_port,
        "expect_workers": cluster.expect_workers,
        "expect_workers_max_wait": cluster.expect_workers_max_wait or 0,
        "enable_rebalancing": cluster.workers != 0,
        "processes": cluster.workers or None,
    }
