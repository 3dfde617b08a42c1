"""`tasks` is a dictionary of weights."""
# run: -u 4 -r 100
# compare: proportions

import observing
from locust import HttpUser


def first(user):
    observing.iteration_of_all(user, 600)
    user.client.get("/first")


def second(user):
    observing.iteration_of_all(user, 600)
    user.client.get("/second")


class Visitor(HttpUser):
    tasks = {first: 1, second: 5}
