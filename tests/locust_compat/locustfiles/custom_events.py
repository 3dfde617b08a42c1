"""Events of the locustfile's own: EventHook, and events.request fired by hand."""

import time

import observing
from locust import User, events, task
from locust.event import EventHook

mine = EventHook()


@mine.add_listener
def heard(first, second=None, **kwargs):
    observing.note("heard", first, second, kwargs)


@mine.add_listener
def broken(**kwargs):
    raise ValueError("a listener that fails")


class Visitor(User):
    @task
    def call(self):
        observing.iteration(self, 2)
        mine.fire(first=1, second="two", third=3)
        events.request.fire(
            request_type="own", name="call", response_time=12.5, response_length=7, exception=None, context={}
        )
        self.environment.events.request.fire(
            request_type="own",
            name="failing",
            response_time=3,
            response_length=0,
            exception=RuntimeError("went wrong"),
            context=self.context(),
            start_time=time.time(),
        )
