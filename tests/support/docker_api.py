"""As much of the Docker engine's API as `obswarm container-stats` asks for, with containers that do what a test says
(https://docs.docker.com/reference/api/engine/version/v1.41/)."""

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

PERIODS_PER_S = 10
"""A period of the CPU's quota is 100 ms, unless told otherwise."""


@dataclass(slots=True)
class Container:
    """Uses `cores` of CPU and so much memory; a share of its periods is throttled, None where it has no quota."""

    name: str
    cores: float
    memory_bytes: int
    throttled: float | None = None
    throttled_periods: float = 0.0
    counted_s: float = 0.0


class DockerApi:
    """Runs while a `with` block lasts, at `url`."""

    def __init__(self, *containers: Container) -> None:
        self.containers = {each.name: each for each in containers}
        self._began_s = time.monotonic()
        api = self

        class Answers(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = json.dumps(api._answer(self.path.partition("?")[0])).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self._server.daemon_threads = True
        self.url = f"tcp://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, path: str) -> Any:
        match path.strip("/").split("/")[-3:]:
            case [*_, "version"]:
                return {"Version": "28.0.0", "ApiVersion": "1.48", "MinAPIVersion": "1.24"}
            case [*_, "containers", "json"]:
                return [{"Id": name} for name in self.containers]
            case ["containers", name, "json"]:
                labels = {"com.docker.compose.service": name}
                return {"Id": name, "Name": f"/{name}", "Config": {"Image": "an-image", "Labels": labels}}
            case ["containers", name, "stats"]:
                return self._stats(self.containers[name])
        raise AssertionError(path)

    def _stats(self, container: Container) -> dict[str, Any]:
        passed_s = time.monotonic() - self._began_s
        new_periods = (passed_s - container.counted_s) * PERIODS_PER_S
        container.throttled_periods += new_periods * (container.throttled or 0.0)
        container.counted_s = passed_s
        periods = 0 if container.throttled is None else int(passed_s * PERIODS_PER_S)
        return {
            "cpu_stats": {
                "cpu_usage": {"total_usage": int(1e9 * (1 + container.cores * passed_s))},
                "throttling_data": {"periods": periods, "throttled_periods": int(container.throttled_periods)},
            },
            "memory_stats": {"usage": container.memory_bytes, "stats": {"inactive_file": 0}},
        }
