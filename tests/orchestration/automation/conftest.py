from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.orchestration.automation.place import Place, place_in


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "dagster").mkdir()
    yield from place_in(tmp_path)
