"""What makes no sense is said before anybody is asked, without what is secret in it."""

from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from obswarm.api import ObswarmError
from obswarm.http import ApiAccess, ApiSession, access_of, parse_header


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


@pytest.mark.parametrize(
    ("access", "sentence"),
    [
        (ApiAccess(token="s3cret", token_file="f"), "--token and --token-file exclude each other"),
        (ApiAccess(auth="s3cret:s", token="s3cret"), "--auth and --token exclude each other"),
        (
            ApiAccess(token="s3", headers=(("authorization", "s3"),)),
            "--token and the Authorization of --header exclude",
        ),
        (ApiAccess(auth="s3cret"), "--auth: write it as USER:PASSWORD"),
        (ApiAccess(auth="s3cret:a\n"), "--auth: write it as USER:PASSWORD"),
        (ApiAccess(token="s3 cret"), "--token: a token is one word of ASCII characters"),
        (ApiAccess(token="s3crét"), "--token: a token is one word of ASCII characters"),
        (ApiAccess(headers=(parse_header("s3cret"),)), "--header: write it as NAME: VALUE"),
        (ApiAccess(headers=(parse_header("a b: s3cret"),)), "--header: write it as NAME: VALUE"),
        (ApiAccess(headers=(parse_header("a: s3cret\r\nb: c"),)), "--header: write it as NAME: VALUE"),
        (ApiAccess(headers=(parse_header("a: s3cret→"),)), "--header: write it as NAME: VALUE"),
        (ApiAccess(key_file="k.pem"), "--key-file needs --cert-file"),
        (ApiAccess(proxy="u:s3cret@proxy"), "--proxy: it is not a URL of a proxy"),
        (ApiAccess(proxy="ftp://u:s3cret@proxy"), "--proxy: it is not a URL of a proxy"),
    ],
)
def test_what_makes_no_sense_with_any_server_is_a_sentence(access: ApiAccess, sentence: str) -> None:
    with pytest.raises(ObswarmError) as refused:
        access.check(option)
    assert str(refused.value).startswith(sentence)
    assert "s3" not in str(refused.value)
    assert "s3" not in repr(access)


def test_what_makes_sense_is_taken() -> None:
    header = parse_header("X-Scope-OrgID:  shop|other ")
    assert header == ("X-Scope-OrgID", "shop|other")
    ApiAccess(auth="a:b:c", headers=(header,), cert_file="c", key_file="k", proxy="socks5h://p:1").check(option)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("one", "other"):
        issued = trustme.CA().issue_cert("client@example.com")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "words").write_text("two words\n")
    (tmp_path / "junk").write_bytes(b"\xff\0junk")
    (tmp_path / "token").write_text("token\n")
    return tmp_path


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"token_file": "none"}, "--token-file: {folder}/none cannot be read: No such file or directory."),
        ({"token_file": "."}, "--token-file: {folder} cannot be read: Is a directory."),
        ({"token_file": "empty"}, "--token-file: {folder}/empty is empty"),
        ({"token_file": "words"}, "--token-file: {folder}/words has more than one word"),
        (
            {"token_file": "junk"},
            "--token-file: {folder}/junk has more than one word, or characters that are not ASCII",
        ),
        ({"ca_file": "none"}, "--ca-file: {folder}/none cannot be read: No such file or directory."),
        ({"ca_file": "junk"}, "--ca-file: no certificates in PEM in {folder}/junk"),
        ({"cert_file": "none"}, "--cert-file: {folder}/none cannot be read: No such file"),
        ({"cert_file": "one.pem", "key_file": "none"}, "--key-file: {folder}/none cannot be read: No such file"),
        ({"cert_file": "one.pem"}, "--cert-file: no certificate with its key in {folder}/one.pem"),
        ({"cert_file": "one.pem", "key_file": "other.key"}, "--cert-file, --key-file: no certificate with its key in"),
        ({"cert_file": "one.pem", "key_file": "junk"}, "--cert-file, --key-file: no certificate with its key in"),
    ],
)
def test_files_that_are_not_what_they_should_be_are_named(folder: Path, files: dict[str, str], sentence: str) -> None:
    with pytest.raises(ObswarmError) as refused:
        access_of(files).below(folder).check_files(option)
    assert str(refused.value).startswith(sentence.format(folder=folder))
    assert "_ssl.c" not in str(refused.value)


def test_files_that_are_right_are_taken(folder: Path) -> None:
    files = {"token_file": "token", "ca_file": "one.pem", "cert_file": "one.pem", "key_file": "one.key"}
    access_of(files).below(folder).check_files(option)
    ApiAccess(ca_file=str(folder)).check_files(option)


def test_a_key_with_a_passphrase_is_refused_and_not_asked_for(folder: Path) -> None:
    key = serialization.load_pem_private_key((folder / "one.key").read_bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (folder / "encrypted").write_bytes(encrypted)
    access = access_of({"cert_file": "one.pem", "key_file": "encrypted"}).below(folder)
    with pytest.raises(ObswarmError, match="--key-file: the key in .*/encrypted is encrypted; give one without"):
        access.check_files(option)


CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_the_environments_certificates_are_trusted_unless_others_are_named(
    folder: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for each in CA_VARIABLES:
        monkeypatch.delenv(each, raising=False)
    monkeypatch.setenv(variable, str(folder / "one.pem"))

    def trusted(access: ApiAccess) -> object:
        with ApiSession(1, 1, access=access) as session:
            return session.merge_environment_settings("https://h/", {}, False, None, None)["verify"]

    assert trusted(ApiAccess()) == str(folder / "one.pem")
    assert trusted(ApiAccess(ca_file="own.pem")) == "own.pem"
