"""The load over time as code: twice a wave, the second one higher, then the end.

obswarm run examples/shape.py -H https://your-staging-site.example
"""

from obswarm import FastHttpUser, LoadTestShape, constant, task


class Visitor(FastHttpUser):
    wait_time = constant(0.2)

    @task
    def front_page(self):
        self.client.get("/")


class TwoWaves(LoadTestShape):
    # (until second, users)
    waves = ((2, 10), (3, 2), (5, 20), (6, 2))

    def tick(self):
        run_time = self.get_run_time()
        for until, users in self.waves:
            if run_time < until:
                return users, 20
        return None
