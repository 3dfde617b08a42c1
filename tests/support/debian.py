"""The mirror of Debian's packages that this machine uses."""

import subprocess


def debian_mirror() -> str:
    """Return its URL, as apt has it."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True, check=True
    )
    return next(line for line in listed.stdout.split() if line.rstrip("/").endswith("debian"))
