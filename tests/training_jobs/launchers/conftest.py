from pathlib import Path

import pytest

from tests.training_jobs.launchers.jobs import write_modules


@pytest.fixture(scope="session")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_modules(tmp_path_factory.mktemp("modules"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job's folder that another user can reach."""
    (tmp_path / "job").mkdir()
    return tmp_path / "job"
