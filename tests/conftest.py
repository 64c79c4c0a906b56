"""What all tests share."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A busy machine makes no example wrong.
settings.register_profile("any load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any load")

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def interruptible() -> None:
    """A shell that starts the tests in the background has them ignore interrupts, and so what they start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root."""
    return PROJECT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real models and data beside the project."""
    folder = PROJECT.parent / "shared"
    if not (folder / "models").is_dir():
        pytest.skip("needs the shared folder of real models and data beside the project")
    return folder


@pytest.fixture(scope="session")
def assert_same_detections() -> Callable[..., None]:
    """`assert_same_detections(found, wanted, box, score)`: see same_detections.py."""
    sys.path.append(str(Path(__file__).parent))
    found: Callable[..., None] = importlib.import_module("same_detections").assert_same_detections
    sys.path.pop()
    return found


@pytest.fixture
def power_cut() -> Iterator[Callable[[Path], Any]]:
    """`power_cut(folder)` begins to take what cuts could leave there: see power_cut.py."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc/self/fd")
    sys.path.append(str(Path(__file__).parent))
    made = importlib.import_module("power_cut").PowerCut
    sys.path.pop()
    watching: list[Any] = []

    def watch(folder: Path) -> Any:
        watching.append(made(folder))
        return watching[-1]

    yield watch
    for one in watching:
        one.end()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield place
    # TensorFlow may still hold a file of curves open.
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@dataclass(frozen=True)
class S3:
    """An S3 endpoint on this machine, spoken to over HTTP.

    Attributes:
        endpoint: its URL.
        bucket: the name of a bucket there.
        environment: the variables that lead boto, and so s3fs, to it.
    """

    endpoint: str
    bucket: str
    environment: dict[str, str]

    @property
    def client(self) -> Any:
        """A boto3 client of it, for looking into the bucket and damaging what is there."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.environment["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A real S3 endpoint with an empty bucket; tests that share it keep to prefixes of their own."""
    moto = pytest.importorskip("moto.server", reason="needs the S3 server of moto")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # else a line for each request
    server = moto.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    found = S3(endpoint, "results", environment)
    found.client.create_bucket(Bucket=found.bucket)
    yield found
    server.stop()
