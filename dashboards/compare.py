"""The dashboard that lays an earlier run under this one, shifted in time."""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.layers.load_test import DURATION
from dashboards.panels import ENDPOINTS, INSTANCES, OURS, RATE, Graph, Query, Section, make, percentile, query

UID = "obswarm-compare"
TITLE = "obswarm: compare"
SHIFT = " offset $shift"


def _both(expr: str, legend: str) -> tuple[Query, ...]:
    """`expr` has {shift} where a selector ends."""
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
                "The two loads. Where they differ, nothing below can be compared: choose the time shift so that both"
                " starts lie on one another.",
                _both(f"sum(obswarm_users{{{{{OURS}}}}}{{shift}})", "users"),
                decimals=0,
            ),
            Graph(
                "Requests per second",
                "reqps",
                "More at the same users is faster; less at the same users is slower.",
                _both(_requests(), "requests"),
            ),
            Graph(
                "p50",
                "s",
                "What the usual request takes. A change here is a change of the code or the machine.",
                (
                    query(percentile(0.5, DURATION, ENDPOINTS), "p50"),
                    query(percentile(0.5, DURATION, ENDPOINTS, SHIFT), "p50, earlier"),
                ),
            ),
            Graph(
                "p95",
                "s",
                "What slow requests take. A change here alone is a change of how much has to wait.",
                (
                    query(percentile(0.95, DURATION, ENDPOINTS), "p95"),
                    query(percentile(0.95, DURATION, ENDPOINTS, SHIFT), "p95, earlier"),
                ),
            ),
            Graph(
                "Error ratio",
                "percentunit",
                "The share of requests that failed, in both.",
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
                "Whether the database has more to do for the same load.",
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
        .description("How long before this run the other one was: 1w, 1d, 37m, 95s.")
    )
    return make(UID, TITLE, "A run over an earlier one, shifted in time.", SECTIONS, [shift])
