"""A real Docker engine with the images that the stack asks for: built here under their official names, because no
registry for images is reached where these tests run."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.support.debian import debian_mirror
from tests.support.patience import HANG_S, wait_until
from tests.support.programs import ROOT
from tests.support.prometheus import program

HERE = ROOT / "tests" / "support" / "images"
BASE = "debian:trixie-slim"
TEMPLATES = Path("/usr/share/prometheus/alertmanager")
IMAGES = {
    "wget": "obswarm-tests/wget",
    "prometheus": "prom/prometheus:v3.5.0",
    "alertmanager": "prom/alertmanager:v0.28.1",
    "grafana": "grafana/grafana:12.0.2",
    "mysqld-exporter": "prom/mysqld-exporter:v0.17.2",
    "node-exporter": "prom/node-exporter:v1.9.1",
    "haproxy": "haproxy:3.2",
    "mariadb": "mariadb:11.8",
}
"""By the folder of its Dockerfile."""

_FILES = {
    "prometheus": ("prometheus",),
    "alertmanager": ("prometheus-alertmanager",),
    "mysqld-exporter": ("prometheus-mysqld-exporter",),
    "node-exporter": ("prometheus-node-exporter",),
}


def environment() -> dict[str, str]:
    """For docker and obswarm: where the Compose plugin is, and a builder that this engine has."""
    plugins = program("docker-compose")
    return {
        **os.environ,
        "DOCKER_CONFIG": str(Path(plugins).parents[1] / "docker"),
        "DOCKER_BUILDKIT": "0",
        # A build reaches the package registries as this machine does.
        "OBSWARM_BUILD_NETWORK": "host",
    }


def docker(*words: str, text: str | None = None) -> str:
    done = subprocess.run(
        ["docker", *words], input=text, capture_output=True, text=True, check=False, env=environment(), timeout=600
    )
    assert done.returncode == 0, (words, done.stdout[-3000:], done.stderr[-3000:])
    return done.stdout


class DockerEngine:
    """Runs while a `with` block lasts, if none does already, and has the images then."""

    _process: "subprocess.Popen[bytes] | None" = None

    def __enter__(self) -> Self:
        if not self._answers():
            self._log = tempfile.NamedTemporaryFile(prefix="obswarm-dockerd-")
            found = shutil.which("dockerd", path=f"{os.environ['PATH']}:/usr/sbin")
            assert found is not None, "dockerd is missing; `make components` gets it"
            self._process = subprocess.Popen([found], stdout=self._log, stderr=self._log)
            wait_until(
                self._answers, lambda: Path(self._log.name).read_text()[-3000:], every_s=0.2, ended=self._process.poll
            )
        self._make_base()
        for name, image in IMAGES.items():
            self._build(name, image)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(HANG_S)
            self._log.close()

    @staticmethod
    def _answers() -> bool:
        return subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0

    @staticmethod
    def _make_base() -> None:
        if docker("images", "--quiet", BASE):
            return
        mirror = debian_mirror()
        with tempfile.TemporaryDirectory(prefix="obswarm-base-") as folder:
            # As slim as the official one: no documentation, no lists of packages, and apt keeps none.
            keep_nothing = 'Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";'
            script = (
                f"debootstrap --variant=minbase trixie {folder} {mirror} >/dev/null"
                f" && rm -rf {folder}/var/lib/apt/lists/* {folder}/var/cache/apt/* {folder}/usr/share/doc/*"
                f" {folder}/usr/share/man/* {folder}/usr/share/locale/* {folder}/var/log/*"
                f" && echo '{keep_nothing}' >{folder}/etc/apt/apt.conf.d/docker-clean"
                f" && tar -C {folder} -c . | docker import - {BASE}"
            )
            made = subprocess.run(
                ["sh", "-c", script], capture_output=True, text=True, check=False, env=os.environ | {"PATH": _path()}
            )
            assert made.returncode == 0, made.stderr[-3000:]

    @staticmethod
    def _build(name: str, image: str) -> None:
        with tempfile.TemporaryDirectory(prefix="obswarm-image-") as folder:
            shutil.copytree(HERE / name, folder, dirs_exist_ok=True)
            for binary in _FILES.get(name, ()):
                shutil.copy2(program(binary), folder)
            if name == "alertmanager":
                for template in TEMPLATES.glob("*.tmpl"):
                    shutil.copy2(template, folder)
            docker("build", "--quiet", "--network", "host", "--tag", image, folder)


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"
