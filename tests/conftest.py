"""What all tests share."""

from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


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
