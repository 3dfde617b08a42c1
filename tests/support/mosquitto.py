"""A real MQTT broker on a port of its own."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.support.nginx import free_port
from tests.support.patience import HANG_S
from tests.support.readiness import wait_for


class Mosquitto:
    """Runs while a `with` block lasts. With a password, `me` has it, and nobody else may connect."""

    def __init__(self, password: str = "") -> None:
        self._password = password

    def __enter__(self) -> Self:
        found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert found is not None, "mosquitto is missing; `make components` installs it"
        self._folder = tempfile.TemporaryDirectory(prefix="obswarm-mosquitto-")
        folder = Path(self._folder.name)
        self.port = free_port()
        lines = [f"listener {self.port} 127.0.0.1", f"allow_anonymous {'false' if self._password else 'true'}"]
        if self._password:
            passwords = folder / "passwords"
            subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "me", self._password], check=True)
            lines.append(f"password_file {passwords}")
        if os.getuid() == 0:
            lines.append("user root")
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
        self._log = open(folder / "log", "wb")
        self._process = subprocess.Popen([found, "-c", folder / "mosquitto.conf"], stderr=self._log)
        address = ("127.0.0.1", self.port)
        wait_for(lambda: socket.create_connection(address, HANG_S).close(), (OSError,), self._process, self._text)
        return self

    def _text(self) -> str:
        return Path(self._folder.name, "log").read_text(errors="replace")

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(HANG_S)
        self._log.close()
        self._folder.cleanup()
