"""A server with the REST API that the live page needs, whose run is what a test says. Without gevent, as Playwright."""

import json
import queue
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from obswarm.web.page import page_file

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self';"
    " frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
INTRUDER = "</td><script>window.intruded=1</script><img src=x onerror=window.intruded=1>\"'&lt;b&gt;"
_COLUMNS = (
    "users", "users_target", "rps", "failures_per_s", "p50_s", "p90_s", "p95_s", "p99_s", "in_flight", "iterations_per_s",
    "iterations_per_s_target", "dropped_per_s", "response_bytes_per_s", "cpu_ratio",
)  # fmt: skip


class StubMaster:
    """A master with one run. `commands` are the (path, body) that were posted."""

    def __init__(self, seconds: int = 60, token: str | None = None, endpoints: int = 6) -> None:
        self.token = token
        self.boot, self.version = "boot1", "0.2.0"
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.paths: list[str] = []
        self.state = "running" if seconds else "ready"
        self.run_id: str | None = "20261129-183207-k3v9" if seconds else None
        self.started_s = time.time() - seconds
        self.users = 50
        self.in_force: list[dict[str, str]] = []
        self.stop_reason: dict[str, str] | None = None
        self.saturated = False
        self.rate_target: float | None = None
        self.guard_state = "ok"
        self.is_down = False
        self.is_startable = True
        self.loadtest: dict[str, Any] = _LOADTEST
        self.names = [("GET", "/"), ("GET", f"/search?q={INTRUDER}"), ("POST", "/cart/add")]
        self.names += [("GET", f"/products/{number}") for number in range(endpoints - 3)]
        self.points = [self._point(number) for number in range(1, seconds + 1)]
        self.annotations = (
            [{"time_s": self.started_s, "kind": "start", "text": f"The run starts {INTRUDER}"}] if seconds else []
        )
        self.listeners: list[queue.Queue[bytes | None]] = []
        self.listened = 0
        """Number of streams of events so far."""
        master = self

        class Handler(_Handler):
            pass

        Handler.master = master
        self.server = _Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        self.drop()
        self.server.shutdown()
        self.server.server_close()

    def tick(self, seconds: int = 1) -> None:
        """The run goes on for some seconds, at once."""
        for _ in range(seconds):
            point = self._point(len(self.points) + 1)
            self.points.append(point)
            self.send("state", self.status())
            self.send("snapshot", {
                "run_id": self.run_id, "point": point, "total": self.endpoint("", "Aggregated", len(self.names)),
                "endpoints": [self.endpoint(*name) for name in self.names], "workers": self.workers(), **self.guard_lists(),
            })  # fmt: skip

    def send(self, kind: str, data: Any) -> None:
        for listener in self.listeners:
            listener.put(f"id: 1\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode())

    def send_state(self) -> None:
        self.send("state", self.status())

    def annotate(self, kind: str, text: str) -> None:
        found = {"time_s": self.started_s + len(self.points), "kind": kind, "text": text}
        self.annotations.append(found)
        self.send("annotation", found)

    def drop(self) -> None:
        """End all streams of events."""
        for listener in self.listeners:
            listener.put(None)
        self.listeners = []

    def _point(self, number: int) -> dict[str, Any]:
        load = min(1.0, number / 20)
        slow = 0.012 * (1 + number % 7 / 3) * (5 if 35 < number < 45 else 1)
        rate = 400 * load
        values: dict[str, Any] = {
            "users": round(self.users * load), "users_target": self.users, "rps": rate, "failures_per_s": 3.0 if 35 < number < 45 else 0.0,
            "p50_s": slow, "p90_s": slow * 2, "p95_s": slow * 2.5, "p99_s": slow * 4, "in_flight": number % 11,
            "iterations_per_s": rate / 4, "iterations_per_s_target": self.rate_target, "dropped_per_s": 0.0,
            "response_bytes_per_s": 1e6, "cpu_ratio": 0.2 + load / 2,
        }  # fmt: skip
        bands = [
            [round(2 ** (band / 8), 9), 40 - abs(6 - band % 13) * 5]
            for band in range(-52 + number % 5, -40 + number % 5)
        ]
        return {"time_s": self.started_s + number, **values, "heat": bands}

    def status(self) -> dict[str, Any]:
        last = self.points[-1] if self.points else {}
        is_running = self.state in ("spawning", "running", "holding", "stopping")
        return {
            "version": self.version, "boot": self.boot, "state": self.state, "run_id": self.run_id, "loadtest": "loadtest.py",
            "host": "https://shop.example.com", "model": "closed" if self.rate_target is None else "open",
            "users": last.get("users", 0), "users_target": self.users, "spawn_rate": 10.0,
            "users_by_class": {"Customer": 40, "Admin": 10}, "iterations_per_s": last.get("iterations_per_s"),
            "iterations_per_s_target": self.rate_target, "started_at": None, "started_s": self.started_s if self.run_id else None,
            "elapsed_s": float(len(self.points)), "planned_s": 600.0, "in_force": self.in_force, "requests": 400 * len(self.points),
            "failures": 27 if self.points else 0, "rps": last.get("rps", 0.0), "failures_per_s": 0.0, "error_ratio": 0.0011,
            "p50_s": last.get("p50_s"), "p95_s": last.get("p95_s"), "p99_s": last.get("p99_s"), "in_flight": last.get("in_flight", 0),
            "workers": 2, "saturated": self.saturated, "stop_reason": self.stop_reason, "error": None, "exit_code": 3 if self.stop_reason else None,
            "explanation": None, "grafana_url": "http://127.0.0.1:3000/d/run?from=1&to=2" if self.run_id else None,
            "may": {
                "start": self.is_startable and not is_running, "load": is_running, "hold": is_running and self.state != "holding",
                "release": bool(self.in_force), "stop": is_running, "reset": is_running, "annotate": is_running,
            },
        }  # fmt: skip

    def endpoint(self, method: str, name: str, factor: int = 1) -> dict[str, Any]:
        number, rank = len(self.points), 1 + sum(map(ord, name)) % 5
        failures = 9 * factor if name in ("/cart/add", "Aggregated") else 0
        return {
            "method": method, "name": name, "requests": number * 60 * rank * factor, "failures": failures, "error_ratio": failures / (number * 60 * rank * factor or 1),
            "rps": 60.0 * rank * factor, "failures_per_s": 0.25, "mean_s": 0.014 * rank, "min_s": 0.003, "max_s": 0.33 * rank, "p50_s": 0.012 * rank,
            "p90_s": 0.03, "p95_s": 0.034 * rank, "p99_s": 0.051 * rank, "response_bytes": 184320 * number, "in_flight": 2,
            "now": {"rps": 80.0 * rank * factor, "failures_per_s": 0.0, "p50_s": 0.011, "p95_s": 0.03, "p99_s": 0.04},
        }  # fmt: skip

    def workers(self) -> list[dict[str, Any]]:
        return [
            {
                "worker": f"host-{number}", "state": "ready", "users": 25, "cpu_ratio": 0.4 + number / 4, "max_cpu_ratio": 0.9, "loop_lag_s": 0.0021,
                "max_loop_lag_s": 0.03, "memory_bytes": 75_000_000, "saturated": self.saturated and number == 2, "capacity": 21000.0, "stats_lost": 0,
            }
            for number in (1, 2)
        ]  # fmt: skip

    def guards(self) -> list[dict[str, Any]]:
        return [
            {
                "name": "slow", "when": "p95 > 2s for 10s", "action": "hold", "state": self.guard_state, "value": 2.4, "shown": "2.4 s",
                "since_s": self.started_s + 40 if self.guard_state != "ok" else None, "trips": int(self.guard_state == "tripped"), "matched": True,
                "data_ratio": 1.0, "no_data_reason": None, "suspect": "shop-db: connections rose first" if self.guard_state == "tripped" else None, "stopped": None,
            },
            {
                "name": "stop: promql(up) < 1", "when": "promql(up) < 1", "action": "stop", "state": "no_data", "value": None, "shown": "", "since_s": None,
                "trips": 0, "matched": True, "data_ratio": 0.0, "no_data_reason": "Prometheus does not respond.", "suspect": None, "stopped": None,
            },
        ]  # fmt: skip

    def guard_lists(self) -> dict[str, Any]:
        return {
            "guards": self.guards(), "requirements": [{"require": "error_ratio < 1%", "met": True, "value": 0.0006, "shown": "0.06 %"}],
            "alerts": [{"alertname": "HighLatency", "status": "firing", "source": "alertmanager", "count": 1}],
        }  # fmt: skip

    def series(self) -> dict[str, Any]:
        bounds = sorted({bound for point in self.points for bound, _ in point["heat"]})
        number = {bound: at for at, bound in enumerate(bounds)}
        return {
            "run_id": self.run_id, "step_s": 1.0, "time_s": [point["time_s"] for point in self.points],
            "columns": {name: [point[name] for point in self.points] for name in _COLUMNS},
            "heat": {"bounds_s": bounds, "counts": [[[number[bound], count] for bound, count in point["heat"]] for point in self.points]},
            "annotations": self.annotations,
        }  # fmt: skip

    def stored_runs(self) -> list[dict[str, Any]]:
        return [
            {
                "id": f"2026112{day}-100000-abcd", "tags": ["nightly"] if day % 2 else [], "note": INTRUDER if day == 4 else "", "test": "loadtest.py",
                "host": "https://shop.example.com", "started_s": self.started_s - 86400 * (9 - day), "duration_s": 600.0, "state": "stopped",
                "stop_reason": {"kind": "time", "detail": "the planned time is over"}, "users_max": 50, "requests": 240000, "rps": 400.0,
                "error_ratio": 0.0 if day % 2 else 0.02, "p95_s": 0.034, "has_report": True, "grafana_url": "http://127.0.0.1:3000/d/run",
            }
            for day in range(8, 3, -1)
        ]  # fmt: skip

    def document(self, path: str, query: dict[str, list[str]]) -> Any:
        """Return what GET of a path has; None if there is nothing."""
        run = {"run_id": self.run_id}
        errors = [
            {"method": "POST", "name": "/cart/add", "error": "HTTP 503", "example": f"sold out {INTRUDER}", "count": 9, "first_seen_s": self.started_s + 36, "last_seen_s": self.started_s + 44},
            {"method": "GET", "name": f"/search?q={INTRUDER}", "error": INTRUDER, "example": None, "count": 18, "first_seen_s": self.started_s + 37, "last_seen_s": self.started_s + 43},
        ]  # fmt: skip
        if path == "/status":
            return self.status()
        if path == "/snapshot":
            return {
                "status": self.status(), "total": self.endpoint("", "Aggregated", len(self.names)) if self.run_id else None,
                "endpoints": [self.endpoint(*name) for name in self.names] if self.run_id else [], "errors": [], "exceptions": [],
                "workers": self.workers() if self.run_id else [], "scenarios": [],
                **(self.guard_lists() if self.run_id else {"guards": [], "requirements": [], "alerts": []}),
            }  # fmt: skip
        if path == "/runs":
            search = query.get("search", [""])[0]
            found = [
                each
                for each in self.stored_runs()
                if search in each["id"] and ("tag" not in query or query["tag"][0] in each["tags"])
            ]
            return {"runs": found, "tags": ["nightly"], "next": None}
        if path.startswith("/runs/") and path.endswith("/explain"):
            return {
                "headline": "The database saturated first",
                "sections": [{"heading": "Suspects", "sentences": [f"Connections rose at 0:36. {INTRUDER}"]}],
            }
        scenario = {"iterations": 900, "iterations_per_s_target": None, "dropped": 0}
        return {
            "/series": self.series(),
            "/annotations": run | {"annotations": self.annotations},
            "/logs": {"logs": [{"time_s": self.started_s, "level": "WARNING", "logger": "obswarm", "text": f"Slow: {INTRUDER}"}]},
            "/errors": run | {"errors": errors if self.run_id else []},
            "/exceptions": run | {"exceptions": [{"message": f"RuntimeError: {INTRUDER}", "traceback": f"Traceback …\n  {INTRUDER}", "count": 3}]},
            "/scenarios": run | {"scenarios": [{"user_class": name, "users": users, "users_target": users} | scenario for name, users in (("Customer", 40), ("Admin", 10))]},
            "/targets": run | {
                "targets": [{"target": "shop-db", "kind": "postgres", "problem": None}],
                "metrics": [
                    {"id": f"shop-db|{name}|", "target": "shop-db", "name": name, "labels": "", "title": title, "unit": unit}
                    for name, title, unit in (("connections", "Connections", "number"), ("hits", "Cache hits", "ratio"), ("rows", f"Rows {INTRUDER}", "per_second"))
                ],
            },
            "/custom": run | {
                "metrics": [
                    {"id": f"basket_size|{name}", "name": "basket_size", "labels": "tier=gold", "title": f"basket_size (items), {name} {INTRUDER}", "unit": "number"}
                    for name in ("p50", "p95")
                ],
            },
            path if path in ("/targets/series", "/custom/series") else "": run | {
                "series": [
                    {"id": each, "time_s": [point["time_s"] - 0.4 for point in self.points], "values": [17.0 + number % 9 for number in range(len(self.points))]}
                    for each in query.get("metric", [])
                ]
            },
            "/loadtest": self.loadtest,
            "/stats/requests": {"extended_stats": [{"key": "lengths", "data": [{"name": f"/a {INTRUDER}", "length": 12345.6789}, {"name": "/b"}]}, {"key": "unknown"}]},
            "/panels": {
                "panels": [{"key": "lengths", "title": f"Lengths {INTRUDER}", "columns": [{"key": "name", "title": "Name"}, {"key": "length", "title": f"Length {INTRUDER}"}]}],
                "files": [{"href": "/lengths/csv", "title": "lengths (CSV)"}],
            },
            "/compare": _comparison(query.get("before", [""])[0], query.get("after", [""])[0]),
        }.get(path)  # fmt: skip

    def command(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Answer a POST; returns status and document."""
        self.commands.append((path, body))
        if path == "/start":
            if body.get("users") == 13:
                return 400, {"title": "Bad Request", "status": 400, "detail": "13 users are not allowed <b>here</b>."}
            self.run_id, self.state, self.started_s, self.points, self.annotations = (
                "20261129-190000-new1",
                "spawning",
                time.time(),
                [],
                [],
            )
            self.stop_reason = None
            self.send_state()
            return 201, {"run_id": self.run_id}
        if path == "/hold":
            self.state, self.in_force = "holding", [{"by": "page", "action": "hold"}]
        elif path == "/release":
            self.state, self.in_force, self.guard_state = "running", [], "ok"
        elif path == "/stop":
            self.state = "stopped" if body.get("abort") else "stopping"
            self.stop_reason = {"kind": "user", "detail": "stopped from the page"} if body.get("abort") else None
        elif path == "/load":
            self.users = body.get("users", self.users)
        self.send_state()
        return 200, self.status()


_LOADTEST: dict[str, Any] = {
    "name": "loadtest.py",
    "user_classes": [
        {
            "name": name, "weight": weight, "fixed_count": 0, "host": None, "arrival_rate": None, "chosen": True, "description": f"{name}s do things.",
            "tasks": [{"name": "browse", "ratio": 0.75, "tags": ["read"]}, {"name": "buy", "ratio": 0.25, "tags": []}],
        }
        for name, weight in (("Customer", 4), ("Admin", 1))
    ],
    "shape": None,
    "tags": ["read", "checkout"],
    "options": [
        {"name": name, "flag": f"--{name}", "type": kind, "choices": choices, "default": default, "required": False, "multiple": False, "secret": name == "password", "help": f"The {name} {INTRUDER}"}
        for name, kind, choices, default in (
            ("account", "text", None, "demo"), ("currency", "text", ["EUR", "USD"], "EUR"), ("items", "integer", None, 3), ("verbose", "flag", None, False), ("password", "text", None, None),
        )
    ],
    "defaults": {"users": 20, "spawn_rate": 5.0, "run_time": None, "stages": None, "arrival_rate": None, "host": "https://shop.example.com", "user_classes": [], "tags": [], "exclude_tags": [], "profile": None},
}  # fmt: skip


def _comparison(before: str, after: str) -> dict[str, Any]:
    def measures(verdict: str) -> dict[str, Any]:
        return {
            "throughput": {
                "base": 400.0,
                "run": 396.0,
                "change": -0.01,
                "low": -0.03,
                "high": 0.02,
                "verdict": "no difference",
            },
            "p95": {"base": 0.034, "run": 0.05, "change": 0.47, "low": 0.3, "high": 0.6, "verdict": verdict},
        }

    return {
        "base": before, "run": after, "seconds": 600, "blocks": 20, "paired": True, "confidence": 0.99, "doubts": [], "unjudged": [],
        "endpoints": [{"method": "", "name": "Aggregated", "measures": measures("slower")}, {"method": "GET", "name": INTRUDER, "measures": measures("no difference")}],
        "only": [], "targets": [{"target": "shop-db", "kind": "postgres", "figure": "connections", "unit": "number", "base": 17.0, "run": 40.0, "change": 1.3, "low": 1.0, "high": 1.5, "verdict": "no difference"}],
        "explanation": {"sentences": [], "changes": []}, "metrics": [], "settings": [{"name": "users", "base": "40", "run": "50"}],
    }  # fmt: skip


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Browsers close connections whenever they like."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    master: StubMaster

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.master.paths.append(self.path)
        if self.master.is_down:
            self.close_connection = True
            return
        if url.path == "/" or url.path.startswith("/static/"):
            found = page_file("index.html" if url.path == "/" else url.path.removeprefix("/static/"))
            if found is None:
                self._send(404, b"", "text/plain")
            else:
                self._send(
                    200, found.content, found.content_type, {"Content-Security-Policy": POLICY, "ETag": found.etag}
                )
            return
        path = url.path.removeprefix("/api/v1")
        if path == "/session":
            self._json(200, self._session())
        elif not self._may_enter():
            self._json(401, {"title": "Unauthorized", "status": 401, "detail": "Log in first."})
        elif path == "/events":
            self._events()
        elif (document := self.master.document(path, parse_qs(url.query))) is None:
            self._json(404, {"title": "Not Found", "status": 404, "detail": f"There is no {path}."})
        else:
            self._json(200, document)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = urlsplit(self.path).path.removeprefix("/api/v1")
        if path == "/session":
            if body.get("token") != self.master.token:
                self._json(401, {"title": "Unauthorized", "status": 401, "detail": "This token is wrong."})
            else:
                self._json(
                    200,
                    self._session() | {"user": "token", "csrf_token": "csrf"},
                    {"Set-Cookie": "obswarm_session=s; HttpOnly; SameSite=Strict"},
                )
        elif not self._may_enter():
            self._json(401, {"title": "Unauthorized", "status": 401, "detail": "Log in first."})
        elif self.master.token and self.headers["X-CSRF-Token"] != "csrf":
            self._json(403, {"title": "Forbidden", "status": 403, "detail": "No CSRF token."})
        else:
            self._json(*self.master.command(path, body))

    def _may_enter(self) -> bool:
        if self.headers["Authorization"] == f"Bearer {self.master.token}":
            return True
        return self.master.token is None or "obswarm_session=s" in (self.headers["Cookie"] or "")

    def _session(self) -> dict[str, Any]:
        is_in = self.master.token is not None and self._may_enter()
        return {
            "required": self.master.token is not None,
            "methods": ["token"],
            "user": "token" if is_in else None,
            "csrf_token": "csrf" if is_in else None,
        }

    def _events(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        listener: queue.Queue[bytes | None] = queue.Queue()
        listener.put(f"event: state\ndata: {json.dumps(self.master.status())}\n\n".encode())
        self.master.listeners.append(listener)
        self.master.listened += 1
        while (event := listener.get()) is not None:
            self.wfile.write(event)
            self.wfile.flush()
        self.close_connection = True

    def _json(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        kind = "application/json" if status < 400 else "application/problem+json"
        self._send(status, json.dumps(document).encode(), kind, headers)

    def _send(self, status: int, content: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(content)),
            "Cache-Control": "no-cache",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass
