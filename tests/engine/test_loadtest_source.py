"""Load-test files that are downloaded: what goes wrong is a sentence."""

import errno

import pytest

from obswarm.engine import is_url, loadtest_files, loadtest_source
from obswarm.errors import ObswarmError


@pytest.fixture(autouse=True)
def url(monkeypatch: pytest.MonkeyPatch) -> str:
    loadtest_source._downloaded.cache_clear()
    monkeypatch.setattr(loadtest_source, "_content", lambda url: b"from obswarm import User\n")
    return "http://user:word@127.0.0.1/a/shop.py?token=5"


def test_a_file_is_kept_and_downloaded_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (file,) = loadtest_files(url)
    assert (file.name, file.read_text()) == ("shop.py", "from obswarm import User\n")
    monkeypatch.setattr(loadtest_source, "_content", lambda url: b"")
    assert loadtest_files(url) == [file]
    (other,) = loadtest_files("http://127.0.0.1/raw/")
    assert other.name == "raw.py"
    (other,) = loadtest_files("http://127.0.0.1/")
    assert other.name == "locustfile.py"


def test_a_full_disk(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(loadtest_source, "TemporaryFolder", full)
    with pytest.raises(ObswarmError, match="cannot be kept in a temporary folder: No space left on device") as error:
        loadtest_files(url)
    assert "word" not in str(error.value)


def test_a_download_that_does_not_end(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import gevent

    monkeypatch.setattr(loadtest_source, "_content", lambda url: gevent.sleep(60))
    monkeypatch.setattr(loadtest_source, "DOWNLOAD_TIMEOUT_S", 0.01)
    with pytest.raises(ObswarmError, match=r"cannot be downloaded: it took longer than 0\.01s\."):
        loadtest_files(url)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("http://a/b", True),
        ("https://a", True),
        ("http:///b", False),
        ("ftp://a/b", False),
        ("a.py", False),
        ("http://[", False),
    ],
)
def test_what_is_a_url(text: str, is_one: bool) -> None:
    assert is_url(text) == is_one
