"""The locustfiles of the corpus, and how each is run.

A case is a file of `locustfiles/`, or a folder of it with several. Comments under the docstring of the locustfile say how
it is run:

- `# run: -u 2 -r 10 -T read`: the command line, besides what all have; several such lines are several cases;
- `# environ: LOCUST_USERS=3`;
- `# compare: proportions`: the numbers of requests by kind come from chance, and are compared by chi-square;
- `# start: python`: the file is a program that makes its run itself; `# stdout: First Second`: which
  of these words it prints is compared;
- `# order: any`: several users (or processes), whose order among each other is not determined.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCUSTFILES = HERE / "locustfiles"
OBSERVING = LOCUSTFILES / "observing.py"
_SETTING = re.compile(r"^# (run|environ|compare|order|start|stdout): ?(.*)$", re.M)


@dataclass(frozen=True)
class Case:
    """One command line of one locustfile."""

    name: str
    file: Path
    arguments: tuple[str, ...]
    environ: dict[str, str]
    by_proportions: bool
    any_order: bool
    is_program: bool = False
    printed: tuple[str, ...] = ()

    @property
    def processes(self) -> bool:
        """Whether users are in processes of their own."""
        return "--processes" in self.arguments

    @property
    def files(self) -> list[Path]:
        """Everything that the case's folder holds while it runs."""
        beside = self.file.parent != LOCUSTFILES
        return [*(sorted(self.file.parent.iterdir()) if beside else [self.file]), OBSERVING]


def _cases_of(name: str, file: Path) -> list[Case]:
    settings: dict[str, list[str]] = {"run": [], "environ": [], "compare": [], "order": [], "start": [], "stdout": []}
    for key, value in _SETTING.findall(file.read_text(encoding="utf-8")):
        settings[key].append(value.strip())
    runs = settings["run"] or [""]
    return [
        Case(
            name=name if len(runs) == 1 else f"{name}-{number}",
            file=file,
            arguments=tuple(shlex.split(arguments)),
            environ=dict(each.split("=", 1) for each in settings["environ"]),
            by_proportions="proportions" in settings["compare"],
            any_order="any" in settings["order"],
            is_program=bool(settings["start"]),
            printed=tuple(shlex.split(" ".join(settings["stdout"]))),
        )
        for number, arguments in enumerate(runs, 1)
    ]


def all_cases() -> list[Case]:
    """Return the cases of the corpus, by name."""
    cases = []
    for path in sorted(LOCUSTFILES.iterdir()):
        if path.is_dir() and (path / "locustfile.py").exists():
            cases += _cases_of(path.name, path / "locustfile.py")
        elif path.suffix == ".py" and path != OBSERVING:
            cases += _cases_of(path.stem, path)
    return cases
