"""Three kinds of traffic of a shop, each with a load of its own:

obswarm run examples/scenarios.py -H http://127.0.0.1:8080
"""

from obswarm import FastHttpUser, Guard, Scenario, between, tag, task


class Visitor(FastHttpUser):
    wait_time = between(0.1, 0.3)

    @tag("read")
    @task(3)
    def front_page(self) -> None:
        self.client.get("/")

    @tag("buy")
    @task
    def pay(self) -> None:
        self.client.post("/pay", json={"basket": 1})


class Importer(FastHttpUser):
    @task
    def import_page(self) -> None:
        self.client.post("/import", json={"page": 1})


scenarios = [
    # Five users look around for four seconds.
    Scenario("browse", Visitor, 5, spawn_rate=10, run_time="4s", tags=["read"], require=["p95 < 2s"]),
    # From the first second on, five times a second somebody pays, however slow that is.
    Scenario("checkout", Visitor, "0s:5/s,3s:5/s", start_after="1s", tags=["buy"], require=["error_ratio < 1%"]),
    # When the visitors have left, two users import a hundred pages together.
    Scenario("import", Importer, 2, spawn_rate=10, start_after="browse", iterations=100),
]

guards = [Guard('p95{scenario="checkout"} > 5s for 10s', "stop", name="slow checkout")]
