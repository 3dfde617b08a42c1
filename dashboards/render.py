"""Draw the panels of a dashboard from a Prometheus' HTTP API, in place of Grafana, for tests and documentation.

    render.py PROMETHEUS_URL BEGIN END FOLDER [NAME=VALUE …]

BEGIN and END are seconds since the Unix epoch; NAME=VALUE are the dashboards' variables.
"""

import json
import math
import re
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
STEP_S = 1
USUAL = {
    "job": ".*",
    "endpoint": ".*",
    "user_class": ".*",
    "instance": ".*",
    "shift": "1w",
    # With a step and scrapes of one second: four scrapes (Grafana's documentation of $__rate_interval).
    "__rate_interval": "4s",
    "__interval": "1s",
}
_MOST_LEGENDS = 6
_LEGEND_WIDTH = 60


def dashboards() -> dict[str, dict[str, Any]]:
    """Return the committed dashboards by uid."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((HERE / "json").glob("*.json"))}


def panels(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Return all panels with queries, including those in collapsed rows."""
    for panel in document["panels"]:
        if panel["type"] == "row":
            yield from panel.get("panels") or ()
        else:
            yield panel


def filled(expr: str, variables: Mapping[str, str] = {}) -> str:
    """Fill in the variables of a query as Grafana does when all values are selected."""
    values = {**USUAL, **variables}
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], expr)


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a range query: `series` in the format of Prometheus' API, and its duration."""

    expr: str
    legend: str
    series: list[dict[str, Any]]
    took_s: float


def ask(url: str, expr: str, begin_s: float, end_s: float, legend: str = "", step_s: float = STEP_S) -> Answer:
    """Run a range query. Raises urllib's HTTPError for a query that Prometheus refuses."""
    query = urllib.parse.urlencode({"query": expr, "start": begin_s, "end": end_s, "step": step_s})
    began = time.perf_counter()
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{query}", timeout=30) as answer:
        document = json.load(answer)
    return Answer(expr, legend, document["data"]["result"], time.perf_counter() - began)


def answers(
    url: str, panel: Mapping[str, Any], begin_s: float, end_s: float, variables: Mapping[str, str] = {}
) -> list[Answer]:
    """Run all queries of a panel."""
    return [
        ask(url, filled(target["expr"], variables), begin_s, end_s, target.get("legendFormat", ""))
        for target in panel["targets"]
    ]


def marks(
    url: str, document: Mapping[str, Any], begin_s: float, end_s: float, step_s: float = STEP_S
) -> list[tuple[float, str]]:
    """Return (time, colour) of each annotation as Grafana does: it rounds the range down to multiples of the step, and
    merges consecutive samples of a series to a region, of which this is the start."""
    found: list[tuple[float, str]] = []
    begin_s, end_s = (math.floor(moment / step_s) * step_s for moment in (begin_s, end_s))
    for annotation in document["annotations"]["list"]:
        expr = filled(annotation["target"]["expr"], {"__interval": f"{step_s:g}s"})
        for series in ask(url, expr, begin_s, end_s, step_s=step_s).series:
            before = -math.inf
            for _, value in series["values"]:
                moment = float(value) / 1000
                if moment > before + step_s:
                    found.append((moment, annotation["iconColor"]))
                before = moment
    return sorted(found)


def draw(
    url: str, document: Mapping[str, Any], begin_s: float, end_s: float, path: Path, variables: Mapping[str, str] = {}
) -> None:
    """Draw all panels of a dashboard, except those in collapsed rows, as a PNG."""
    shown = document["panels"]
    rows = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in shown)
    line = 1 / (rows + 1.6)
    pyplot, figure = _figure(16, 0.4 / line)
    figure.text(0.01, 1 - 0.3 * line, document["title"], weight="bold", size=15, va="top")
    vertical = marks(url, document, begin_s, end_s)
    for panel in shown:
        place = panel["gridPos"]
        bottom = 1 - (place["y"] + place["h"] + 1.4) * line
        if panel["type"] == "row":
            note = " (collapsed)" if panel.get("collapsed") else ""
            figure.text(0.01, bottom + 0.2 * line, panel["title"] + note, weight="bold", size=12, va="bottom")
            continue
        box = (place["x"] / 24 + 0.035, bottom + 1.1 * line, place["w"] / 24 - 0.05, (place["h"] - 2) * line)
        found = answers(url, panel, begin_s, end_s, variables)
        _panel(figure.add_axes(box), panel, found, vertical, begin_s, end_s)
    _save(pyplot, figure, path)


def draw_under_each_other(
    url: str, document: Mapping[str, Any], titles: Sequence[str], begin_s: float, end_s: float, path: Path
) -> None:
    """Draw selected panels of a dashboard, each as wide as the picture, as a PNG."""
    by_title = {panel["title"]: panel for panel in panels(document)}
    pyplot, figure = _figure(13, 1.7 * len(titles))
    vertical = marks(url, document, begin_s, end_s)
    for number, title in enumerate(titles):
        axes = figure.add_axes((0.05, 1 - (number + 0.86) / len(titles), 0.935, 0.66 / len(titles)))
        found = answers(url, by_title[title], begin_s, end_s)
        _panel(axes, by_title[title], found, vertical, begin_s, end_s)
    _save(pyplot, figure, path)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """Return pyplot and a figure of the size in inches."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot, pyplot.figure(figsize=(width, height), facecolor="white")


def _save(pyplot: Any, figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=70)
    pyplot.close(figure)


def _panel(
    axes: Any,
    panel: Mapping[str, Any],
    found: Sequence[Answer],
    vertical: Sequence[tuple[float, str]],
    begin_s: float,
    end_s: float,
) -> None:
    _content(axes, panel, found, begin_s, end_s)
    for moment, colour in vertical:
        if begin_s <= moment <= end_s:
            axes.axvline(moment - begin_s, color=colour, linestyle="--", linewidth=0.8)


def _content(axes: Any, panel: Mapping[str, Any], found: Sequence[Answer], begin_s: float, end_s: float) -> None:
    settings = panel["fieldConfig"]["defaults"]
    axes.set_title(f"{panel['title']}  [{settings['unit']}]", loc="left", size=10)
    axes.set_xlim(0, end_s - begin_s)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)
    if not any(answer.series for answer in found):
        axes.text(0.5, 0.5, settings["noValue"], transform=axes.transAxes, ha="center", va="center", size=8, wrap=True)
        axes.set_yticks([])
        return
    if panel["type"] == "heatmap":
        _heat(axes, found[0], begin_s)
        return
    stacked = settings["custom"].get("stacking", {}).get("mode") == "normal"
    base: dict[float, float] = {}
    named = sorted((_largest(series) for answer in found for series in answer.series), reverse=True)[:_MOST_LEGENDS]
    for answer in found:
        for series in answer.series:
            times, values = _with_gaps([(float(at) - begin_s, float(value)) for at, value in series["values"]])
            if stacked:
                lower = [base.get(at, 0.0) for at in times]
                upper = [low + value for low, value in zip(lower, values, strict=True)]
                base.update((at, value) for at, value in zip(times, upper, strict=True) if not math.isnan(value))
                (line,) = axes.plot(times, upper, linewidth=0.8)
                axes.fill_between(times, lower, upper, alpha=0.3, color=line.get_color())
            else:
                (line,) = axes.plot(times, values, linewidth=1.2)
            if _largest(series) >= named[-1]:
                line.set_label(_legend(answer.legend, series["metric"]))
    axes.set_ylim(bottom=0, top=settings.get("max"))
    for step in settings.get("thresholds", {}).get("steps", [])[1:]:
        if step["value"] <= axes.get_ylim()[1]:
            axes.axhline(step["value"], color=step["color"], linewidth=0.8, linestyle=":")
    axes.legend(fontsize=6, loc="upper left", framealpha=0.6)


def _heat(axes: Any, answer: Answer, begin_s: float) -> None:
    """Draw each bucket of each second as a rectangle, darker for more requests."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    boxes, counts = [], []
    for series in answer.series:
        for at, histogram in series.get("histograms", ()):
            for _, low, high, count in histogram.get("buckets", ()):
                boxes.append(Rectangle((float(at) - begin_s, float(low)), STEP_S, float(high) - float(low)))
                counts.append(float(count))
    classic = sorted((s for s in answer.series if "le" in s["metric"]), key=lambda s: float(s["metric"]["le"]))
    below: dict[float, float] = {}
    lower = 0.0
    for series in classic:
        edge = float(series["metric"]["le"])
        for at, value in series.get("values", ()):
            count = float(value) - below.get(at, 0.0)
            below[at] = float(value)
            if count > 0 and math.isfinite(edge):
                boxes.append(Rectangle((float(at) - begin_s, lower), STEP_S, edge - lower))
                counts.append(count)
        lower = edge
    if boxes:
        collection = PatchCollection(boxes, cmap="Oranges")
        collection.set_array(counts)
        axes.add_collection(collection)
        axes.set_yscale("log")
        axes.set_ylim(
            min(box.get_y() for box in boxes if box.get_y() > 0), max(box.get_y() + box.get_height() for box in boxes)
        )


def _with_gaps(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Return times and values, with NaN for missing steps, which interrupts the line."""
    whole: list[tuple[float, float]] = []
    for at, value in points:
        if whole and at > whole[-1][0] + 1.5 * STEP_S:
            whole.append((whole[-1][0] + STEP_S, math.nan))
        whole.append((at, value))
    return [at for at, _ in whole], [value for _, value in whole]


def _largest(series: Mapping[str, Any]) -> float:
    return max(
        float("-inf") if math.isnan(value) else value for value in (float(value) for _, value in series["values"])
    )


def _legend(template: str, labels: Mapping[str, str]) -> str:
    text = re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), template)
    # matplotlib omits labels that start with an underscore, and renders dollars as mathematics.
    return text[:_LEGEND_WIDTH].replace("$", r"\$") or "value"


def main(arguments: Sequence[str]) -> int:
    url, begin, end, folder, *rest = arguments
    variables = dict(text.split("=", 1) for text in rest)
    for uid, document in dashboards().items():
        draw(url, document, float(begin), float(end), Path(folder) / f"{uid}.png", variables)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
