"""Tests for pytest in place of user classes."""
# run: -u 2 -r 100 --stop-timeout 0
# order: any

import gevent
import observing
from locust import events

found = {}


@events.init.add_listener
def started(environment, **kwargs):
    found["environment"] = environment
    observing.note("classes", sorted(each.__name__ for each in environment.user_classes))


def ended(name):
    """Wait for the end of the run after two calls of each test."""
    found[name] = found.get(name, 0) + 1
    if found[name] == 2:
        found["ended"] = found.get("ended", 0) + 1
        if found["ended"] == 2:
            observing.end(found["environment"])
        gevent.sleep(60)


def test_plain(session):
    response = session.get("/page")
    observing.note("plain", response.status_code)
    with session.get("/json", catch_response=True) as response:
        if response.json()["id"] == 42:
            response.failure("it is 42")
    ended("plain")


def test_fast(fastsession):
    observing.note("fast", fastsession.get("/fast").text)
    fastsession.get("/status/404")
    ended("fast")
