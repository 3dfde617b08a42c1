"""No host anywhere."""
# run: --no-host

from locust import HttpUser, events, task


@events.init.add_listener
def on_init(environment, **kwargs):
    import gevent

    gevent.spawn_later(1, environment.runner.quit)


class Visitor(HttpUser):
    def wait_time(self):
        return 30

    @task
    def page(self):
        self.client.get("/page")
