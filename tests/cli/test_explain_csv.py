"""The command `obswarm explain --csv`, on files with metrics of services."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from obswarm.api import ObswarmError
from obswarm.cli.main import cli
from obswarm.cli.text_console import TextConsole
from tests.support.documentation import snippet
from tests.support.service_metrics import AS_SCRAPED, SHORT, STARTED, metrics_csv, renamed

INJECTED = STARTED + 300


def explain(*arguments: object) -> tuple[int, str]:
    """Exit code and output; of an error of the user, its message, with which the command exits with 2."""
    done = CliRunner().invoke(cli, ["explain", *map(str, arguments)])
    if isinstance(done.exception, ObswarmError):
        return 2, str(done.exception)
    return done.exit_code, done.output


def written(folder: Path, text: str) -> Path:
    path = folder / "data.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("fault", ["cpu", "mem", "diskio", "socket", "delay"])
@pytest.mark.parametrize("service", ["cartservice", "carts-db", "emailservice"])
def test_the_service_with_the_fault_comes_first(service: str, fault: str, tmp_path: Path) -> None:
    path = written(tmp_path, metrics_csv(service, fault))
    code, text = explain("--csv", path, "--injected-at", INJECTED, "--json")
    document = json.loads(text)
    assert (code, document["file"], document["injected_s"]) == (0, str(path), 300)
    first = document["services"][0]
    assert first["service"] == service
    finding = first["findings"][0]
    assert finding["metric"] == (fault if fault != "delay" else finding["metric"])
    assert finding["after"] / finding["before"] == pytest.approx(6 if fault != "delay" else 8, rel=0.1)
    assert finding["low_s"] - 1 <= 303 <= finding["high_s"] + 1


@pytest.mark.parametrize("names", [AS_SCRAPED, SHORT], ids=["as scraped", "short"])
@pytest.mark.parametrize("fault", ["cpu", "mem", "diskio", "socket", "delay"])
def test_the_names_of_all_data_sets_mean_the_same(fault: str, names: dict[str, str], tmp_path: Path) -> None:
    path = written(tmp_path, renamed(metrics_csv("carts-db", fault), names))
    document = json.loads(explain("--csv", path, "--injected-at", INJECTED, "--json")[1])
    path.write_text(metrics_csv("carts-db", fault))
    plain = json.loads(explain("--csv", path, "--injected-at", INJECTED, "--json")[1])
    assert document["services"][0]["service"] == "carts-db"
    for one, other in zip(document["services"], plain["services"], strict=True):
        assert (one["service"], one["strength"]) == (other["service"], other["strength"])
        meanings = [
            sorted((each["meaning"], each["after"]) for each in service["findings"]) for service in (one, other)
        ]
        assert meanings[0] == meanings[1]


@pytest.mark.parametrize("change", ["Time", "time.1", "index", "infinite"])
def test_what_pandas_makes_of_such_a_file_is_read_as_the_file(change: str, tmp_path: Path) -> None:
    text = metrics_csv("cartservice", "cpu")
    path = written(tmp_path, text)
    plain = explain("--csv", path, "--injected-at", INJECTED)
    lines = text.split("\r\n")
    if change == "Time":
        lines[0] = lines[0].replace("time,", "Time,", 1).removesuffix(",time") + ",Time"
    elif change == "time.1":
        lines[0] = lines[0].removesuffix("time") + "time.1"
    elif change == "index":
        lines = [f"{number - 1 if number else ''},{line}" for number, line in enumerate(lines) if line]
    else:
        lines = [line.replace(",,", ",inf,") for line in lines]
    path.write_text("\n".join(lines))
    assert explain("--csv", path, "--injected-at", INJECTED) == plain


def test_the_first_line_names_the_service_and_the_metric(tmp_path: Path) -> None:
    code, text = explain("--csv", written(tmp_path, metrics_csv("cartservice", "cpu")), "--injected-at", INJECTED)
    lines = text.splitlines()
    assert code == 0
    assert lines[0].startswith("The most probable cause is cartservice: cpu rose from ")
    assert lines[0].endswith("after the fault was injected.")
    assert "1. cartservice" in lines


def test_metrics_of_unknown_names_are_judged_by_their_behaviour(tmp_path: Path) -> None:
    path = written(tmp_path, metrics_csv("emailservice", "threads_parked"))
    document = json.loads(explain("--csv", path, "--injected-at", INJECTED, "--json")[1])
    assert document["services"][0]["service"] == "emailservice"
    found = {each["metric"]: each["meaning"] for each in document["services"][0]["findings"]}
    assert found["threads_parked"] == "level"


def test_without_a_change_there_is_no_cause(tmp_path: Path) -> None:
    path = written(tmp_path, metrics_csv("cartservice", "cpu"))
    assert explain("--csv", path, "--injected-at", STARTED + 100) == (
        0,
        "None of the 45 metrics changed when the fault was injected.\n",
    )


def test_wrapped_lines_have_the_indent_of_their_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obswarm.cli.explain.stdout_console", lambda: TextConsole(sys.stdout, width=60))
    path = written(tmp_path, metrics_csv("cartservice", "cpu"))
    lines = explain("--csv", path, "--injected-at", INJECTED)[1].splitlines()
    rest = lines[lines.index("1. cartservice") + 1 :]
    assert all(len(line) <= 60 for line in rest)
    assert all(line.startswith("  ") for line in rest)
    assert any(not line.endswith(".") for line in rest)


GOOD = "\n".join(f"{second},1.0,0.5" for second in range(40))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty."),
        ("a_cpu,b_cpu\n1,2\n", "has no column 'time'; its first line has to be like time,frontend_cpu"),
        ("time\n1\n", "has no metrics, only the column 'time'."),
        ("time,cpu\n1,2\n", "column 2, 'cpu', has to be named like frontend_cpu."),
        ("time,a_cpu,a_cpu\n1,2,3\n", "has the column 'a_cpu' twice."),
        ("time,a_cpu,b_cpu\n1,2\n", "line 2: it has 2 cells, and the first line has 3."),
        ("time,a_cpu,b_cpu\n1,2,x\n", "line 2: b_cpu is 'x'; it has to be a number."),
        ("time,a_cpu,b_cpu\n,2,3\n", "line 2: the time is missing."),
        ("time,a_cpu,b_cpu\n2,1,1\n1,1,1\n", "line 3: the time 1 is not later than that of the line before."),
        ("time,a_cpu,b_cpu\n", "has no rows with values."),
        ("time,a_cpu,b_cpu\n1,1,1\n9,1,1\n", "--injected-at 20 is not among the times of"),
        (f"time,a_cpu,b_cpu\n{GOOD[:90]}", None),
        ("time,a_cpu,b_cpu\n" + "\n".join(f"{second},1,1" for second in range(15, 30)), "has 5 rows before"),
        ('time,a_cpu,b_cpu\n1,"2\n', None),
    ],
)
def test_a_file_of_another_layout_is_an_error(text: str, message: str | None, tmp_path: Path) -> None:
    code, output = explain("--csv", written(tmp_path, text), "--injected-at", 20)
    assert code == 2
    assert str(tmp_path) in output
    assert message is None or message in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("content", "message"), [(b"\xff\xfe\x00", "is not a text in UTF-8."), (b"time,a_cpu\n1,\x00\n", "")]
)
def test_a_file_that_is_not_text_is_an_error(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(content)
    code, output = explain("--csv", path, "--injected-at", 20)
    assert code == 2
    assert message in output


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    code, output = explain("--csv", tmp_path / "none.csv", "--injected-at", 20)
    assert (code, "cannot be read: No such file or directory." in output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--csv", "data.csv"), "--csv needs --injected-at SECOND"),
        (("--injected-at", "5"), "--injected-at needs --csv FILE."),
        (("latest", "--csv", "data.csv", "--injected-at", "5"), "--csv explains a file; leave RUN out."),
        (("--csv", "data.csv", "--injected-at", "nan"), "--injected-at"),
        (("--csv", "data.csv", "--injected-at", "noon"), "--injected-at"),
    ],
)
def test_options_that_do_not_fit_are_an_error(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, f"time,a_cpu,b_cpu\n{GOOD}\n")
    code, output = explain(*arguments)
    assert code == 2
    assert message in output


def test_the_example_of_the_documentation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    header, *rows = snippet("docs/explain.md", "time,frontend_cpu").text.splitlines()
    ((_, command),) = snippet("docs/explain.md", "--injected-at 1692569339").commands
    times = range(1692569300, 1692569380)
    # Its rows, one after the other.
    lines = [",".join([str(time_s), *rows[time_s % 2].split(",")[1:]]) for time_s in times]
    written(tmp_path, "\n".join([header, *lines]))
    monkeypatch.chdir(tmp_path)
    assert explain(*command.split()[2:]) == (0, "None of the 3 metrics changed when the fault was injected.\n")
