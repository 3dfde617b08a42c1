"""Behaviour in levels: a visitor logs in, reads in a forum for a while, comes back, and checks out step by step.

obswarm run examples/tasksets.py -H https://your-staging-site.example -u 50 --tags read
"""

from obswarm import FastHttpUser, SequentialTaskSet, TaskSet, constant, tag, task


class Forum(TaskSet):
    wait_time = constant(0.1)

    def on_start(self):
        self.client.get("/forum")

    @tag("read")
    @task(5)
    def read_thread(self):
        self.client.get("/forum/threads/7", name="/forum/threads/{id}")

    @tag("write")
    @task(1)
    def reply(self):
        self.client.post("/forum/threads/7/replies", json={"text": "Me too."}, name="/forum/threads/{id}/replies")

    @tag("read", "write")
    @task(1)
    def leave(self):
        self.interrupt()


class Checkout(SequentialTaskSet):
    wait_time = constant(0.1)

    @tag("write")
    @task
    def basket(self):
        self.client.post("/basket", data={"product": 42, "count": 1})

    @tag("write")
    @task
    def pay(self):
        self.client.post("/pay", json={"method": "invoice"})

    @tag("write")
    @task
    def done(self):
        self.interrupt()


class Customer(FastHttpUser):
    wait_time = constant(0.1)
    tasks = {Forum: 3, Checkout: 1}

    def on_start(self):
        self.client.post("/login", json={"user": "demo"})
