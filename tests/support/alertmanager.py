"""A real Alertmanager that delivers everything at once to one webhook."""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.support.nginx import free_port
from tests.support.patience import HANG_S
from tests.support.prometheus import program
from tests.support.readiness import wait_for_http


class Alertmanager:
    """Runs while a `with` block lasts; with a configuration of its own if one is given."""

    def __init__(self, webhook_url: str, token: str, configuration: str = "") -> None:
        self._webhook_url = webhook_url
        self._token = token
        self._configuration = configuration
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="obswarm-alertmanager-")
        folder = self._folder.name
        webhook = {
            "url": self._webhook_url,
            "send_resolved": True,
            "http_config": {"authorization": {"type": "Bearer", "credentials": self._token}},
        }
        configuration = {
            "route": {
                "receiver": "obswarm",
                "group_by": ["alertname", "run_id"],
                "group_wait": "0s",
                "group_interval": "1s",
                "repeat_interval": "1m",
            },
            "receivers": [{"name": "obswarm", "webhook_configs": [webhook]}],
        }
        Path(folder, "alertmanager.yml").write_text(self._configuration or json.dumps(configuration))
        with open(f"{folder}/log", "wb") as log:
            self._process = subprocess.Popen(
                [
                    program("prometheus-alertmanager"),
                    f"--config.file={folder}/alertmanager.yml",
                    f"--storage.path={folder}/data",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    "--cluster.listen-address=",
                ],
                stdout=log,
                stderr=log,
            )
        wait_for_http(self.url + "/-/ready", self._process, self.log)
        return self

    def log(self) -> str:
        return Path(self._folder.name, "log").read_text()

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(HANG_S)
        self._folder.cleanup()
