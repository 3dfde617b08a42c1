"""Mistakes in the transitions of a MarkovTaskSet."""

import observing
from locust import HttpUser, MarkovTaskSet, task, transition
from locust.user import markov_taskset


def unknown():
    class Chain(MarkovTaskSet):
        @task
        @transition("nowhere")
        def first(self):
            pass


def without():
    class Chain(MarkovTaskSet):
        @task
        def first(self):
            pass


def empty():
    class Chain(MarkovTaskSet):
        pass


for name, call in (("unknown", unknown), ("without", without), ("empty", empty)):
    try:
        call()
    except Exception as error:
        observing.note(
            name,
            type(error).__name__,
            isinstance(
                error,
                markov_taskset.MarkovTaskSetException
                if hasattr(markov_taskset, "MarkovTaskSetException")
                else Exception,
            ),
        )
    else:
        observing.note(name, "is allowed")


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1)
        self.client.get("/")
