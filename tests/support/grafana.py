"""A stand-in for Grafana's HTTP API, as far as dashboards are pushed through it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Grafana:
    """Folders and dashboards as in Grafana's HTTP API (https://grafana.com/docs/grafana/latest/developers/http_api/)."""

    def __init__(self) -> None:
        self.folders: list[dict[str, str]] = []
        self.orders: list[dict[str, Any]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(200, outer.folders)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.headers["Authorization"] != "Bearer right":
                    self._answer(401, {"message": "Invalid API key"})
                elif self.path == "/api/folders":
                    outer.folders.append({"uid": "f1", "title": body["title"]})
                    self._answer(200, outer.folders[-1])
                elif self.path == "/api/dashboards/db":
                    outer.orders.append(body)
                    self._answer(200, {"url": f"/d/{body['dashboard']['uid']}/x", "status": "success"})

            def _answer(self, code: int, document: Any) -> None:
                body = json.dumps(document).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
