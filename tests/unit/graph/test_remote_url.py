"""What of a remote store's URL is used, shown and kept."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odflow.cli import _Format
from odflow.errors import ConfigError, RemoteError
from odflow.graph.content import Entry
from odflow.graph.remote import Remote
from odflow.graph.remote_url import RemoteUrl, without_secrets

pytest.importorskip("s3fs")
pytest.importorskip("aiohttp")
KEY = "ab" * 32
TOKEN = "?sv=2024-05-04&sig=aBc%2Fd%3D%2Bhidden&se=2030-01-01T00%3A00%3A00Z"
SECRETS = ["aBc", "hidden", "2024-05-04", "pass", "word"]


@pytest.mark.parametrize(
    ("given", "root", "shown", "place"),
    [
        ("s3://bucket/a", "bucket/a", "s3://bucket/a", "bucket/a/x"),
        ("s3://bucket/a/?t=secret", "bucket/a/?t=secret", "s3://bucket/a", "bucket/a/x"),
        ("s3://id:secret@bucket/a", "id:secret@bucket/a", "s3://bucket/a", "id:secret@bucket/a/x"),
        ("https://host/a?secret", "", "https://host/a", "https://host/a/x?secret"),
        ("https://host/a/?t=secret#part", "", "https://host/a", "https://host/a/x?t=secret"),
        ("https://host/a#secret", "", "https://host/a", "https://host/a/x"),
        ("https://id:secret@host/a", "", "https://host/a", "https://id:secret@host/a/x"),
        ("http://secret@host:80", "", "http://host:80", "http://secret@host:80/x"),
        ("file:///mnt/why?#1", "/mnt/why?#1", "file:///mnt/why?#1", "/mnt/why?#1/x"),
        ("file:///mnt/me@home", "/mnt/me@home", "file:///mnt/me@home", "/mnt/me@home/x"),
        ("memory://a?b", "/a?b", "memory://a?b", "/a?b/x"),
    ],
)
def test_where_objects_are_and_what_is_shown(given: str, root: str, shown: str, place: str) -> None:
    url = RemoteUrl(given)
    assert url.shown == shown
    assert url.object(root, "x") == place


@pytest.mark.parametrize(
    "given",
    [
        f"gs://me:pass@bucket/a{TOKEN}",
        f"fttp://me:word@host{TOKEN}",
        f"s3://{TOKEN}",
        f"{TOKEN}",
        f"no{TOKEN}",
    ],
)
def test_a_url_that_cannot_be_used_is_told_without_secrets(given: str) -> None:
    with pytest.raises(ConfigError) as error:
        Remote(given)
    assert not [secret for secret in SECRETS if secret in str(error.value)]
    assert len(str(error.value).splitlines()) == 1


@given(secret=st.text("abcXYZ019%/+=&;:", min_size=6), before=st.text(), after=st.text())
def test_a_token_is_taken_out_of_any_text(secret: str, before: str, after: str) -> None:
    url = RemoteUrl(f"https://host/a?{secret}")
    told = url.without_secrets(f"{before} GET '{url.given}/x' said {secret} {after}")
    assert secret not in told.replace(before, "").replace(after, "") or secret in before + after
    assert "https://host/a" in told


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no URL? none#at all", "no URL? none#at all"),
        ("url='https://a/b?c=d', e", "url='https://a/b', e"),
        ('"https://u:p@a/b" and ftp://x@y/z', '"https://a/b" and ftp://y/z'),
        ("file:///a?b is a file", "file:///a?b is a file"),
        ("abfs://box@account.host/a?sig=x", "abfs://box@account.host/a"),
        ("abfs://box:key@account.host/a", "abfs://account.host/a"),
    ],
)
def test_the_urls_of_a_text(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


class Guarded(SimpleHTTPRequestHandler):
    """Files, for those who have the token."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if parse_qs(query) != parse_qs(TOKEN[1:]):
            self.send_error(403)
            return
        self.path = path
        super().do_GET()

    do_HEAD = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    """A server that has one file and one manifest."""
    data = b"right"
    digest = hashlib.sha256(data).hexdigest()
    for name, content in {f"files/{digest[:2]}/{digest}": data, f"results/{KEY}.json": b"{}"}.items():
        (tmp_path / "there" / name).parent.mkdir(parents=True)
        (tmp_path / "there" / name).write_bytes(content)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://me:password@127.0.0.1:{server.server_port}/there"
    server.shutdown()
    server.server_close()


def test_a_token_goes_with_every_request(guarded: str, tmp_path: Path) -> None:
    there = Remote(guarded + TOKEN)
    assert there.manifest(KEY) == "{}"
    assert there.manifest("cd" * 32) is None
    there.fetch({tmp_path / "got": Entry("", 5, hashlib.sha256(b"right").hexdigest())})
    assert (tmp_path / "got").read_bytes() == b"right"


def test_a_wrong_token_is_told_without_it(guarded: str) -> None:
    with pytest.raises(RemoteError) as error:
        Remote(guarded + TOKEN + "x").manifest(KEY)
    traceback = _Format().formatException((type(error.value), error.value, error.tb))
    assert "403" in traceback
    for told in (str(error.value), traceback):
        assert "//127.0.0.1" in told
        assert not [secret for secret in SECRETS if secret in told]


def test_a_warning_of_a_package_goes_without_secrets(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise OSError(f"https://me:password@host/a{TOKEN}")
    except OSError as error:
        record = logging.LogRecord(
            "s3fs", logging.WARNING, "", 1, f"lost https://a/b{TOKEN}", None, (type(error), error, None)
        )
    told = _Format().format(record)
    assert told.startswith("s3fs: warning: lost https://a/b\n")
    assert "https://host/a" in told
    assert not [secret for secret in SECRETS if secret in told]


def test_nothing_is_sent_where_nothing_can_be(guarded: str) -> None:
    """HTTP knows no way to move a file into its place, and fsspec would read whatever the peer answers."""
    assert Remote(guarded).read_only
    assert not Remote("memory://there").read_only
