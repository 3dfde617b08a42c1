"""StopUser, RescheduleTask, RescheduleTaskImmediately and InterruptTaskSet."""
# run: -u 1
# order: any

import observing
from locust import HttpUser, SequentialTaskSet, task
from locust.exception import InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopUser


class Steps(SequentialTaskSet):
    @task
    def later(self):
        self.client.get("/later")
        raise RescheduleTask()

    @task
    def at_once(self):
        self.client.get("/at-once")
        raise RescheduleTaskImmediately()

    @task
    def leave(self):
        self.client.get("/leave")
        raise InterruptTaskSet(reschedule=True)


class Visitor(HttpUser):
    rounds = 0

    def wait_time(self):
        observing.note("waits")
        return 0

    @task
    def section(self):
        self.rounds += 1
        if self.rounds == 3:
            observing.end(self.environment)
            raise StopUser()
        Steps(self).run()

    def on_stop(self):
        observing.note("on_stop")
