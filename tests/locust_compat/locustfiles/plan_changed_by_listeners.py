"""Listeners that choose user classes, weights and the number of users before a run starts."""
# run: -u 9 -r 1
# order: any

import observing
from locust import HttpUser, events, task


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 1, users=4)
        self.client.get(f"/{type(self).__name__}")


class Buyer(Visitor):
    pass


class Admin(Visitor):
    pass


@events.init.add_listener
def choose(environment, **_):
    environment.user_classes = [Visitor, Buyer]
    environment.parsed_options.num_users = 4
    environment.parsed_options.spawn_rate = 50


@events.test_start.add_listener
def weigh(environment, **_):
    Buyer.weight = 3
    Visitor.weight = 1
