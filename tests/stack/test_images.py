"""What our image is built from."""

import io
import subprocess
import sys
import tarfile

from obswarm import __version__
from obswarm.stack.images import own_context, wheel


def test_the_wheel_installs_and_runs(tmp_path) -> None:
    name, content = wheel()
    assert name == f"obswarm-{__version__}-py3-none-any.whl"
    assert wheel() == (name, content), "the same again, so that the builder's cache knows it"
    (tmp_path / name).write_bytes(content)
    there = tmp_path / "there"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--no-index",
            "--target",
            there,
            tmp_path / name,
        ],
        check=True,
        capture_output=True,
    )
    assert (there / "obswarm" / "cli" / "main.py").exists()
    assert (there / f"obswarm-{__version__}.dist-info" / "METADATA").exists()
    done = subprocess.run(
        [sys.executable, "-c", "import obswarm; print(obswarm.__file__)"],
        cwd=there,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(there))


def test_the_context_has_what_the_dockerfile_copies(monkeypatch, tmp_path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.write_text("-----BEGIN CERTIFICATE-----")
    monkeypatch.setenv("PIP_CERT", str(authorities))
    with tarfile.open(fileobj=io.BytesIO(own_context())) as archive:
        names = archive.getnames()
        assert {"Dockerfile", "healthy", "authorities.pem"} <= set(names)
        assert any(name.endswith(".whl") for name in names)
        assert archive.getmember("healthy").mode == 0o755
        found = archive.extractfile("authorities.pem")
        assert found is not None
        assert found.read() == authorities.read_bytes()
