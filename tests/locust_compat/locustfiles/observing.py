"""What a locustfile of the corpus sees, written as it happens: one JSON array a line, in the file that OBSERVED names.

Every locustfile imports this module, so the same code observes both programs.
"""

import json
import os

import gevent
import locust.stats
import requests
from locust import events
from locust.contrib.fasthttp import FastResponse
from locust.exception import StopUser

# Both programs are to have written everything when a run of half a second ends.
locust.stats.CSV_STATS_INTERVAL_SEC = 0.1
locust.stats.CSV_STATS_FLUSH_INTERVAL_SEC = 0.1

TARGET = os.environ["OBSERVED_TARGET"]
QUIET_S = 0.35

_PLAIN = (bool, int, str, type(None))
_EVENTS = (
    "init",
    "init_command_line_parser",
    "test_start",
    "spawning_complete",
    "request",
    "user_error",
    "test_stopping",
    "test_stop",
    "quitting",
    "quit",
    "reset_stats",
    "report_to_master",
    "worker_report",
    "worker_connect",
)


def described(value, depth=0):
    """Return a JSON value: plain values as they are, others by type, and the text of exceptions."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, float):
        return "a float"
    if isinstance(value, bytes):
        return f"bytes {value!r}"
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}".replace(TARGET.rpartition(":")[2], "PORT")
    if isinstance(value, dict) and depth < 2:
        return {str(key): described(each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple, set)) and depth < 2:
        return [described(each, depth + 1) for each in value]
    if isinstance(value, type):
        return f"class {value.__name__}"
    if isinstance(value, requests.Response):
        return "a requests.Response"
    if isinstance(value, FastResponse):
        return "a FastResponse"
    if hasattr(value, "add_argument") and hasattr(value, "add_argument_group"):
        return "a parser"
    return f"a {type(value).__name__}"


def _write(kind, name, values):
    with open(os.environ["OBSERVED"], "a", encoding="utf-8") as file:
        file.write(json.dumps([kind, name, values]) + "\n")


def note(name, *values):
    """Write down what the locustfile has found out."""
    _write("said", name, [described(value) for value in values])


def attempt(name, call):
    """Write down what the call returns, or which exception it raises."""
    try:
        found = call()
    except Exception as error:
        note(name, "raised", error)
    else:
        note(name, found)


def _observe(name):
    hook = getattr(events, name, None)
    if hook is None:
        _write("event", name, "missing")
        return

    def listener(**arguments):
        described_ones = {key: described(value) for key, value in arguments.items()}
        _write("request" if name == "request" else "event", name, described_ones)

    hook.add_listener(listener)


for _name in _EVENTS:
    _observe(_name)

_tasks_of = {}
_finished = set()


def end(environment):
    """End the run when what has happened is in every file."""
    gevent.spawn_later(QUIET_S, environment.runner.quit)


def iteration(user, most, users=1):
    """Count a task of the user; its task after the last one ends it, and the last of so many users ends the run."""
    # By the user itself, which keeps it alive: the identity of one that is gone may become another one's.
    _tasks_of[user] = _tasks_of.get(user, 0) + 1
    if _tasks_of[user] <= most:
        return
    _finished.add(user)
    if len(_finished) == users:
        end(user.environment)
    raise StopUser


_total = [0]


def iteration_of_all(user, most):
    """Count a task of any user; from the last one on each user is ended, and the run."""
    _total[0] += 1
    if _total[0] <= most:
        return
    if _total[0] == most + 1:
        end(user.environment)
    raise StopUser
