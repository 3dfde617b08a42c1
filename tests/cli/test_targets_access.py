"""What obswarm.toml says of how targets are read."""

from pathlib import Path

import pytest

from obswarm.api import ObswarmError
from obswarm.app.sources import table_targets
from obswarm.config import read_file_config
from obswarm.http import ApiAccess

TARGET = "[[targets]]\nkind = 'mysql'\nurl = 'http://127.0.0.1:1/metrics'\n"


def target_access(folder: Path, text: str) -> ApiAccess:
    (folder / "obswarm.toml").write_text(TARGET + text)
    (target,) = table_targets(read_file_config(str(folder / "obswarm.toml"), folder))
    return target.access


def test_a_target_has_credentials_headers_certificates_and_a_proxy(tmp_path: Path) -> None:
    text = (
        "token_file = 't'\nheaders = { X-Scope-OrgID = 'shop' }\nca_file = 'ca'\ncert_file = 'c'\nproxy = 'http://p:1'"
    )
    headers = (("X-Scope-OrgID", "shop"),)
    assert target_access(tmp_path, text) == ApiAccess(
        token_file="t", headers=headers, ca_file="ca", cert_file="c", proxy="http://p:1"
    )
    assert target_access(tmp_path, "auth = 'u:p'").auth == "u:p"
    assert target_access(tmp_path, "") == ApiAccess()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "token = 's3cret'\ntoken_file = 'f'",
            "token and {where}token_file exclude each other; leave one of them out.",
        ),
        ("auth = 's3cret'", "auth: write it as USER:PASSWORD."),
        ("key_file = 'k'", "key_file needs {where}cert_file: the certificate of that key."),
        ("headers = ['a: s3cret']", "headers has to be a table of texts"),
        ("headers = { 'a b' = 's3cret' }", "headers: write it as NAME: VALUE"),
        ("token = 5", "token has to be a text."),
        ("proxi = 'x'", "unknown key 'proxi'. Did you mean proxy?"),
    ],
)
def test_what_makes_no_sense_names_file_and_key(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(ObswarmError) as refused:
        target_access(tmp_path, text)
    where = f"{tmp_path / 'obswarm.toml'}: [[targets]] 1: "
    assert str(refused.value).startswith(where + sentence.replace("{where}", where))
    assert "s3cret" not in str(refused.value)
