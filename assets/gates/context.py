"""Great Expectations: its import, and its context, in memory, silent, and made once per process."""

import functools
import gc
import os
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Any

LATER = ("scipy.stats", "altair")
"""What Great Expectations imports for expectations and plots that no gate has; a third of the time of its import."""


class _Later:
    """A finder of LATER alone: such a module loads when an attribute of it is first asked for."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name in LATER else None
        if spec is None or spec.loader is None:
            return None
        spec.loader = LazyLoader(spec.loader)
        return spec


def great_expectations() -> Any:
    """The library; what the gates do not need of it is not loaded."""
    if "great_expectations" not in sys.modules:
        _import()
    import great_expectations as gx

    return gx


def _import() -> None:
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    later, collected = _Later(), gc.isenabled()
    sys.meta_path.insert(0, later)
    # What an import makes stays: the collector would look through it in vain, now and whenever it looks through all.
    gc.disable()
    try:
        import great_expectations  # noqa: F401
    finally:
        sys.meta_path.remove(later)
        gc.freeze()
        if collected:
            gc.enable()


@functools.cache
def ephemeral_context() -> Any:
    """A batch definition that takes a whole pandas DataFrame."""
    gx = great_expectations()
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("profile").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("rows")
