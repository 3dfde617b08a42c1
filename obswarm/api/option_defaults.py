"""The attributes that `environment.parsed_options` has in Locust 2.47, with its defaults: load tests read them by name,
also those of options that obswarm does not have."""

from types import MappingProxyType
from typing import Any

OPTION_DEFAULTS: MappingProxyType[str, Any] = MappingProxyType(
    {
        "locustfile": "locustfile.py",
        "config": None,
        "host": None,
        "num_users": None,
        "spawn_rate": None,
        "run_time": None,
        "list_commands": False,
        "config_users": None,
        "web_host": "",
        "web_host_display_name": None,
        "web_port": 8089,
        "web_base_path": "",
        "web_auth": None,
        "web_login": False,
        "tls_cert": "",
        "tls_key": "",
        "build_path": "",
        "legacy_ui": False,
        "class_picker": False,
        "headless": False,
        "headful": False,
        "autostart": False,
        "autoquit": -1,
        "master": False,
        "master_bind_host": "*",
        "master_bind_port": 5557,
        "expect_workers": 1,
        "expect_workers_max_wait": 0,
        "expect_slaves": None,
        "enable_rebalancing": False,
        "worker": False,
        "slave": None,
        "processes": None,
        "master_host": "127.0.0.1",
        "master_port": 5557,
        "tags": None,
        "exclude_tags": None,
        "csv_prefix": None,
        "stats_history_enabled": False,
        "print_stats": False,
        "only_summary": False,
        "reset_stats": False,
        "html_file": None,
        "json": False,
        "json_file": None,
        "skip_log_setup": False,
        "loglevel": "INFO",
        "logfile": None,
        "show_task_ratio": False,
        "show_task_ratio_json": False,
        "exit_code_on_error": 1,
        "stop_timeout": 0,
        "equal_weights": False,
        "profile": None,
        "otel": False,
    }
)


def new_option_values() -> dict[str, Any]:
    """Return the attributes with their defaults, and no user classes."""
    return {**OPTION_DEFAULTS, "user_classes": []}
