"""Building blocks of all dashboards: panels with queries and descriptions, variables, annotations, links.

A panel is described by a value, from which the builders of grafana-foundation-sdk are made; tests and the pictures in
the documentation use the generated JSON.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard, heatmap, prometheus, timeseries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import prometheus as prometheus_models
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    GridPos,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
    VariableSort,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "obswarm"
RATE = "$__rate_interval"

OURS = 'job=~"$job"'
ENDPOINTS = f'{OURS}, name=~"$endpoint"'
INSTANCES = 'instance=~"$instance"'
WIDTH = 24
DECIMALS = {"short": 1, "reqps": 1, "ops": 1, "cps": 1, "s": 2, "percentunit": 1, "bytes": 1, "Bps": 1}
"""Default number of decimals by unit; Grafana scales seconds and bytes itself."""


@dataclass(frozen=True, slots=True)
class Query:
    """A PromQL query and its legend, in which {{label}} is replaced by the label's value."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Graph:
    """A panel. `text`: meaning, what a bad value looks like, and what to look at next; `enable`: what to do if it is
    empty; `warn`, `bad`: thresholds in its unit."""

    title: str
    unit: str
    text: str
    queries: tuple[Query, ...]
    width: int = 12
    height: int = 7
    decimals: int | None = None
    warn: float | None = None
    bad: float | None = None
    highest: float | None = None
    enable: str = ""
    heat: bool = False
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A row of a dashboard with its panels."""

    title: str
    graphs: tuple[Graph, ...]
    collapsed: bool = False


def query(expr: str, legend: str = "") -> Query:
    return Query(expr, legend)


def share(parts: str, whole: str) -> str:
    return f"{parts} / {whole}"


def rate(metric: str, labels: str = "", by: str = "") -> str:
    """Return the sum of rates, by labels."""
    selector = f"{{{labels}}}" if labels else ""
    return f"sum{f' by ({by}) ' if by else ''}(rate({metric}{selector}[{RATE}]))"


def percentile(q: float, metric: str, labels: str, shift: str = "") -> str:
    """Return a quantile from the native histogram if there is one, else from the classic buckets."""
    native = f"histogram_quantile({q}, sum(rate({metric}{{{labels}}}[{RATE}]{shift})))"
    classic = f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket{{{labels}}}[{RATE}]{shift})))"
    return f"{native} or {classic}"


def distribution(metric: str, labels: str) -> str:
    """Return a heatmap query: the native histogram if there is one, else the classic buckets."""
    native = f"sum(rate({metric}{{{labels}}}[{RATE}]))"
    classic = f"sum by (le) (rate({metric}_bucket{{{labels}}}[{RATE}]))"
    return f"{native} or ({classic} unless on () {native})"


def make(
    uid: str, title: str, text: str, sections: Sequence[Section], more_variables: Sequence[Builder[Any]] = ()
) -> Dashboard:
    """The whole dashboard."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(text)
        .tags([TAG])
        .refresh("5s")
        .time("now-15m", "now")
        .timezone("browser")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("obswarm")
            .type(DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"))
        .with_variable(_labels("job", "Job", "label_values(obswarm_build_info, job)"))
        .with_variable(_labels("endpoint", "Endpoint", f"label_values(obswarm_requests_total{{{OURS}}}, name)"))
        .with_variable(_labels("user_class", "User class", f"label_values(obswarm_users{{{OURS}}}, user_class)"))
        .with_variable(_labels("instance", "Target instance", "label_values(up, instance)"))
    )
    for variable in more_variables:
        made = made.with_variable(variable)
    for mark in annotations():
        made = made.annotation(mark)
    y = 0
    for number, section in enumerate(sections):
        row = (
            dashboard.Row(section.title).id(1000 + number).grid_pos(_place(0, y, WIDTH, 1)).collapsed(section.collapsed)
        )
        y += 1
        panels = []
        x, tallest, below = 0, 0, y
        for graph in section.graphs:
            if x + graph.width > WIDTH:
                x, below, tallest = 0, below + tallest, 0
            panels.append(_panel(graph).grid_pos(_place(x, below, graph.width, graph.height)))
            x, tallest = x + graph.width, max(tallest, graph.height)
        if section.collapsed:
            for panel in panels:
                row = row.with_panel(panel)
            made = made.with_row(row)
        else:
            y = below + tallest
            made = made.with_row(row)
            for panel in panels:
                made = made.with_panel(panel)
    return _numbered(made.build())


def _place(x: int, y: int, width: int, height: int) -> Any:
    return GridPos(x=x, y=y, w=width, h=height)


def _numbered(made: Dashboard) -> Dashboard:
    """Build panels with unique ids."""
    number = 0
    for each in made.panels or ():
        for panel in (each, *(getattr(each, "panels", None) or ())):
            number += 1
            panel.id_val = number
    return made


def _labels(name: str, label: str, query: str) -> Builder[Any]:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(query)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(VariableSort.ALPHABETICAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
    )


class _Mark(AnnotationQuery):
    """An annotation query with the fields of Grafana's Prometheus data source, which the SDK lacks."""

    title: str

    def to_json(self) -> dict[str, object]:
        found = super().to_json()
        # Some versions of Grafana read the query only here. The step is the shortest possible.
        target = {"refId": "Anno", "expr": self.expr, "interval": "1s", "range": True}
        found.update(titleFormat=self.title, textFormat="", step="1s", useValueForTime=True, target=target)
        return found


class _MarkBuilder(Builder[AnnotationQuery]):
    def __init__(self, mark: _Mark) -> None:
        self._mark = mark

    def build(self) -> AnnotationQuery:
        return self._mark


def _marks(kind: str) -> str:
    """Return a query for the times of annotations in milliseconds, at any step (minutes, for a range of days).

    Grafana rounds the range down to multiples of the step. Each evaluation therefore looks at the step after it, so
    that together they cover the range. Each annotation is a series of its own that lasts until the end of the run; only
    its first step is returned. Since steps may be shorter than the scrape interval, a series counts as known if it had
    a sample in the last minutes.
    """
    marks = f'obswarm_annotation_timestamp_seconds{{{OURS}, kind=~"{kind}"}}'
    following = f"last_over_time({marks}[$__interval] offset -$__interval)"
    return f"{following} * 1000 unless last_over_time({marks}[5m])"


ANNOTATION_KINDS = {
    "Start": (_marks("start"), "The run starts", "green"),
    "Takeover": (_marks("takeover"), "A new master has taken over the run", "orange"),
    "Stop": (_marks("stop"), "The run stops", "blue"),
    "Stages": (_marks("stage"), "A stage begins", "purple"),
    "Guards and alerts": (_marks("guard|alert"), "A guard or an alert has acted", "red"),
    "Releases": (_marks("release"), "A guard or an alert no longer holds the load", "yellow"),
}
"""Name → (PromQL, title, colour). The value is the time in milliseconds."""


def annotations() -> list[Builder[AnnotationQuery]]:
    made = []
    for name, (expr, title, colour) in ANNOTATION_KINDS.items():
        mark = _Mark(name=name, datasource=SOURCE, enable=True, icon_color=colour, expr=expr)
        mark.title = title
        made.append(_MarkBuilder(mark))
    return made


def _panel(graph: Graph) -> Any:
    panel: Any = heatmap.Panel() if graph.heat else timeseries.Panel()
    panel = (
        panel.title(graph.title)
        .description(graph.text)
        .datasource(SOURCE)
        .unit(graph.unit)
        # The finest step: the scrape interval is one second, whatever the data source's setting.
        .interval("1s")
        .no_value(graph.enable or "No data: is a load test running?")
    )
    panel = _heat(panel) if graph.heat else _lines(panel, graph)
    panel = panel.decimals(DECIMALS[graph.unit] if graph.decimals is None else graph.decimals)
    for number, each in enumerate(graph.queries):
        target = (
            prometheus.Dataquery()
            .expr(each.expr)
            .legend_format(each.legend or graph.title)
            .interval("1s")
            .range()
            .ref_id(chr(ord("A") + number))
        )
        if graph.heat:
            target = target.format(prometheus_models.PromQueryFormat.HEATMAP)
        panel = panel.with_target(target)
    return panel


def _heat(panel: Any) -> Any:
    return (
        panel.calculate(False)
        .show_legend()
        .y_axis(heatmap.YAxisConfig().unit("s"))
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
    )


def _lines(panel: Any, graph: Graph) -> Any:
    panel = (
        panel.min(0)
        .line_width(1)
        .fill_opacity(30 if graph.stacked else 8)
        .tooltip(
            common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
        )
        .legend(
            common_builders.VizLegendOptions()
            .show_legend(True)
            .display_mode(common.LegendDisplayMode.LIST)
            .placement(common.LegendPlacement.BOTTOM)
        )
    )
    if graph.highest is not None:
        panel = panel.max(graph.highest)
    if graph.stacked:
        panel = panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL))
    steps = [Threshold(value=None, color="green")]
    steps += [Threshold(value=graph.warn, color="orange")] if graph.warn is not None else []
    steps += [Threshold(value=graph.bad, color="red")] if graph.bad is not None else []
    panel = panel.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
    if len(steps) > 1:
        dashed = common_builders.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED)
        panel = panel.thresholds_style(dashed)
    return panel
