"""What a locustfile changes and reads by methods of `environment`, and the profile of the run."""
# run: --profile evening

import observing
from locust import HttpUser, events, task


@events.init.add_listener
def started(environment, **kwargs):
    observing.note("profile", environment.profile, environment.parsed_options.profile)
    observing.note(
        "tasks", {name: [each.__name__ for each in of] for name, of in environment.available_user_tasks.items()}
    )
    environment.update_user_class({"user_class_name": "Visitor", "weight": 3, "tasks": ["page"]})
    observing.note("updated", Visitor.weight, [each.__name__ for each in Visitor.tasks])
    environment.update_worker_logs({"worker_id": "one", "logs": ["a line"]})
    observing.note("logs", environment.worker_logs)
    before = len(events.quit._handlers)
    events.quit.add_listener(lambda **_: None)
    observing.note("listeners", len(events.quit._handlers) - before)


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 3)
        self.client.get("/page")

    @task
    def other(self):
        observing.iteration(self, 3)
        self.client.get("/other")
