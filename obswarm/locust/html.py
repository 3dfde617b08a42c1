"""`locust.html`: the report."""

from argparse import Namespace
from typing import TYPE_CHECKING, Any

from obswarm.api import Environment
from obswarm.locust.util.date import format_utc_timestamp
from obswarm.sanitize import escape_lines

if TYPE_CHECKING:
    from jinja2 import Template

PERCENTILES_FOR_HTML_REPORT = [0.50, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0]

__all__ = ["PERCENTILES_FOR_HTML_REPORT", "get_html_report", "html_file_name", "process_html_filename"]


def html_file_name(name: str, users: int | None, spawn_rate: float | None, run_time_s: float | None) -> str:
    """Return the name of a report with `{u}`, `{r}` and `{t}` replaced by users, spawn rate and run time."""
    for place, value in (("{u}", users), ("{r}", spawn_rate), ("{t}", run_time_s)):
        if value is not None:
            name = name.replace(place, f"{value:.15g}")
    return name


def process_html_filename(options: Namespace) -> None:
    """Replace them in `options.html_file`."""
    options.html_file = html_file_name(options.html_file, options.num_users, options.spawn_rate, options.run_time)


def get_html_report(environment: Environment, show_download_link: bool = True, theme: str = "") -> str:
    """Return a page with the statistics of the run so far, its failures and exceptions: tables, in one HTML file.

    The report of `obswarm run --html FILE` has more: charts, the target's metrics, what saturated first. `theme`
    "dark" is a dark page, else that is the reader's choice; `show_download_link` has no effect, since there is no page
    to download from.
    """
    runner = environment.runner
    stats = environment.stats
    hosts = {cls.host for cls in environment.user_classes if cls.host}
    entries = [entry for _, entry in sorted(stats.entries.items())]
    exceptions = [] if runner is None else list(runner.exceptions.values())
    ended_s = stats.last_request_timestamp
    return _template().render(
        title=environment.locustfile or "Load test",
        host=environment.host or (hosts.pop() if len(hosts) == 1 else ""),
        began=format_utc_timestamp(stats.start_time) if entries else "",
        ended="" if ended_s is None else format_utc_timestamp(ended_s),
        shares=PERCENTILES_FOR_HTML_REPORT,
        entries=[*entries, stats.total],
        errors=sorted(stats.errors.values(), key=lambda each: (each.method, each.name, str(each.error))),
        exceptions=exceptions,
        scheme="dark" if theme == "dark" else "light dark",
    )


def _template() -> "Template":
    # Imported here: a locustfile that makes no report needs no templates.
    from jinja2 import Environment as Templates

    return Templates(autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_text).from_string(_PAGE)


def _text(value: Any) -> Any:
    """Escape control characters of a value before autoescaping."""
    return escape_lines(value) if isinstance(value, str) else value


_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{{ title }}</title>
<style>
:root { color-scheme: {{ scheme }}; font: 14px/1.4 system-ui, sans-serif; }
table { border-collapse: collapse; margin-bottom: 2em; }
th, td { padding: .2em .7em; border-bottom: 1px solid #8884; text-align: right; }
th:nth-child(-n+2), td:nth-child(-n+2), td.text { text-align: left; }
pre { margin: 0; white-space: pre-wrap; }
</style>
<h1>{{ title }}</h1>
<p>{% if host %}Target: {{ host }}. {% endif %}{% if began %}From {{ began }}{% endif %}\
{% if ended %} to {{ ended }}{% endif %}</p>
<h2>Requests</h2>
<table>
<tr><th>Method</th><th>Name</th><th>Requests</th><th>Failures</th><th>Average (ms)</th><th>Min (ms)</th>
<th>Max (ms)</th><th>Average size (bytes)</th><th>Requests/s</th><th>Failures/s</th></tr>
{% for entry in entries %}
<tr><td>{{ entry.method }}</td><td>{{ entry.name }}</td><td>{{ entry.num_requests }}</td>\
<td>{{ entry.num_failures }}</td><td>{{ "%.1f"|format(entry.avg_response_time) }}</td>
<td>{{ "%.1f"|format(entry.min_response_time or 0) }}</td><td>{{ "%.1f"|format(entry.max_response_time) }}</td>
<td>{{ "%.0f"|format(entry.avg_content_length) }}</td>
<td>{{ "%.2f"|format(entry.total_rps) }}</td><td>{{ "%.2f"|format(entry.total_fail_per_sec) }}</td></tr>
{% endfor %}
</table>
<h2>Response times (ms)</h2>
<table>
<tr><th>Method</th><th>Name</th>{% for share in shares %}<th>{{ "%g"|format(share * 100) }}%</th>{% endfor %}</tr>
{% for entry in entries %}
<tr><td>{{ entry.method }}</td><td>{{ entry.name }}</td>{% for share in shares %}\
<td>{{ "%.0f"|format(entry.get_response_time_percentile(share) or 0) }}</td>{% endfor %}</tr>
{% endfor %}
</table>
{% if errors %}
<h2>Failures</h2>
<table>
<tr><th>Method</th><th>Name</th><th>Error</th><th>Occurrences</th></tr>
{% for error in errors %}
<tr><td>{{ error.method }}</td><td>{{ error.name }}</td><td class="text">{{ error.error }}</td>
<td>{{ error.occurrences }}</td></tr>
{% endfor %}
</table>
{% endif %}
{% if exceptions %}
<h2>Exceptions</h2>
<table>
<tr><th>Message</th><th>Traceback</th><th>Occurrences</th></tr>
{% for each in exceptions %}
<tr><td>{{ each.msg }}</td><td><pre>{{ each.traceback }}</pre></td><td>{{ each.count }}</td></tr>
{% endfor %}
</table>
{% endif %}
</html>
"""
