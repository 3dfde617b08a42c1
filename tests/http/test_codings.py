"""Content codings are undone whatever pieces they come in, and damaged ones are told."""

import gzip
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from obswarm.http.codings import ACCEPTED, decode, decoded
from obswarm.http.errors import DecodingError, ResponseTooLarge


def bare_deflate(body: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


ENCODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("x-gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare_deflate),
    "br": ("br", lambda body: brotli.compress(body, quality=1)),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
}
every_coding = pytest.mark.parametrize("kind", ENCODERS)


def encoded(kind: str, body: bytes) -> tuple[str, bytes]:
    name, encode = ENCODERS[kind]
    return name, encode(body)


@every_coding
@given(body=st.binary(min_size=1, max_size=300), size=st.integers(1, 50))
def test_a_body_is_the_same_whatever_pieces_it_comes_in(kind: str, body: bytes, size: int) -> None:
    name, packed = encoded(kind, body)
    pieces = [packed[begin : begin + size] for begin in range(0, len(packed), size)]
    assert b"".join(decoded(pieces, name)) == body
    assert b"".join(decoded([b"", *pieces, b""], name.upper())) == body
    assert decode(packed, name) == body


@pytest.mark.parametrize(
    ("kind", "megabytes", "most_megabytes"),
    [("gzip", 4, 1), ("deflate", 4, 1), ("bare deflate", 4, 1), ("br", 4, 2), ("zstd", 20, 16)],
)
def test_a_body_of_many_megabytes_comes_in_steps(kind: str, megabytes: int, most_megabytes: int) -> None:
    name, packed = encoded(kind, bytes(megabytes * 1024 * 1024))
    sizes = [len(piece) for piece in decoded([packed], name)]
    assert sum(sizes) == megabytes * 1024 * 1024
    assert max(sizes) <= most_megabytes * 1024 * 1024


@every_coding
def test_a_body_that_ends_in_the_middle_or_is_damaged_is_told(kind: str) -> None:
    name, packed = encoded(kind, b"hello world, " * 100)
    for body in (packed[: len(packed) // 2], b"\x07" + packed[1:]):
        with pytest.raises(DecodingError, match=f"^the body is not {name}, as its Content-Encoding says: "):
            decode(body, name)


@every_coding
def test_a_body_that_becomes_too_large_is_refused_while_it_does(kind: str) -> None:
    name, packed = encoded(kind, bytes(100_000))
    assert len(decode(packed, name, 100_000)) == 100_000
    with pytest.raises(ResponseTooLarge):
        decode(packed, name, 99_999)


@pytest.mark.parametrize("coding", [None, "", "identity", "compress", "gzip, compress", " , "])
def test_a_coding_that_is_unknown_or_none_is_left_as_it_is(coding: str | None) -> None:
    assert decode(b"body", coding) == b"body"
    assert list(decoded([b"bo", b"dy"], coding)) == [b"bo", b"dy"]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_an_empty_body_is_no_damaged_one(coding: str) -> None:
    assert decode(b"", coding) == b""
    assert list(decoded([b""], coding)) == []


def test_several_codings_are_undone_from_the_last_one() -> None:
    assert decode(brotli.compress(gzip.compress(b"hello")), "gzip, br") == b"hello"
    assert decode(b"x", "gzip, identity, unknown") == b"x"
    with pytest.raises(DecodingError, match="the body has 6 content codings; 5 are the most"):
        decode(b"x", ", ".join(["gzip"] * 6))


def test_gzip_may_have_several_members_and_something_behind_them() -> None:
    assert decode(gzip.compress(b"one ") + gzip.compress(b"two"), "gzip") == b"one two"
    assert decode(gzip.compress(b"one") + b"padding", "gzip") == b"one"


def test_zstandard_may_have_several_frames() -> None:
    compress = zstandard.ZstdCompressor().compress
    assert decode(compress(b"one ") + compress(b"two"), "zstd") == b"one two"


def test_what_is_accepted_can_be_undone() -> None:
    assert set(ACCEPTED.split(", ")) == {"gzip", "deflate", "br", "zstd"}
