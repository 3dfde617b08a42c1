"""A SequentialTaskSet whose `tasks` is a list."""

import observing
from locust import HttpUser, SequentialTaskSet


def a(steps):
    observing.iteration(steps.user, 7)
    steps.client.get("/a")


def b(steps):
    observing.iteration(steps.user, 7)
    steps.client.get("/b")


class Steps(SequentialTaskSet):
    tasks = [a, b, a]


class Visitor(HttpUser):
    tasks = [Steps]
