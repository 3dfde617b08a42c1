"""A real Prometheus, scraping or being pushed to, and its promtool."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from tests.support.nginx import free_port
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import ROOT
from tests.support.readiness import wait_for, wait_for_http

_FEATURES = "native-histograms,exemplar-storage,created-timestamp-zero-ingestion"


def program(name: str) -> str:
    found = shutil.which(name, path=f"{ROOT / '.components' / 'bin'}:{os.environ.get('PATH', '')}")
    assert found is not None, f"{name} is missing; `make components` gets it"
    return found


def _parts(target: str) -> tuple[str, str, str]:
    """(job, host:port, path)."""
    job, _, where = target.rpartition("=")
    address, slash, path = where.partition("/")
    path = f"/{path}" if slash else "/metrics"
    return job or ("obswarm" if path == "/metrics" else path), address, path


class Prometheus:
    """Runs while a `with` block lasts; scrapes `targets` every second, and takes remote writes. A target is host:port, or
    host:port/path where that is not /metrics, or JOB=host:port/path; the job of others is obswarm, or their path. `rules` are alerting rules, and
    `rule_files` have some more, evaluated every second; what fires is told to the Alertmanager at a port. `labels` are targets' own, by job.
    It has scraped `history` before, OpenMetrics text with timestamps. `interval` is another one than a second, `protocols` are the formats that it asks for."""

    def __init__(
        self,
        *targets: str,
        features: str = _FEATURES,
        rules: tuple[dict[str, Any], ...] = (),
        rule_files: tuple[Path, ...] = (),
        alertmanager_port: int | None = None,
        history: str = "",
        interval: str = "1s",
        protocols: tuple[str, ...] = (),
        labels: Mapping[str, Mapping[str, str]] | None = None,
        web: dict[str, Any] | None = None,
        path: str = "",
    ) -> None:
        """`web` is its web configuration (credentials, TLS), `path` what its URLs begin with."""
        self._targets = targets
        self._rules = rules
        self._rule_files = rule_files
        self._alertmanager_port = alertmanager_port
        self._features = features
        self._history = history
        self._interval = interval
        self._protocols = protocols
        self._labels = labels or {}
        self._web = web
        self._path = path
        self.port = free_port()
        is_secure = web is not None and "tls_server_config" in web
        self.url = f"{'https' if is_secure else 'http'}://127.0.0.1:{self.port}{path}"

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="obswarm-prometheus-")
        configuration: dict[str, Any] = {
            "global": {
                "scrape_interval": self._interval,
                "scrape_timeout": "1s",
                "evaluation_interval": "1s",
                **({"scrape_protocols": list(self._protocols)} if self._protocols else {}),
            },
            "scrape_configs": [
                self._scrape(job, path) for job, path in dict.fromkeys(_parts(each)[::2] for each in self._targets)
            ],
        }
        if self._rules:
            rules = {"groups": [{"name": "test", "interval": "1s", "rules": list(self._rules)}]}
            Path(self._folder.name, "rules.yml").write_text(json.dumps(rules))
        files = ["rules.yml"] if self._rules else []
        configuration["rule_files"] = [*files, *map(str, self._rule_files)]
        if self._alertmanager_port is not None:
            where = {"static_configs": [{"targets": [f"127.0.0.1:{self._alertmanager_port}"]}]}
            configuration["alerting"] = {"alertmanagers": [where]}
        Path(self._folder.name, "prometheus.yml").write_text(json.dumps(configuration))
        if self._history:
            Path(self._folder.name, "history").write_text(self._history)
            words = ["tsdb", "create-blocks-from", "openmetrics", "history", "data"]
            subprocess.run([program("promtool"), *words], cwd=self._folder.name, capture_output=True, check=True)
        Path(self._folder.name, "web.yml").write_text(json.dumps(self._web or {}))
        self.start()
        return self

    def _scrape(self, job: str, path: str) -> dict[str, Any]:
        targets = [
            _parts(target)[1] for target in self._targets if (_parts(target)[0], _parts(target)[2]) == (job, path)
        ]
        of_job = {"targets": targets, "labels": dict(self._labels.get(job, {}))}
        return {"job_name": job, "metrics_path": path, "static_configs": [of_job]}

    def start(self) -> None:
        folder = self._folder.name
        with open(f"{folder}/log", "ab") as log:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={folder}/prometheus.yml",
                    f"--storage.tsdb.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--web.enable-remote-write-receiver",
                    *([f"--web.config.file={folder}/web.yml"] if self._web else []),
                    *([f"--web.route-prefix={self._path}"] if self._path else []),
                    *([f"--enable-feature={self._features}"] if self._features else []),
                ],
                stdout=log,
                stderr=log,
            )
        if self._web is None:
            wait_for_http(self.url + "/-/ready", self._process, Path(folder, "log").read_text)
        else:
            wait_for(self._is_ready, (LookupError,), self._process, Path(folder, "log").read_text)

    def _is_ready(self) -> None:
        """As its log says; not everybody may ask it. Raises LookupError."""
        if "Server is ready to receive web requests" not in Path(self._folder.name, "log").read_text():
            raise LookupError

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(HANG_S)

    def kill(self) -> None:
        """End it as a machine does that fails; `start` has it again."""
        self._process.kill()
        self._process.wait(HANG_S)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It answers nothing, and its connections stay open."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def api(self, path: str, **parameters: object) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=HANG_S) as answer:
            return json.load(answer)["data"]

    def query(self, promql: str, at: float | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api("query", query=promql, **({"time": at} if at else {}))["result"]
        return found

    def wait_for(self, promql: str, value: float, at: float | None = None) -> None:
        """Until the query gives that value: what has been scraped or pushed takes a moment to be there, and Prometheus
        begins to scrape up to five seconds after it is ready."""
        found: list[dict[str, Any]] = []

        def is_so() -> bool:
            found[:] = self.query(promql, at)
            return [float(series["value"][1]) for series in found] == [value]

        wait_until(is_so, lambda: (promql, value, found))

    def value(self, promql: str, at: float | None = None) -> float:
        """Of the one series that the query gives."""
        (series,) = self.query(promql, at)
        return float(series["value"][1])

    def growth(self, selector: str, seconds: int, at: float | None = None) -> float:
        """What increase() over these seconds would give without its extrapolation: the sum over all series, from its
        samples. Of native histograms it is that of their counts."""
        total = 0.0
        for series in self.query(f"{selector}[{seconds}s]", at):
            values = [float(value) for _, value in series.get("values", ())]
            values += [float(histogram["count"]) for _, histogram in series.get("histograms", ())]
            total += sum(later - earlier if later >= earlier else later for earlier, later in pairwise(values))
        return total
