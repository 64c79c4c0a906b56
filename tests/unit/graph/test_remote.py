"""The store that machines share: over HTTP against an S3 endpoint, and in a folder."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odflow.errors import ConfigError, DamagedError, RemoteError, StoreError
from odflow.graph.content import Entry
from odflow.graph.remote import Remote

pytest.importorskip("s3fs")
MANIFEST = '{"outputs": {}}\n'
KEY = "ab" * 32


def entry(data: bytes, name: str = "") -> Entry:
    return Entry(name, len(data), hashlib.sha256(data).hexdigest())


def place(data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    return f"files/{digest[:2]}/{digest}"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., dict[Path, Entry]]:
    """Writes files, as a result holds them."""

    def files(**contents: bytes) -> dict[Path, Entry]:
        (tmp_path / "made").mkdir(exist_ok=True)
        for name, data in contents.items():
            (tmp_path / "made" / name).write_bytes(data)
        return {tmp_path / "made" / name: entry(data, name) for name, data in contents.items()}

    return files


@pytest.fixture
def bucket(s3: Any, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Bucket:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return Bucket(s3, request.node.name)


class Bucket:
    """What a test has to itself in the bucket."""

    def __init__(self, s3: Any, prefix: str) -> None:
        self.client, self.name, self.prefix = s3.client, s3.bucket, prefix
        self.url = f"s3://{s3.bucket}/{prefix}"

    def put(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=f"{self.prefix}/{name}", Body=data)

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=self.name, Key=f"{self.prefix}/{name}")

    def read(self, name: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.name, Key=f"{self.prefix}/{name}")["Body"].read())

    def listing(self) -> dict[str, Any]:
        """Name to when it was put, as the server tells it."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=f"{self.prefix}/"
        )
        found = [item for page in pages for item in page.get("Contents", [])]
        return {item["Key"].removeprefix(f"{self.prefix}/"): item["LastModified"] for item in found}


@pytest.fixture
def puts(s3: Any) -> Iterator[list[str]]:
    """Paths of the bucket that were put since, as the server saw it."""
    from moto.s3.models import S3Backend

    seen: list[str] = []
    real = S3Backend.put_object

    def noted(self: Any, bucket_name: str, key_name: str, *given: Any, **more: Any) -> Any:
        seen.append(key_name)
        return real(self, bucket_name, key_name, *given, **more)

    S3Backend.put_object = noted
    yield seen
    S3Backend.put_object = real


def test_what_one_machine_sends_another_fetches(
    bucket: Bucket, write: Callable[..., dict[Path, Entry]], tmp_path: Path
) -> None:
    big = os.urandom(17 * 2**20 + 3)  # in parts, none of them full
    files = write(big=big, edge=os.urandom(8 * 2**20), small=b"x", empty=b"", same=b"x")
    there = Remote(f"{bucket.url}/")
    assert there.manifest(KEY) is None
    there.send(KEY, MANIFEST, files)
    here = Remote(bucket.url)
    assert here.manifest(KEY) == MANIFEST
    wanted = {tmp_path / "deep" / "er" / path.name: entry for path, entry in files.items()}
    here.fetch(wanted)
    got = {path.name: path.read_bytes() for path in (tmp_path / "deep" / "er").iterdir()}
    assert got == {path.name: path.read_bytes() for path in files}
    assert sorted(bucket.listing()) == sorted(
        {place(path.read_bytes()) for path in files} | {f"results/{KEY}.json"}
    )


def test_nothing_is_sent_twice(
    bucket: Bucket, write: Callable[..., dict[Path, Entry]], puts: list[str]
) -> None:
    remote = Remote(bucket.url)
    remote.send(KEY, MANIFEST, write(a=b"one", b=b"two", c=b"two"))
    assert len(puts) == 3  # two contents and the manifest
    remote.send("cd" * 32, MANIFEST, write(a=b"one", d=b"three"))
    assert [name.partition("/")[2] for name in puts[3:]] == [place(b"three"), f"results/{'cd' * 32}.json"]


def test_what_another_tool_half_sent_is_sent_again(
    bucket: Bucket, write: Callable[..., dict[Path, Entry]]
) -> None:
    bucket.put(place(b"whole"), b"who")
    Remote(bucket.url).send(KEY, MANIFEST, write(a=b"whole"))
    assert bucket.read(place(b"whole")) == b"whole"


@pytest.mark.parametrize("protocol", ["s3", "file"])
@pytest.mark.parametrize(
    ("size", "damage", "told"),
    [
        (100, lambda data: data[:50] + bytes([data[50] ^ 1]) + data[51:], "is corrupt"),
        (9 * 2**20, lambda data: data[:-1] + bytes([data[-1] ^ 1]), "is corrupt"),
        (100, lambda data: data[:99], "ends after 99 of 100 bytes"),
        (100, lambda data: b"", "ends after 0 of 100 bytes"),
        (9 * 2**20, lambda data: data[: 8 * 2**20], f"ends after {8 * 2**20} of {9 * 2**20} bytes"),
        (17 * 2**20, lambda data: data[:5], f"ends after 5 of {17 * 2**20} bytes"),
        (100, lambda data: None, "is missing"),
    ],
)
def test_a_damaged_object_is_named_and_nothing_of_it_is_left(
    protocol: str,
    size: int,
    damage: Callable[[bytes], bytes | None],
    told: str,
    request: pytest.FixtureRequest,
    write: Callable[..., dict[Path, Entry]],
    tmp_path: Path,
) -> None:
    data = os.urandom(size)
    bad = damage(data)
    files = write(good=b"good", bad=data)
    if protocol == "s3":
        bucket = request.getfixturevalue("bucket")
        remote = Remote(bucket.url)
        remote.send(KEY, MANIFEST, files)
        bucket.remove(place(data)) if bad is None else bucket.put(place(data), bad)
    else:
        remote = Remote(f"file://{tmp_path}/shared")
        remote.send(KEY, MANIFEST, files)
        there = tmp_path / "shared" / place(data)
        there.unlink() if bad is None else there.write_bytes(bad)
    with pytest.raises(DamagedError) as error:
        remote.fetch({tmp_path / "got" / "bad": entry(data)})
    assert str(error.value).startswith(f"{remote.url}/{place(data)}: {told}")
    assert len(str(error.value).splitlines()) == 1
    assert list((tmp_path / "got").iterdir()) == []
    remote.fetch({tmp_path / "got" / "good": entry(b"good")})  # the rest is of use
    remote.send(KEY, MANIFEST, files)  # who found the damage repairs it
    remote.fetch({tmp_path / "got" / "bad": entry(data)})
    assert (tmp_path / "got" / "bad").read_bytes() == data


@pytest.mark.parametrize("text", ["", "{", "not json \u20ac\n", "x" * 100_000])
def test_a_manifest_is_given_as_it_is(bucket: Bucket, text: str) -> None:
    bucket.put(f"results/{KEY}.json", text.encode())
    assert Remote(bucket.url).manifest(KEY) == text


def test_a_manifest_that_is_no_text_is_given_somehow(bucket: Bucket) -> None:
    bucket.put(f"results/{KEY}.json", b"\xff\xfe\x00")
    assert Remote(bucket.url).manifest(KEY) == "\ufffd\ufffd\0"


@pytest.mark.parametrize(
    "bad",
    [
        Entry("x", 1, "../../../etc/passwd"),
        Entry("x", 1, "AB" * 32),
        Entry("x", 1, "ab" * 32 + "\n"),
        Entry("x", 1, ""),
        Entry("x", 1, 5),  # type: ignore[arg-type]
        Entry("x", -1, "ab" * 32),
        Entry("x", "1", "ab" * 32),  # type: ignore[arg-type]
        Entry("x", 1.5, "ab" * 32),  # type: ignore[arg-type]
    ],
)
def test_an_entry_that_nobody_would_write_is_refused(bad: Entry, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "passwd").write_text("x")
    with pytest.raises(DamagedError, match="is not a"):
        Remote(f"file://{tmp_path}/shared").fetch({tmp_path / "got": bad})
    assert not (tmp_path / "got").exists()


def test_a_huge_size_does_not_take_memory(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(place(b"x"), b"x")
    with pytest.raises(DamagedError, match="ends after 1 of"):
        Remote(bucket.url).fetch({tmp_path / "got": Entry("", 2**62, entry(b"x").sha256)})


def test_a_killed_sender_leaves_no_result(
    bucket: Bucket, write: Callable[..., dict[Path, Entry]], tmp_path: Path
) -> None:
    files = write(**{f"f{number}": os.urandom(200_000) for number in range(80)})
    script = (
        "import hashlib, sys; from pathlib import Path\n"
        "from odflow.graph.content import Entry; from odflow.graph.remote import Remote\n"
        "files = {p: Entry('', p.stat().st_size, hashlib.sha256(p.read_bytes()).hexdigest())\n"
        "         for p in Path(sys.argv[1]).iterdir()}\n"
        "Remote(sys.argv[2]).send(sys.argv[3], sys.argv[4], files)\n"
    )
    made = str(tmp_path / "made")
    sender = subprocess.Popen([sys.executable, "-c", script, made, bucket.url, KEY, MANIFEST])
    while not bucket.listing() and sender.poll() is None:
        time.sleep(0.01)
    sender.send_signal(signal.SIGKILL)
    assert sender.wait() == -signal.SIGKILL
    first = bucket.listing()
    assert 0 < len(first) < 80
    assert Remote(bucket.url).manifest(KEY) is None
    Remote(bucket.url).send(KEY, MANIFEST, files)
    assert Remote(bucket.url).manifest(KEY) == MANIFEST
    second = bucket.listing()
    assert len(second) == 81
    assert {name: second[name] for name in first} == first
    Remote(bucket.url).fetch({tmp_path / "got" / path.name: entry for path, entry in files.items()})


def test_the_manifest_is_not_sent_when_a_file_is_not(
    bucket: Bucket, write: Callable[..., dict[Path, Entry]]
) -> None:
    files = write(a=b"a", b=b"b")
    lost = next(iter(files))
    for damage in (lambda: lost.write_bytes(b"longer"), lost.unlink):
        damage()
        with pytest.raises(RemoteError, match=f"^{lost}: is missing or was changed"):
            Remote(bucket.url).send(KEY, MANIFEST, files)
    assert Remote(bucket.url).manifest(KEY) is None
    assert place(b"a") not in bucket.listing()


def test_an_endpoint_that_nobody_listens_at(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, write: Callable[..., dict[Path, Entry]]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(RemoteError, match=r"^s3://.*: Could not connect to the endpoint URL"):
            Remote(bucket.url).manifest(KEY)
        with pytest.raises(RemoteError, match=r"^s3://.*: Could not connect to the endpoint URL"):
            Remote(bucket.url).send(KEY, MANIFEST, write(a=b"a"))
        assert time.monotonic() - began < 60  # boto by itself tries for minutes


def test_a_connection_that_breaks_once_does_no_harm(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, write: Callable[..., dict[Path, Entry]], tmp_path: Path
) -> None:
    files = write(a=os.urandom(20 * 2**20))
    Remote(bucket.url).send(KEY, MANIFEST, files)
    breaking = Breaking(os.environ["AWS_ENDPOINT_URL"])
    monkeypatch.setenv("AWS_ENDPOINT_URL", breaking.url)
    Remote(bucket.url).fetch({tmp_path / "got": next(iter(files.values()))})
    assert breaking.broken == 1
    assert (tmp_path / "got").read_bytes() == next(iter(files)).read_bytes()


class Breaking:
    """Passes bytes on to a server; the first long answer is cut in the middle."""

    def __init__(self, target: str) -> None:
        host, port = target.removeprefix("http://").split(":")
        self.target, self.broken = (host, int(port)), 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self.socket.accept()
            far = socket.create_connection(self.target)
            Thread(target=self._pass, args=(near, far, False), daemon=True).start()
            Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, breaks: bool) -> None:
        passed = 0
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                passed += len(data)
                if breaks and passed > 2**20 and not self.broken:
                    self.broken += 1
                    break
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def test_no_such_bucket(bucket: Bucket, write: Callable[..., dict[Path, Entry]]) -> None:
    remote = Remote("s3://no-such-bucket/prefix")
    told = "^s3://no-such-bucket/prefix/.*: The specified bucket does not exist.$"
    with pytest.raises(RemoteError, match=told):
        remote.manifest(KEY)
    with pytest.raises(RemoteError, match=told):
        remote.send(KEY, MANIFEST, write(a=b"a"))


def test_wrong_credentials(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, write: Callable[..., dict[Path, Entry]]
) -> None:
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)  # the server asks from now on
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAWRONG")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never-told")
    remote = Remote(bucket.url)
    with pytest.raises(RemoteError, match="Key Id you provided does not exist"):
        remote.manifest(KEY)
    for attempt in (lambda: remote.manifest(KEY), lambda: remote.send(KEY, MANIFEST, write(a=b"a"))):
        with pytest.raises(RemoteError) as error:
            attempt()
        assert not isinstance(error.value, DamagedError)
        assert str(error.value).startswith(f"{bucket.url}/")
        assert "never-told" not in str(error.value)


def test_no_credentials(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(RemoteError, match="Unable to locate credentials"):
        Remote(bucket.url).manifest(KEY)


def test_a_login_in_the_url_is_never_shown(tmp_path: Path) -> None:
    remote = Remote("ftp://me:p@ss@127.0.0.1:1/there")
    assert remote.url == "ftp://127.0.0.1:1/there"
    with pytest.raises(RemoteError) as error:
        remote.manifest(KEY)
    assert str(error.value) == f"ftp://127.0.0.1:1/there/results/{KEY}.json: Connection refused."
    with pytest.raises(ConfigError) as wrong:
        Remote("fttp://me:p@ss@127.0.0.1:1/there")
    assert "p@ss" not in str(wrong.value)
    with pytest.raises(RemoteError) as bucketless:
        Remote("s3://key:hidden@bucket/x").manifest(KEY)
    assert "hidden" not in str(bucketless.value)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("gss://bucket", 'protocol "gss" of ODFLOW_REMOTE is unknown. Did you mean "gs"?'),
        ("bucket/prefix", "is not a place"),
        ("s3:/bucket", "is not a place"),
        ("s3://", "is not a place"),
        ("", "is not a place"),
        ("gs://bucket", "gcsfs"),
    ],
)
def test_a_url_that_cannot_be_used(url: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        Remote(url)
    assert str(error.value).startswith(f"{url}: ")
    assert told in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("odflow.graph.remote_url.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'odflow\[s3\]'"):
        Remote("s3://bucket/prefix")


def test_s3_is_imported_when_it_is_used() -> None:
    script = (
        "import sys, odflow.graph.remote as r\n"
        "assert 'fsspec' not in sys.modules\n"
        "r.Remote('s3://bucket/prefix')\n"
        "assert not {'s3fs', 'botocore', 'aiohttp'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_users_configuration_of_fsspec_counts(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec.config

    monkeypatch.setitem(
        fsspec.config.conf,
        "s3",
        {"config_kwargs": {"read_timeout": 77}, "endpoint_url": bucket.client.meta.endpoint_url},
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    remote = Remote(bucket.url)
    assert remote.manifest(KEY) is None  # it came to the endpoint that the configuration names
    fs, _ = remote._place("x")
    assert fs.config_kwargs["read_timeout"] == 77
    assert fs.config_kwargs["connect_timeout"] == 3


def test_a_folder_shows_a_file_when_it_is_whole(
    write: Callable[..., dict[Path, Entry]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared folder"
    remote = Remote(f"file://{shared}")
    assert remote.manifest(KEY) is None
    files = write(a=b"a" * 1000)
    remote.send(KEY, MANIFEST, files)
    first = (shared / place(b"a" * 1000)).stat()
    remote.send(KEY, MANIFEST, files)
    again = (shared / place(b"a" * 1000)).stat()
    assert (first.st_ino, first.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)
    assert list((shared / "partial").iterdir()) == []

    def half(self: Any, source: str, target: str, **more: Any) -> None:
        Path(target).write_bytes(Path(source).read_bytes()[:10])
        raise OSError(28, "No space left on device", target)

    from fsspec.implementations.local import LocalFileSystem

    monkeypatch.setattr(LocalFileSystem, "put_file", half)
    with pytest.raises(RemoteError, match=f"{place(b'bb')}: No space left on device.$"):
        remote.send(KEY, MANIFEST, write(b=b"bb"))
    assert not (shared / place(b"bb")).exists()
    assert list((shared / "partial").iterdir()) == []


def test_a_full_disk_here_is_not_the_remotes_fault(
    write: Callable[..., dict[Path, Entry]], tmp_path: Path
) -> None:
    remote = Remote(f"file://{tmp_path}/shared")
    remote.send(KEY, MANIFEST, write(a=b"a"))
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as error:
        remote.fetch({tmp_path / "file" / "got": entry(b"a")})
    assert not isinstance(error.value, RemoteError)


def test_two_threads_at_once(bucket: Bucket, write: Callable[..., dict[Path, Entry]], tmp_path: Path) -> None:
    files = write(**{f"f{number}": os.urandom(50_000) for number in range(30)})
    remote = Remote(bucket.url)

    def there_and_back(number: int) -> None:
        remote.send(f"{number:064}", MANIFEST, files)
        assert remote.manifest(f"{number:064}") == MANIFEST
        remote.fetch({tmp_path / str(number) / path.name: entry for path, entry in files.items()})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(there_and_back, range(4)))
    for number in range(4):
        for path in files:
            assert (tmp_path / str(number) / path.name).read_bytes() == path.read_bytes()


def test_fetching_can_be_stopped(
    bucket: Bucket, write: Callable[..., dict[Path, Entry]], tmp_path: Path
) -> None:
    files = write(**{f"f{number}": os.urandom(50_000) for number in range(100)})
    remote = Remote(bucket.url)
    remote.send(KEY, MANIFEST, files)
    Timer(0.1, remote.stop).start()
    with pytest.raises(KeyboardInterrupt):
        remote.fetch({tmp_path / "got" / path.name: entry for path, entry in files.items()})
    assert len(list((tmp_path / "got").iterdir())) < 100
    assert not list(tmp_path.rglob(".partial-*"))


def test_sending_can_be_stopped_in_the_middle_of_a_file(
    bucket: Bucket, write: Callable[..., dict[Path, Entry]]
) -> None:
    files = write(big=os.urandom(2**20) * 60)
    remote = Remote(bucket.url)
    assert remote.manifest(KEY) is None
    Timer(0.2, remote.stop).start()
    with pytest.raises(KeyboardInterrupt):
        remote.send(KEY, MANIFEST, files)
    assert bucket.listing() == {}
    assert "Uploads" not in bucket.client.list_multipart_uploads(Bucket=bucket.name)
    Remote(bucket.url).send(KEY, MANIFEST, write(small=b"x"))  # what drives the connections is still alive


def test_a_big_file_takes_little_memory(tmp_path: Path) -> None:
    size = 200 * 2**20
    with (tmp_path / "big").open("wb") as file:
        file.truncate(size)
    digest = hashlib.sha256(bytes(size)).hexdigest()
    remote = Remote(f"file://{tmp_path}/shared")
    remote.send(KEY, MANIFEST, {tmp_path / "big": Entry("", size, digest)})
    tracemalloc.start()
    remote.fetch({tmp_path / "got": Entry("", size, digest)})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40 * 2**20
    assert (tmp_path / "got").stat().st_size == size


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.dictionaries(st.text(min_size=1), st.binary(max_size=200), max_size=8), text=st.text())
@pytest.mark.parametrize("protocol", ["file", "memory"])
def test_anything_comes_back_as_it_was_sent(
    protocol: str, contents: dict[str, bytes], text: str, tmp_path: Path
) -> None:
    text = text.encode("utf-8", errors="replace").decode()
    with tempfile.TemporaryDirectory(dir=tmp_path) as name:
        folder = Path(name)
        made = {folder / str(number): data for number, data in enumerate(contents.values())}
        for path, data in made.items():
            path.write_bytes(data)
        remote = Remote(f"{protocol}://{folder}/shared")
        remote.send(KEY, text, {path: entry(data) for path, data in made.items()})
        wanted = {folder / "got" / path.name: data for path, data in made.items()}
        remote.fetch({path: entry(data) for path, data in wanted.items()})
        assert {path: path.read_bytes() for path in wanted} == wanted
        assert remote.manifest(KEY) == text
