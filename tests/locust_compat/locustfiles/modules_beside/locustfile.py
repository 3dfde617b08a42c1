"""Modules beside the locustfile are imported."""
# run: -u 1

import observing
from locust import HttpUser
from steps import Steps


class Visitor(HttpUser):
    tasks = [Steps]


observing.note("name", __name__, __file__.rpartition("/")[2])
