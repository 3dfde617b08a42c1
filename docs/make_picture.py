"""Draw docs/images/demo.svg: one frame of the live display, from a real run of the demo.

With --check, only verify that the picture is there and loads nothing from elsewhere: no two runs have the same numbers,
so there is nothing to compare it with.
"""

from obswarm import gevent_patch  # noqa: F401,I001 - first of all; see there

import io
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console

from obswarm.api import Environment, Stage, events
from obswarm.cli.display import LiveDisplay
from obswarm.demo.loadtest import Contestant
from obswarm.demo.process import TargetProcess
from obswarm.engine import ClosedExecutor, LocalGenerator, Outputs, Run, StagesSchedule, StopReason
from obswarm.record import Snapshot, StopKind
from obswarm.stats import Recorder

PICTURE = Path(__file__).parent / "images" / "demo.svg"
RAMP = (Stage(36, 900), Stage(4, 900))
DRAWN_AT_S = 33


class Photographer(LiveDisplay):
    """Follows the run like the live display, and keeps one frame instead of showing all."""

    def __init__(self) -> None:
        self.console = Console(record=True, file=io.StringIO(), force_terminal=True, width=120, height=32)
        super().__init__(self.console)
        self.run: Run | None = None

    def snapshot(self, snapshot: Snapshot) -> None:
        super().snapshot(snapshot)
        self.console.export_svg(clear=True)
        if self.run is not None and snapshot.elapsed_s >= DRAWN_AT_S:
            self.console.print(self.render(snapshot))
            svg = self.console.export_svg(title="obswarm demo")
            # Whoever looks at the picture should not load fonts from a third party; the system's own will do.
            svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code", "ui-monospace")
            PICTURE.write_text(svg)
            self.run.stop(StopReason(StopKind.USER, "the picture is taken"))
            self.run = None


def check() -> None:
    try:
        text = PICTURE.read_text(encoding="utf-8")
        ElementTree.fromstring(text)
    except (OSError, ElementTree.ParseError) as error:
        sys.exit(f"{PICTURE} is not a picture ({error}); run python docs/make_picture.py")
    if "@font-face" in text:
        sys.exit(f"{PICTURE} loads fonts from elsewhere; run python docs/make_picture.py")


def draw() -> None:
    with TargetProcess() as target:
        environment = Environment(
            events=events, recorder=Recorder(), user_classes=[Contestant], host=target.url, stop_timeout=2
        )
        photographer = Photographer()
        run = photographer.run = Run(
            environment,
            ClosedExecutor(StagesSchedule(RAMP), environment.user_classes),
            LocalGenerator(environment),
            test="demo",
            outputs=Outputs([photographer]),
        )
        run.run()
    sys.stdout.write(f"{PICTURE}\n")


def main() -> None:
    if sys.argv[1:] == ["--check"]:
        check()
    else:
        draw()


if __name__ == "__main__":
    main()
