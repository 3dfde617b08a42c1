"""What a user has."""

import gevent
import observing
from locust import FastHttpUser, HttpUser, TaskSet, task


class Section(TaskSet):
    @task
    def inside(self):
        observing.note("section", type(self.user).__name__, self.parent is self.user, self.client is self.user.client)
        observing.attempt("locust", lambda: type(self.locust).__name__)
        self.interrupt()


class Visitor(HttpUser):
    weight = 2
    network_timeout = 3

    def on_start(self):
        observing.note("greenlet", isinstance(self.greenlet, gevent.Greenlet), self.greenlet is gevent.getcurrent())
        observing.note("state", self._state)
        observing.note("environment", self.environment.runner is not None, self.host == observing.TARGET)
        observing.note("context", self.context())
        observing.note("name", self.fullname())
        observing.note("client", self.client.base_url == self.host, self.client.trust_env, self.client.verify)
        observing.note("pool", self.pool_manager)

    @task
    def section(self):
        observing.iteration(self, 1)
        Section(self).run()

    def wait_time(self):
        return 0


observing.note("tasks", [each.__name__ for each in Visitor.tasks], HttpUser.tasks, FastHttpUser.abstract)
