"""Write compose.yaml and the files for its containers from the description of the parts; with --check, only report
whether they are up to date."""

import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))

from system import HERE
from system.composed import FILES, files, services

HEAD = "# Made by make_compose.py from system/parts.py: the contest as Compose services.\n"


def main() -> int:
    compose = HEAD + yaml.safe_dump({"services": services()}, sort_keys=False, width=120)
    made = {HERE / "compose.yaml": compose, **{HERE / FILES / name: text for name, text in files().items()}}
    if "--check" not in sys.argv[1:]:
        for path, text in made.items():
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return 0
    stale = [str(path) for path, text in made.items() if not path.exists() or path.read_text() != text]
    if stale:
        print(f"{', '.join(stale)}: not up to date; run {Path(__file__).name}.", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
