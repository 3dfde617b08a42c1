"""`environment.stats` and its entries, at the end."""

import observing
from locust import HttpUser, events, task


def about(name, entry):
    observing.note(name, entry.method, entry.name, entry.num_requests, entry.num_failures, entry.num_none_requests)
    observing.note(name + " lengths", entry.total_content_length, entry.avg_content_length)
    low, middle, high = entry.min_response_time, entry.median_response_time, entry.max_response_time
    observing.note(name + " times", 0 < low <= entry.avg_response_time <= high, middle <= high + 10)
    observing.note(name + " ratio", entry.fail_ratio == entry.num_failures / entry.num_requests)
    observing.note(name + " rates", entry.total_rps > 0, entry.total_fail_per_sec >= 0, entry.current_rps >= 0)
    observing.note(name + " times of each", sum(entry.response_times.values()) == entry.num_requests)
    observing.note(name + " seconds", sum(entry.num_reqs_per_sec.values()) == entry.num_requests)
    observing.note(name + " failing seconds", sum(entry.num_fail_per_sec.values()) == entry.num_failures)
    observing.note(name + " stamps", entry.start_time > 1e9, entry.last_request_timestamp >= entry.start_time)
    percentiles = [entry.get_response_time_percentile(each) for each in (0.5, 0.9, 0.99, 1.0)]
    observing.note(name + " percentiles", percentiles == sorted(percentiles), percentiles[-1] <= high * 1.05 + 10)
    observing.attempt(name + " current", lambda: entry.get_current_response_time_percentile(0.5) is None)
    observing.note(name + " dict", sorted(entry.to_dict()))


@events.quitting.add_listener
def quitting(environment, **kwargs):
    stats = environment.stats
    about("total", stats.total)
    observing.note("entries", sorted(stats.entries))
    for key in sorted(stats.entries):
        about(key[0], stats.entries[key])
    about("get", stats.get("/page", "GET"))
    for error in stats.errors.values():
        observing.note("error", error.method, error.name, str(error.error), error.occurrences, error.to_name())
        observing.note("error as a dictionary", sorted(error.to_dict()))
    observing.note("in all", stats.num_requests, stats.num_failures, stats.num_none_requests)
    observing.note("stamps", stats.start_time > 1e9, stats.last_request_timestamp >= stats.start_time)
    observing.note("history", isinstance(stats.history, list))


class Visitor(HttpUser):
    @task
    def page(self):
        observing.iteration(self, 3)
        self.client.get("/page")
        self.client.post("/bytes/10", name="/page")
        self.client.get("/status/404", name="missing")
