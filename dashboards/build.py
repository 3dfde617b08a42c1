"""Generate the dashboards' JSON; with --check, only verify that it is up to date."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import compare, correlate, generator, run

DASHBOARDS = (run, correlate, generator, compare)


def main() -> int:
    made = {
        HERE / "json" / f"{each.UID}.json": JSONEncoder(sort_keys=True, indent=2).encode(each.build()) + "\n"
        for each in DASHBOARDS
    }
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
