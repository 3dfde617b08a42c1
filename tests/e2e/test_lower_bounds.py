"""The oldest versions that pyproject.toml allows do run a load test."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.support.programs import ROOT, CountingServer


def test_a_run_with_the_oldest_dependencies(tmp_path: Path, target: CountingServer) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = [re.sub(r">=", "==", requirement) for requirement in project["dependencies"]]
    assert all("==" in requirement for requirement in pinned), "every dependency has a lower bound"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--only-binary", ":all:", *pinned], check=True, capture_output=True, timeout=300)
    subprocess.run([*install, "--no-deps", "--editable", ROOT], check=True, capture_output=True, timeout=300)
    test = ROOT / "examples" / "basic.py"
    done = subprocess.run(
        [python, "-m", "obswarm", "run", test, "-H", target.url, "-u", "5", "-r", "5", "-t", "2s", "--headless"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Aggregated" in done.stdout
