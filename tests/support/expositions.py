"""All series that a run exports, in each format, read by that format's own reader."""

from typing import NamedTuple

import cramjam
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from obswarm.metrics import MetricsApp, SnapshotRegistry
from obswarm.metrics.remote_write import Receiver, RemoteWriter
from obswarm.metrics.schema import EXPOSITION, REMOTE_WRITE, Messages


class Series(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float


def scrape(latest: SnapshotRegistry, accept: str) -> bytes:
    return b"".join(MetricsApp(latest)({"HTTP_ACCEPT": accept}, lambda status, headers: None))


def series_by_format(latest: SnapshotRegistry) -> dict[str, list[Series]]:
    """Of the text formats, protobuf and a remote write. A histogram of protobuf counts as its series `…_count`."""
    found: dict[str, list[Series]] = {}
    for name, accept, parse in (
        ("text", "text/plain", parse_text),
        ("OpenMetrics", "application/openmetrics-text;version=1.0.0", parse_openmetrics),
    ):
        families = parse(scrape(latest, accept).decode())
        found[name] = [Series(each.name, each.labels, each.value) for family in families for each in family.samples]
    found["protobuf"] = list(_of_protobuf(scrape(latest, "application/vnd.google.protobuf")))
    writer = RemoteWriter(Receiver("http://127.0.0.1:1"), latest)
    snapshot = latest.newest
    assert snapshot is not None
    writer._fill_batch(lambda: writer._series.encode(latest.families(), "instance", snapshot.time_s), [])
    request = Messages("obswarm.remote_write", REMOTE_WRITE).WriteRequest.FromString(
        bytes(cramjam.snappy.decompress_raw(writer._queue[0].body))
    )
    found["remote write"] = []
    for each in request.timeseries:
        labels = {pair.name: pair.value for pair in each.labels}
        # A counter that is new has a zero at the time of its creation before its value.
        value = each.samples[-1].value if each.samples else 0.0
        found["remote write"].append(Series(labels["__name__"], labels, value))
    return found


def _of_protobuf(content: bytes):
    messages = Messages("obswarm.exposition", EXPOSITION)
    while content:
        size = shift = at = 0
        while True:
            size |= (content[at] & 127) << shift
            shift, at = shift + 7, at + 1
            if content[at - 1] < 128:
                break
        family = messages.MetricFamily.FromString(content[at : at + size])
        content = content[at + size :]
        for each in family.metric:
            labels = {pair.name: pair.value for pair in each.label}
            if each.HasField("histogram"):
                yield Series(f"{family.name}_count", labels, float(each.histogram.sample_count))
            else:
                yield Series(family.name, labels, each.counter.value + each.gauge.value)
