"""Tempo and Jaeger as far as a search for traces needs them: servers of this process that answer in their formats."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from tests.support.listening import listening


@dataclass(frozen=True)
class Made:
    """A trace of a submission: its begin (Unix), its duration, and the part of that in the database."""

    id: str
    start_s: float
    duration_s: float
    database_s: float

    @property
    def spans(self) -> list[tuple[str, str, str, str, float, float]]:
        """Id, parent, service, name, start and duration; the parent of the first one is the load generator's."""
        return [
            ("a1", "f0", "shop", "POST /submit", self.start_s, self.duration_s),
            ("b2", "a1", "shop", "score", self.start_s + 0.001, self.duration_s - 0.002),
            ("c3", "b2", "mysql", "UPDATE standings", self.start_s + 0.001, self.database_s),
        ]


def around(broken_s: float, count: int = 8) -> list[Made]:
    """Traces from before and after a moment, from which on the database takes 2 s instead of 10 ms."""
    return [
        *(Made(f"{number:02x}", broken_s - 20 + number, 0.04, 0.01) for number in range(count)),
        *(Made(f"{16 + number:02x}", broken_s + 5 + number, 2.05 + number / 100, 2.0) for number in range(count)),
    ]


@dataclass
class TraceServer:
    """`kind` is tempo or jaeger; `replies` has other answers (status, body) by the beginning of a path."""

    kind: str
    traces: list[Made]
    address: str = ""
    replies: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.address}/prefix"

    def answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterator[bytes]:
        path = environ["PATH_INFO"].removeprefix("/prefix")
        query = {name: values[0] for name, values in parse_qs(environ["QUERY_STRING"]).items()}
        self.requests.append((path, query))
        status, body = next((reply for at, reply in self.replies.items() if path.startswith(at)), ("", b""))
        if not status:
            document = (self._tempo if self.kind == "tempo" else self._jaeger)(path, query)
            status, body = ("200 OK", json.dumps(document).encode()) if document is not None else ("404 Not Found", b"")
        start_response(status, [("Content-Type", "application/json")])
        yield body

    def _tempo(self, path: str, query: dict[str, str]) -> Any:
        if path == "/api/search":
            found = [each for each in self.traces if int(query["start"]) <= each.start_s <= int(query["end"])]
            return {
                "traces": [
                    {
                        "traceID": each.id,
                        "rootServiceName": "shop",
                        "rootTraceName": "POST /submit",
                        "startTimeUnixNano": str(int(each.start_s * 1e9)),
                        "durationMs": int(each.duration_s * 1000),
                    }
                    for each in found[: int(query["limit"])]
                ],
                "metrics": {"inspectedTraces": len(found)},
            }
        found = [each for each in self.traces if path == f"/api/traces/{each.id}"]
        return {"batches": [_batch(*span) for span in found[0].spans]} if found else None

    def _jaeger(self, path: str, query: dict[str, str]) -> Any:
        if path == "/api/services":
            return {"data": ["jaeger-all-in-one", "shop"], "total": 2, "errors": None}
        if path != "/api/traces" or query["service"] != "shop":
            return None
        return {
            "data": [
                {
                    "traceID": each.id,
                    "spans": [
                        {
                            "traceID": each.id,
                            "spanID": span,
                            "operationName": name,
                            "references": [{"refType": "CHILD_OF", "traceID": each.id, "spanID": parent}],
                            "startTime": round(start_s * 1e6),
                            "duration": round(duration_s * 1e6),
                            "processID": service,
                        }
                        for span, parent, service, name, start_s, duration_s in each.spans
                    ],
                    "processes": {name: {"serviceName": name, "tags": []} for name in ("shop", "mysql")},
                }
                for each in self.traces
                if int(query["start"]) <= each.start_s * 1e6 <= int(query["end"])
            ],
            "errors": None,
        }


def _batch(span: str, parent: str, service: str, name: str, start_s: float, duration_s: float) -> dict[str, Any]:
    return {
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]},
        "scopeSpans": [
            {
                "scope": {"name": "made up"},
                "spans": [
                    {
                        "traceId": "AA==",
                        "spanId": span,
                        "parentSpanId": parent,
                        "name": name,
                        "startTimeUnixNano": str(round(start_s * 1e9)),
                        "endTimeUnixNano": str(round((start_s + duration_s) * 1e9)),
                    }
                ],
            }
        ],
    }


@contextmanager
def trace_server(kind: str, traces: list[Made]) -> Iterator[TraceServer]:
    server = TraceServer(kind, traces)
    with listening(server.answer) as server.address:
        yield server
