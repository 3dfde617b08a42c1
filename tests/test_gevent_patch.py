"""Plug-ins of gevent that installed packages have are called when it patches, as without obswarm."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import obswarm.gevent_patch
print("importlib.metadata" in sys.modules, *getattr(sys.modules.get("plugin_of_others"), "seen", []))
"""


def patched(folder: Path) -> list[str]:
    """What a process with this folder on its path prints."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.append({str(folder)!r})\n{SCRIPT}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.split()


@pytest.mark.parametrize("ending", ["dist-info", "egg-info"])
def test_a_plugin_of_another_package_is_called(tmp_path: Path, ending: str) -> None:
    (tmp_path / "plugin_of_others.py").write_text("seen = []\ndef note(event): seen.append(type(event).__name__)\n")
    information = tmp_path / f"plugin_of_others-1.{ending}"
    information.mkdir()
    (information / ("METADATA" if ending == "dist-info" else "PKG-INFO")).write_text("Name: plugin-of-others\n")
    (information / "entry_points.txt").write_text(
        "[gevent.plugins.monkey.did_patch_all]\nplugin = plugin_of_others:note\n"
    )
    assert patched(tmp_path) == ["True", "GeventDidPatchAllEvent"]


def test_without_any_the_installed_packages_are_not_read(tmp_path: Path) -> None:
    assert patched(tmp_path) == ["False"]
