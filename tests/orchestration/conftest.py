from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_instance_from_before() -> Iterator[None]:
    """Dagster keeps the instance entered last in a context variable, which may outlive the instance itself."""
    from dagster._core.storage.defs_state.base import set_defs_state_storage

    with set_defs_state_storage(None):
        yield
