"""The dashboard of a run at a glance: what the load test does and measures, and below it what its target says."""

from dataclasses import dataclass

from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.builders.common import VizLegendOptions, VizTooltipOptions
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DataSourceRef,
    VariableRefresh,
    VariableSort,
)

UID = "obswarm-run"
_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_OF = 'job=~"$job"'
_ENDPOINTS = f'{_OF}, name=~"$endpoint"'


@dataclass(frozen=True, slots=True)
class Graph:
    """One panel. `queries` are (PromQL, legend)."""

    title: str
    unit: str
    text: str
    queries: tuple[tuple[str, str], ...]
    decimals: int | None = None


LOAD = (
    Graph(
        "Users",
        "short",
        "Users that are there, by class, and the number that the load heads for. A gap between them that stays means"
        " that workers are missing: look at the generator.",
        (
            (f"sum by (user_class) (obswarm_users{{{_OF}}})", "{{user_class}}"),
            (f"sum(obswarm_users_target{{{_OF}}})", "heading for"),
        ),
        0,
    ),
    Graph(
        "Requests per second",
        "reqps",
        "Finished requests, those that failed among them. When users grow and this does not, something is saturated:"
        " look at what the target says below.",
        (
            (f"sum(rate(obswarm_requests_total{{{_ENDPOINTS}}}[$__rate_interval]))", "all"),
            (
                f'sum(rate(obswarm_requests_total{{{_ENDPOINTS}, outcome="failure"}}[$__rate_interval]))',
                "failed",
            ),
        ),
    ),
    Graph(
        "Latency",
        "s",
        "Percentiles over the chosen endpoints, failed requests included. p95 and p99 leave p50 behind when requests"
        " begin to queue.",
        tuple(
            (
                f"histogram_quantile({quantile}, sum by (le)"
                f" (rate(obswarm_request_duration_seconds_bucket{{{_ENDPOINTS}}}[$__rate_interval])))",
                name,
            )
            for quantile, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
        ),
    ),
    Graph(
        "Errors by kind",
        "reqps",
        "What went wrong, as the load test's users saw it. Timeouts and refused connections come from an overloaded"
        " target; 4xx mostly from the load test itself.",
        (
            (
                f"topk(8, sum by (error) (rate(obswarm_request_errors_total{{{_ENDPOINTS}}}[$__rate_interval])))",
                "{{error}}",
            ),
        ),
    ),
)
TARGET = (
    Graph(
        "Load balancer: servers that are up",
        "short",
        "HAProxy's servers that pass their health checks. When one is out, the others get its requests as well.",
        (("sum by (proxy) (haproxy_backend_active_servers)", "{{proxy}}"),),
        0,
    ),
    Graph(
        "Application: busy workers",
        "percentunit",
        "uWSGI's workers that are at a request. At 100 % requests queue in front of the application, whatever its"
        " workers wait for.",
        (("sum by (job) (uwsgi_worker_busy) / sum by (job) (uwsgi_workers)", "{{job}}"),),
    ),
    Graph(
        "Database: threads running",
        "short",
        "MySQL's threads that are at a statement. More than a few for each CPU means that statements wait for one"
        " another.",
        (("sum by (job) (mysql_global_status_threads_running)", "{{job}}"),),
        0,
    ),
    Graph(
        "Database: time per statement",
        "s",
        "By digest, from the performance schema. The statement that grows first is the one to look at.",
        (
            (
                "topk(5, sum by (digest_text)"
                " (rate(mysql_perf_schema_events_statements_seconds_total[$__rate_interval]))"
                " / sum by (digest_text) (rate(mysql_perf_schema_events_statements_total[$__rate_interval])))",
                "{{digest_text}}",
            ),
        ),
    ),
    Graph(
        "Machines: CPU in use",
        "percentunit",
        "Of all cores. The machine whose curve reaches 100 % first is the one that is too small.",
        (
            (
                '1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[$__rate_interval]))',
                "{{instance}}",
            ),
        ),
    ),
    Graph(
        "Generator: CPU of workers",
        "percentunit",
        "Of one core each. Near 100 % the load test measures itself: give it more workers.",
        ((f"obswarm_worker_cpu_ratio{{{_OF}}}", "{{worker}}"),),
    ),
)


def build() -> Dashboard:
    """The whole dashboard."""
    made = (
        dashboard.Dashboard("obswarm: run")
        .uid(UID)
        .description("A load test, and below it what its target says, on one time axis.")
        .tags(["obswarm"])
        .refresh("5s")
        .time("now-15m", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_labels("job", "Job", "label_values(obswarm_build_info, job)"))
        .with_variable(_labels("endpoint", "Endpoint", f"label_values(obswarm_requests_total{{{_OF}}}, name)"))
        .with_row(dashboard.Row("Load test"))
    )
    for graph in LOAD:
        made = made.with_panel(_panel(graph))
    made = made.with_row(dashboard.Row("Target and generator"))
    for graph in TARGET:
        made = made.with_panel(_panel(graph))
    return made.build()


def _labels(name: str, label: str, query: str) -> Builder:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(_SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


def _panel(graph: Graph) -> Builder:
    panel = (
        timeseries.Panel()
        .title(graph.title)
        .description(graph.text)
        .datasource(_SOURCE)
        .unit(graph.unit)
        .min(0)
        .height(8)
        .span(12)
        .line_width(1)
        .fill_opacity(8)
        .tooltip(VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING))
        .legend(
            VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
        )
    )
    if graph.decimals is not None:
        panel = panel.decimals(graph.decimals)
    for number, (query, legend) in enumerate(graph.queries):
        panel = panel.with_target(
            prometheus.Dataquery().expr(query).legend_format(legend).range().ref_id(chr(ord("A") + number))
        )
    return panel
