"""Streamed bodies: as many bytes as are announced, whatever happens to their source."""

import io
from pathlib import Path

import pytest

from obswarm.http.body import StreamedBody
from obswarm.http.errors import InvalidRequest


def sent(body: StreamedBody) -> bytes:
    return b"".join(body.pieces())


def test_a_file_that_grows_is_sent_as_long_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 100_000)
    with open(path, "rb") as file:
        body = StreamedBody(file)
        with open(path, "ab") as writer:
            writer.write(b"y" * 100_000)
        assert body.length == 100_000
        assert sent(body) == b"x" * 100_000
        body.rewind()
        assert sent(body) == b"x" * 100_000


def test_a_file_that_shrinks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"x" * 100)
    with open(path, "rb") as file:
        body = StreamedBody(file)
        path.write_bytes(b"x")
        with pytest.raises(InvalidRequest, match="fewer bytes than the 100 that are announced"):
            sent(body)


@pytest.mark.parametrize(("pieces", "what"), [([b"abc"], "more"), ([b"a"], "fewer"), ([b"ab", b"c"], "more")])
def test_pieces_that_are_more_or_fewer_than_announced_are_refused(pieces: list[bytes], what: str) -> None:
    body = StreamedBody(iter(pieces))
    body.length = 2
    with pytest.raises(InvalidRequest, match=f"{what} bytes than the 2"):
        sent(body)


def test_what_has_no_length_or_seems_to_have_none_goes_in_chunks() -> None:
    with open("/proc/self/status", "rb") as file:
        body = StreamedBody(file)
        assert body.length is None
        assert b"VmHWM" in sent(body)
    behind_its_end = io.BytesIO(b"abc")
    behind_its_end.seek(10)
    for source in (io.BytesIO(), behind_its_end, io.StringIO("grün"), iter([])):
        assert StreamedBody(source).length is None
    assert sent(StreamedBody(io.StringIO("grün"))) == b"5\r\ngr\xc3\xbcn\r\n0\r\n\r\n"
    assert sent(StreamedBody(io.BytesIO())) == b"0\r\n\r\n"
