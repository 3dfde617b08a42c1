"""Writes compose.yaml from the description of the parts; with --check, only says whether it is up to date."""

import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))

from system import HERE
from system.composed import services

FILE = HERE / "compose.yaml"
HEAD = "# Made by make_compose.py from system/parts.py: the contest as Compose services.\n"


def main() -> int:
    text = HEAD + yaml.safe_dump({"services": services()}, sort_keys=False, width=120)
    if "--check" not in sys.argv[1:]:
        FILE.write_text(text)
        return 0
    if FILE.exists() and FILE.read_text() == text:
        return 0
    print(f"{FILE} is not up to date; run python {Path(__file__).name} in its folder.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
