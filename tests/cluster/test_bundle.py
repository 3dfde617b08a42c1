"""Which files go to workers, and that they arrive as they were."""

import errno
import hashlib
import os
import zlib
from pathlib import Path

import msgpack
import pytest

from obswarm.api import ObswarmError
from obswarm.cluster import bundle
from obswarm.cluster.bundle import OpenedFiles, gather, hash_of_files, pack, unpack


@pytest.fixture
def here(tmp_path: Path, monkeypatch) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(root: Path, paths: list[Path]) -> set[str]:
    return {path.relative_to(root).as_posix() for path in paths}


def test_imports_are_followed_wherever_they_stand(here: Path) -> None:
    test = write(
        here / "loadtest.py",
        "import a\nfrom package import b\ndef f():\n    from package.sub import late\n    import json\n",
    )
    write(here / "a.py", "from c import x\n")
    write(here / "c.py", "x = 1\n")
    write(here / "unused.py")
    write(here / "package" / "__init__.py")
    write(here / "package" / "b.py", "from . import sibling\nfrom .sub import late\n")
    write(here / "package" / "sibling.py")
    write(here / "package" / "sub" / "__init__.py")
    write(here / "package" / "sub" / "late.py")
    root, paths = gather([test])
    assert root == here.resolve()
    assert names(root, paths) == {
        "loadtest.py", "a.py", "c.py", "package/__init__.py", "package/b.py", "package/sibling.py",
        "package/sub/__init__.py", "package/sub/late.py",
    }  # fmt: skip


def test_files_read_on_import_and_named_ones_go_along(here: Path) -> None:
    test = write(here / "tests" / "loadtest.py")
    write(here / "users.csv", "a,b")
    write(here / "written.txt")
    write(here / "data" / "one.json")
    write(here / "data" / "deep" / "two.json")
    opened = OpenedFiles()
    with opened.noting():
        open("users.csv").close()
        open("written.txt", "w").close()
        open("/etc/hostname").close()
    open("tests/loadtest.py").close()
    root, paths = gather([test], sorted(opened.paths), ["data"])
    assert names(root, paths) == {"tests/loadtest.py", "users.csv", "data/one.json", "data/deep/two.json"}


def test_a_bundle_arrives_as_it_was(here: Path, tmp_path: Path) -> None:
    test = write(here / "loadtest.py", "import a\n")
    (here / "a.py").write_bytes(b"\xff binary is fine, too")
    packed = pack(*gather([test]))
    assert packed.files == ("a.py", "loadtest.py")
    unpack(packed.content, packed.digest, tmp_path / "there")
    assert (tmp_path / "there" / "a.py").read_bytes() == (here / "a.py").read_bytes()
    with pytest.raises(ObswarmError, match="cannot be used"):
        unpack(packed.content, "0" * 64, tmp_path / "elsewhere")


@pytest.mark.parametrize("name", ["../outside", "/absolute", "a/../../b"])
def test_no_bundle_writes_outside_its_folder(tmp_path: Path, name: str) -> None:
    import hashlib
    import zlib

    import msgpack

    content = msgpack.packb({name: b"x"})
    with pytest.raises(ObswarmError, match="the path"):
        unpack(zlib.compress(content), hashlib.sha256(content).hexdigest(), tmp_path / "there")


def test_the_same_files_have_the_same_hash(here: Path) -> None:
    one, two = write(here / "one.py", "x"), write(here / "two.py", "x")
    assert hash_of_files([one]) == hash_of_files([two])
    two.write_text("y")
    assert hash_of_files([one]) != hash_of_files([two])


def test_what_cannot_be_written_is_said_with_the_reason(here: Path, tmp_path: Path, monkeypatch) -> None:
    packed = pack(here, [write(here / "a.py", "x = 1\n")])
    folder = tmp_path / "worker"
    folder.mkdir()
    for number, reason in (
        (errno.ENOSPC, "No space left"),
        (errno.EACCES, "Permission denied"),
        (errno.EIO, "Input/output error"),
    ):

        def fails(path, data, number=number):
            raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr(bundle, "write_private", fails)
        with pytest.raises(ObswarmError, match=rf"cannot be written on .*{reason}.*a\.py.*TMPDIR"):
            unpack(packed.content, packed.digest, folder)


def test_what_is_written_can_be_read_by_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    packed = pack(tmp_path, [write(tmp_path / "a.py", "x = 1\n"), write(tmp_path / "pkg" / "b.py", "y = 1\n")])
    folder = tmp_path / "worker"
    unpack(packed.content, packed.digest, folder)
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.rglob("*")}
    assert modes == {"a.py": 0o600, "pkg": 0o700, "b.py": 0o600}


def test_a_name_that_is_too_long_for_the_workers_file_system_is_said(tmp_path: Path) -> None:
    contents = msgpack.packb({"n" * 300 + ".py": b""})
    with pytest.raises(ObswarmError, match="cannot be written on .*File name too long"):
        unpack(zlib.compress(contents), hashlib.sha256(contents).hexdigest(), tmp_path)
