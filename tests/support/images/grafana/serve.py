"""Answers at /api/health once everything that Grafana would be given can be read and written by its user; at /given with
what it was given."""

import http.server
import json
import os
import pathlib
import signal
import sys


def given():
    provisioning = pathlib.Path(os.environ["GF_PATHS_PROVISIONING"])
    files = sorted(str(path) for path in provisioning.rglob("*.yaml") if path.read_text())
    home = pathlib.Path(os.environ["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    written = pathlib.Path("/var/lib/grafana/written")
    written.write_text("yes")
    return {
        "files": files,
        "home": json.loads(home.read_text())["title"],
        "dashboards": sorted(path.name for path in home.parent.glob("*.json")),
        "environment": sorted(name for name in os.environ if name.startswith("GF_")),
        "user": os.getuid(),
    }


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        answers = {"/api/health": lambda: {"database": "ok"}, "/given": given}
        given()
        body = json.dumps(answers[self.path]()).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


# The first process of a container gets no signal that it has no handler for.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
http.server.ThreadingHTTPServer(("0.0.0.0", 3000), Handler).serve_forever()
