"""Writes docs/metrics.md from the contract; with --check it only says whether the file is up to date.

python docs/make_metrics.py [--check]
"""

from obswarm import gevent_patch  # noqa: F401,I001 - first of all; see there

import sys
from pathlib import Path

from obswarm.metrics.buckets import CLASSIC_BOUNDS_S
from obswarm.metrics.contract import CONTRACT

PAGE = Path(__file__).with_name("metrics.md")

_INTRODUCTION = """# Metrics

<!-- Made by docs/make_metrics.py from obswarm/metrics/contract.py. -->

`obswarm run` serves its metrics at `/metrics` while it runs, on 127.0.0.1:8089 or the next free port (`--web-port`, `--metrics-addr`). Names, types and labels are a contract:
dashboards and alerts may rely on them.

```yaml
scrape_configs:
  - job_name: obswarm
    scrape_interval: 1s
    static_configs: [{targets: ["127.0.0.1:8089"]}]
```

By content negotiation a scraper gets the classic text format, OpenMetrics, or protobuf with native histograms, gzipped
if it likes; the numbers are the same. For native histograms start Prometheus with `--enable-feature=native-histograms`;
with `exemplar-storage` as well it keeps exemplars.

At the end of a run obswarm waits until everybody who scrapes has scraped once more, so that the last second is not
missing: also with a high-availability pair of Prometheus servers. Each one is waited for during two and a half of its
own intervals, or `--linger` if that is shorter. Scrapers are told apart by address, `X-Forwarded-For`, `User-Agent`,
`X-Prometheus-Scrape-Timeout-Seconds` and connection; several behind one proxy by the rhythm in which they come. A
single look with `curl` or a browser is not waited for.

## The start of a run, and two runs at one port

A new series begins, for Prometheus, with the value of its first scrape: `increase()` lacks what was counted before, and a
second run at the same port whose counters are higher at their first scrape than those of the first run were at their
last looks like the same run going on. Therefore start Prometheus with
`--enable-feature=created-timestamp-zero-ingestion`, as the [stack](stack.md) does: each series then begins with 0 at the
time at which it was created, and the sum of increases is each run's own total.

Every counter and histogram tells that time in protobuf (`created_timestamp`, which Prometheus prefers with that feature)
and in OpenMetrics (`obswarm_requests_created` beside `obswarm_requests_total`; without the feature Prometheus keeps these
as series of their own). The classic text format has no place for it. For the first series of a run it is the start of the
run; for an endpoint, a status or an error that is new in the middle of one it is the last moment at which there was none,
as far as somebody scraped. A master that goes on with the run of one that was killed (`--state`) knows what that one had
counted; what is new was created when it took over.

What remains: a master that is started again in the middle of a run with `--reset-stats` no longer knows what was counted
before the reset, so that its counters begin at the reset. `increase()` itself extrapolates to the ends of its window, by up to half a scrape interval. The clocks of
Prometheus and of obswarm's machine have to agree within the interval. A Prometheus that is used for runs before it was
told of the feature lacks the beginnings of those.

`--label team=search` puts a label on every series; repeat it for more. The run's id is on `obswarm_run_info` only: join it with `* on (job, instance) group_left (run_id) obswarm_run_info`.

Counters never go down while a run goes on, `--reset-stats` included.
"""

_HISTOGRAMS = """
## Histograms

Durations are recorded in base-2 exponential buckets of schema 5 (each 2.19 % wide). The native histogram has exactly these; where they are more than 160, neighbours are joined, which halves the resolution. Any quantile from them
is at most 1.1 % off the duration that it stands for, as long as there are no more than 160.

The classic histogram has the bounds {bounds} s. A recorded bucket that lies below a bound counts in full. The one that the bound lies in is split in proportion on its logarithmic scale and rounded to a whole number: the error of a
bound's count is at most the number of requests within that one bucket, that is within 2.2 % of the bound, and on average it is zero.

## Traces

`--trace-sample 1%` gives that share of the requests a W3C `traceparent` header. Their trace ids are exemplars of `obswarm_request_duration_seconds`: the newest one for each range of durations (half a doubling wide). A load-test file finds
the id of a request in `response.trace_id`.

## Pushing

For places that cannot be scraped:

```console
$ obswarm run loadtest.py -u 200 -t 5m --remote-write https://prometheus.example.com/api/v1/write --remote-write-token "$TOKEN"
```

`--remote-write-auth USER:PASSWORD` is for basic authentication; both can come from the environment (`OBSWARM_REMOTE_WRITE_TOKEN`), and [token files, headers, certificates and proxies](existing-prometheus.md#how-obswarm-is-let-in) are there as well. Every `--remote-write-interval` (5 s) all series are pushed by remote write 1.0, histograms in both forms, with the labels
`job="obswarm"` and `instance`. What the receiver cannot take (no connection, 429, 5xx) is tried again with increasing pauses; up to 300 pushes wait for it. What it refuses (other 4xx), what does not fit into the queue, and what has not
arrived `--linger` after the end of the run is counted in `obswarm_remote_write_samples_lost_total` and said at the end. The last push is made with a `--linger` of less than a second, too:
a receiver that is there has a second to take it. The run itself goes on in any case.

`instance` is the host's name and the run's id (`load-1:20260101-120000-1a2b`), so that no two runs write to the same
series, however many push from one machine. With `--remote-write-instance NAME` it is that name, and the series of
successive runs are the same ones; two runs that push at the same time then need two names or different labels, of which
a warning reminds at the start.

A series ends with a stale marker (Prometheus' NaN 0x7ff0000000000002): one that is no longer there with the next push,
all others one second after the last snapshot (or `--linger`, if that is shorter), also when the run was ended by an error, a guard or a signal. After that
a query at the present moment gives nothing of the run, as it is with a target that is scraped no longer;
`last_over_time(obswarm_requests_total[1h])` still has its last values. A process that is killed (SIGKILL) leaves no
markers: Prometheus shows its last values for five minutes more.

Counters and histograms begin with a sample of 0 at the time at which they were created, so that `increase()` is complete
from the first second on with every receiver, without any feature of its own. A master that goes on with the run of one
that was killed writes to the same series, and no such sample for those that there were: an endpoint that began in the
last `--remote-write-interval` before the kill begins with what had been counted when it was pushed first.

## In a program of one's own

`obswarm.metrics.SnapshotCollector` is a prometheus-client collector: `registry.register(SnapshotCollector(latest))`, where `latest` is an `obswarm.metrics.Latest` among the
run's outputs. Beside each counter and histogram it has the time of creation (`_created`), as that library's own have.
"""


def page() -> str:
    lines = [_INTRODUCTION, "## The contract", ""]
    lines += ["| metric | type | labels | meaning | in runs |", "| --- | --- | --- | --- | --- |"]
    for metric in CONTRACT:
        labels = ", ".join(f"`{label}`" for label in metric.labels) or "–"
        lines.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} | {metric.when} |")
    bounds = ", ".join(f"{bound:g}" for bound in CLASSIC_BOUNDS_S)
    absent = "\nRows for the open model have no series yet: it is still to come.\n"
    return "\n".join(lines) + "\n" + absent + _HISTOGRAMS.replace("{bounds}", bounds)


def main() -> None:
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != page():
            sys.exit(f"{PAGE} is out of date; run python docs/make_metrics.py")
        return
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
