"""--list: no run."""
# stdout: First Second page Section inside
# run: --list
# run: --show-task-ratio -u 2
# run: --show-task-ratio-json -u 2

from locust import HttpUser, TaskSet, task


class First(HttpUser):
    @task(3)
    def page(self):
        pass

    @task
    class Section(TaskSet):
        @task
        def inside(self):
            pass


class Second(HttpUser):
    @task
    def page(self):
        pass
