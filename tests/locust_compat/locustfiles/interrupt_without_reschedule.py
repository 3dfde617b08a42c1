"""`interrupt(reschedule=False)` waits before the parent's next task."""

import observing
from locust import HttpUser, TaskSet, task


class Section(TaskSet):
    @task
    def leave(self):
        self.client.get("/section")
        self.interrupt(reschedule=False)


class Impatient(TaskSet):
    @task
    def leave(self):
        self.client.get("/impatient")
        self.interrupt()


class Visitor(HttpUser):
    turn = 0

    def wait_time(self):
        observing.note("waits")
        return 0

    @task
    def either(self):
        self.turn += 1
        observing.iteration(self, 4)
        section = (Section if self.turn % 2 else Impatient)(self)
        section.run()
