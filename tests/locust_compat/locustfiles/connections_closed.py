"""Connections that a user closes, to come as another one."""
# run: -u 2 -r 50
# order: any

import observing
from locust import FastHttpUser, HttpUser, task


class Visitor(HttpUser):
    fixed_count = 1

    @task
    def visit(self):
        observing.iteration(self, 1, users=2)
        self.client.get("/a")
        self.client.close()
        self.client.get("/b")
        self.client.get("/c")
        self.client.get_adapter(self.host).poolmanager.clear()
        self.client.get("/d")
        self.client.get("/e")


class FastVisitor(FastHttpUser):
    fixed_count = 1

    @task
    def visit(self):
        observing.iteration(self, 1, users=2)
        self.client.get("/a")
        self.client.client.clientpool.close()
        self.client.get("/b")
        self.client.get("/c")
