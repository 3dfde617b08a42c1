"""Tasks chosen by tags: of methods, of TaskSets, and both."""
# run: -T read
# run: -E read
# run: -T read write -E slow
# run: -u 1 --tags write --exclude-tags slow
# compare: proportions

import observing
from locust import HttpUser, TaskSet, tag, task


class Visitor(HttpUser):
    @tag("read")
    @task
    def read(self):
        observing.iteration(self, 120)
        self.client.get("/read")

    @tag("write")
    @task
    def write(self):
        observing.iteration(self, 120)
        self.client.post("/write")

    @tag("read", "slow")
    @task
    def slow(self):
        observing.iteration(self, 120)
        self.client.get("/slow-one")

    @tag("write")
    @task
    class Section(TaskSet):
        @task
        def inside(self):
            observing.iteration(self.user, 120)
            self.client.get("/inside")
            self.interrupt()

        @tag("slow")
        @task
        def inside_slow(self):
            observing.iteration(self.user, 120)
            self.client.get("/inside-slow")
            self.interrupt()

    @task
    def untagged(self):
        observing.iteration(self, 120)
        self.client.get("/untagged")
