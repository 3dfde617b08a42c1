"""The smallest useful load test: two kinds of pages, one of them requested three times as often.

obswarm run examples/basic.py -H https://your-staging-site.example -u 50 -r 10 -t 1m
"""

from obswarm import FastHttpUser, between, task


class Visitor(FastHttpUser):
    wait_time = between(0.5, 2)

    @task(3)
    def front_page(self):
        self.client.get("/")

    @task
    def product(self):
        # One line in the statistics for all products, and a failure when the page is not what it should be.
        with self.client.get("/products/42", name="/products/{id}", catch_response=True) as response:
            if "price" not in response.text:
                response.failure("a product page without a price")
