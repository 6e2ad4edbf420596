"""Great Expectations' context: in memory, silent, and made once per process."""

import functools
import os
from typing import Any


@functools.cache
def ephemeral_context() -> Any:
    """A batch definition that takes a whole pandas DataFrame."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("profile").add_dataframe_asset("rows")
    return asset.add_batch_definition_whole_dataframe("rows")
