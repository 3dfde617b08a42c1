"""Which of the words of a command line is the load test, and which words after --tags are user classes."""

from pathlib import Path

import pytest

from obswarm.app.planning import files_of, names_a_file, split_arguments
from obswarm.errors import ObswarmError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touched(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    ("line", "file", "rest"),
    [
        ("load.py Visitor", "load.py", "Visitor"),
        ("Visitor load.py", "load.py", "Visitor"),
        ("--shop corner load.py", "load.py", "--shop corner"),
        ("--shop corner load.py Visitor", "load.py", "--shop corner Visitor"),
        ("--quick load.py", "load.py", "--quick"),
        ("--data users.csv load.py", "load.py", "--data users.csv"),
        ("--data users.csv", "locustfile.py", "--data users.csv"),
        ("--script a.py load.py", "load.py", "--script a.py"),
        ("--shop=corner Visitor", "locustfile.py", "--shop=corner Visitor"),
        ("--shop corner", "locustfile.py", "--shop corner"),
        ("Visitor Admin", "locustfile.py", "Visitor Admin"),
        ("tests Visitor", "tests/a.py", "Visitor"),
        ("--folder tests", "locustfile.py", "--folder tests"),
        ("load.py,tests/a.py", "load.py|tests/a.py", ""),
    ],
)
def test_the_value_of_an_option_is_not_the_load_test(folder: Path, line: str, file: str, rest: str) -> None:
    touched(folder, "locustfile.py", "load.py", "a.py", "users.csv", "tests/a.py", "tests/_b.py")
    files, left = files_of(line.split(), ())
    assert ("|".join(map(str, files)).replace(f"{folder}/", ""), " ".join(left)) == (file, rest)


def test_without_a_load_test_in_the_folder_a_word_is_one_that_is_missing(folder: Path) -> None:
    with pytest.raises(ObswarmError, match="No such load-test file: laod"):
        files_of(["laod"], ())
    with pytest.raises(ObswarmError, match="No load-test file: give one"):
        files_of(["--shop", "corner"], ())
    assert not names_a_file(["Visitor"], ())
    assert split_arguments(["--shop", "corner"], ()) == ([], ["--shop", "corner"])


def test_files_of_a_folder(folder: Path) -> None:
    touched(folder, "t/b.py", "t/a/c.py", "t/__pycache__/d.py", "t/.e/f.py", "t/_g.py", "t/h.txt")
    assert [str(each) for each in files_of([], ["t,t/b.py"])[0]] == ["t/a/c.py", "t/b.py", "t/b.py"]
    (folder / "empty").mkdir()
    with pytest.raises(ObswarmError, match=r"--loadtest: The folder empty has no load-test file: none in it ends in"):
        files_of([], ["empty"])
    with pytest.raises(ObswarmError, match="--loadtest: -f - is the master's load test"):
        files_of([], ["-"])
