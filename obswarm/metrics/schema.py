"""Prometheus' protobuf schemas that obswarm writes: exposition (io.prometheus.client) and remote write.

Only the fields that are used are declared, with the field numbers of the published schemas:
https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto and
https://github.com/prometheus/prometheus/tree/main/prompb
"""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {
    "double": _Field.TYPE_DOUBLE,
    "string": _Field.TYPE_STRING,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "sint32": _Field.TYPE_SINT32,
    "sint64": _Field.TYPE_SINT64,
}

_TIMESTAMP = "google.protobuf.Timestamp"
_SPAN = {"offset": (1, "sint32"), "length": (2, "uint32")}

EXPOSITION: dict[str, dict[str, tuple[int, str]]] = {
    "LabelPair": {"name": (1, "string"), "value": (2, "string")},
    "Gauge": {"value": (1, "double")},
    "Counter": {"value": (1, "double"), "created_timestamp": (3, _TIMESTAMP)},
    "Exemplar": {"label": (1, "repeated LabelPair"), "value": (2, "double"), "timestamp": (3, _TIMESTAMP)},
    "Bucket": {"cumulative_count": (1, "uint64"), "upper_bound": (2, "double"), "exemplar": (3, "Exemplar")},
    "BucketSpan": _SPAN,
    "Histogram": {
        "sample_count": (1, "uint64"),
        "sample_sum": (2, "double"),
        "bucket": (3, "repeated Bucket"),
        "schema": (5, "sint32"),
        "zero_threshold": (6, "double"),
        "zero_count": (7, "uint64"),
        "positive_span": (12, "repeated BucketSpan"),
        "positive_delta": (13, "repeated sint64"),
        "created_timestamp": (15, _TIMESTAMP),
        "exemplars": (16, "repeated Exemplar"),
    },
    "Metric": {
        "label": (1, "repeated LabelPair"),
        "gauge": (2, "Gauge"),
        "counter": (3, "Counter"),
        "histogram": (7, "Histogram"),
    },
    # The enum of types is declared as int32, which has the same encoding.
    "MetricFamily": {
        "name": (1, "string"),
        "help": (2, "string"),
        "type": (3, "int32"),
        "metric": (4, "repeated Metric"),
    },
}

REMOTE_WRITE: dict[str, dict[str, tuple[int, str]]] = {
    "Label": {"name": (1, "string"), "value": (2, "string")},
    "Sample": {"value": (1, "double"), "timestamp": (2, "int64")},
    "Exemplar": {"labels": (1, "repeated Label"), "value": (2, "double"), "timestamp": (3, "int64")},
    "BucketSpan": _SPAN,
    "Histogram": {
        "count_int": (1, "uint64"),
        "sum": (3, "double"),
        "schema": (4, "sint32"),
        "zero_threshold": (5, "double"),
        "zero_count_int": (6, "uint64"),
        "positive_spans": (11, "repeated BucketSpan"),
        "positive_deltas": (12, "repeated sint64"),
        "timestamp": (15, "int64"),
    },
    "TimeSeries": {
        "labels": (1, "repeated Label"),
        "samples": (2, "repeated Sample"),
        "exemplars": (3, "repeated Exemplar"),
        "histograms": (4, "repeated Histogram"),
    },
    "MetricMetadata": {"type": (1, "int32"), "metric_family_name": (2, "string"), "help": (4, "string")},
    "WriteRequest": {"timeseries": (1, "repeated TimeSeries"), "metadata": (3, "repeated MetricMetadata")},
}


class Messages:
    """Protobuf message classes created from a schema, as attributes."""

    def __init__(self, package: str, schema: dict[str, dict[str, tuple[int, str]]]) -> None:
        pool = descriptor_pool.DescriptorPool()
        pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
        file = descriptor_pb2.FileDescriptorProto(
            name=f"{package}.proto", package=package, syntax="proto3", dependency=[timestamp_pb2.DESCRIPTOR.name]
        )
        for name, fields in schema.items():
            message = file.message_type.add(name=name)
            for field_name, (number, declared) in fields.items():
                repeated, kind = declared.startswith("repeated "), declared.removeprefix("repeated ")
                field = message.field.add(name=field_name, number=number)
                field.label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
                if kind in _TYPES:
                    field.type = _TYPES[kind]
                else:
                    field.type = _Field.TYPE_MESSAGE
                    field.type_name = f".{kind}" if "." in kind else f".{package}.{kind}"
        pool.AddSerializedFile(file.SerializeToString())
        self._classes = {
            name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in schema
        }

    def __getattr__(self, name: str) -> Any:
        try:
            return self._classes[name]
        except KeyError:
            raise AttributeError(name) from None


def varint(number: int) -> bytes:
    """Encode a number as a protobuf varint: seven bits a byte, lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
