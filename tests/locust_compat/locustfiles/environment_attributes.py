"""What `environment` has."""
# run: -T read

import observing
from locust import HttpUser, events, tag, task


@events.init.add_listener
def on_init(environment, **kwargs):
    observing.note("classes", [each.__name__ for each in environment.user_classes])
    observing.note("by name", sorted(environment.user_classes_by_name))
    observing.note("host", environment.host == observing.TARGET)
    observing.note("tags", sorted(environment.tags or ()), environment.exclude_tags)
    observing.note("options", environment.reset_stats, environment.stop_timeout, environment.catch_exceptions)
    observing.note("exit code", environment.process_exit_code)
    observing.note("shape", environment.shape_class)
    observing.note("web", environment.web_ui, environment.available_user_classes, environment.available_shape_classes)
    observing.note("tasks", environment.available_user_tasks)
    observing.note("locustfile", environment.locustfile)
    observing.note("parsed", environment.parsed_options is not None)
    observing.note("events", environment.events is events)
    observing.note("stats", type(environment.stats).__name__, environment.stats is environment.runner.stats)
    observing.note("runner", type(environment.runner).__name__)
    observing.note("methods", [hasattr(environment, name) for name in METHODS])


METHODS = (
    "create_local_runner",
    "create_master_runner",
    "create_worker_runner",
    "create_web_ui",
    "assign_equal_weights",
)


class Visitor(HttpUser):
    weight = 3

    @tag("read")
    @task
    def page(self):
        observing.iteration(self, 1)
        observing.note("of a user", self.environment.runner.user_count, self.environment.host == self.host)
        self.client.get("/")

    @task
    def other(self):
        self.client.get("/other")
