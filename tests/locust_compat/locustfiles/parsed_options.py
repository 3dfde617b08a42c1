"""`environment.parsed_options`: Locust's names for the options of a run."""
# run: -u 2 -r 7 -s 3 -t 9s --tags a --exclude-tags b
# order: any

import observing
from locust import HttpUser, events, tag, task

NAMES = (
    "autoquit", "autostart", "class_picker", "config_users", "csv_prefix", "enable_rebalancing", "equal_weights",
    "exclude_tags", "exit_code_on_error", "expect_workers", "expect_workers_max_wait", "headless", "html_file", "json",
    "json_file", "list_commands", "locustfile", "loglevel", "logfile", "master", "master_bind_host", "master_bind_port",
    "master_host", "master_port", "num_users", "only_summary", "print_stats", "processes", "reset_stats", "run_time",
    "show_task_ratio", "show_task_ratio_json", "skip_log_setup", "spawn_rate", "stats_history_enabled", "stop_timeout",
    "tags", "tls_cert", "user_classes", "web_host", "web_login", "web_port", "worker",
)  # fmt: skip


@events.init.add_listener
def on_init(environment, **kwargs):
    options = environment.parsed_options
    for name in NAMES:
        observing.attempt(name, lambda name=name: getattr(options, name))
    observing.note("seconds", options.run_time == 9, options.stop_timeout == 3, options.spawn_rate == 7)


class Visitor(HttpUser):
    @tag("a")
    @task
    def page(self):
        observing.iteration(self, 1, users=2)
        self.client.get("/")
