"""The dashboard that compares a run with an earlier one, shifted in time."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.layers.load_test import DURATION
from dashboards.panels import ENDPOINTS, INSTANCES, OURS, RATE, Graph, Query, Section, make, percentile, query

UID = "obswarm-compare"
TITLE = "obswarm: compare"
SHIFT = " offset $shift"


def _both(expr: str, legend: str) -> tuple[Query, ...]:
    """Return the query of this run and of the earlier one. `expr` has {shift} at the end of each selector."""
    return (query(expr.format(shift=""), legend), query(expr.format(shift=SHIFT), f"{legend}, earlier"))


def _requests(outcome: str = "") -> str:
    return f"sum(rate(obswarm_requests_total{{{{{ENDPOINTS}{outcome}}}}}[{RATE}]{{shift}}))"


SECTIONS = (
    Section(
        "This run and the earlier one",
        (
            Graph(
                "Users",
                "short",
                "The load of both runs. Where it differs, nothing below is comparable: choose the time shift so that"
                " both starts coincide.",
                _both(f"sum(obswarm_users{{{{{OURS}}}}}{{shift}})", "users"),
                decimals=0,
            ),
            Graph(
                "Requests per second",
                "reqps",
                "With the same users, a higher rate is faster, a lower one slower.",
                _both(_requests(), "requests"),
            ),
            Graph(
                "p50",
                "s",
                "Latency of the median request. A change here is due to the code or the machine.",
                (
                    query(percentile(0.5, DURATION, ENDPOINTS), "p50"),
                    query(percentile(0.5, DURATION, ENDPOINTS, SHIFT), "p50, earlier"),
                ),
            ),
            Graph(
                "p95",
                "s",
                "Latency of slow requests. A change here alone is due to queueing.",
                (
                    query(percentile(0.95, DURATION, ENDPOINTS), "p95"),
                    query(percentile(0.95, DURATION, ENDPOINTS, SHIFT), "p95, earlier"),
                ),
            ),
            Graph(
                "Error ratio",
                "percentunit",
                "Share of failed requests in both runs, of all endpoints.",
                tuple(
                    query(
                        f'(sum(rate(obswarm_requests_total{{{ENDPOINTS}, outcome="failure"}}[{RATE}]{shift}))'
                        " or vector(0))"
                        f" / sum(rate(obswarm_requests_total{{{ENDPOINTS}}}[{RATE}]{shift}))",
                        legend,
                    )
                    for shift, legend in (("", "failed"), (SHIFT, "failed, earlier"))
                ),
                highest=1,
                bad=0.05,
            ),
            Graph(
                "Database: threads running",
                "short",
                "Concurrently executing statements: more for the same load means more work for the database.",
                _both(f"sum(mysql_global_status_threads_running{{{{{INSTANCES}}}}}{{shift}})", "threads"),
                decimals=0,
                enable="No MySQL is scraped; add its exporter with: obswarm up --target mysql=URL",
            ),
        ),
    ),
)


def build() -> Dashboard:
    shift = (
        dashboard.TextBoxVariable("shift")
        .label("Earlier by")
        .default_value("1w")
        .description("Time from the earlier run to this one: 1w, 1d, 37m, 95s.")
    )
    return make(UID, TITLE, "A run compared with an earlier one, shifted in time.", SECTIONS, [shift])
