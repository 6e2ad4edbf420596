"""Megatron-Core's datasets over shards in a folder, or in a remote lake, from which they are read by ranges.

Importing this module imports torch and Megatron-Core. Of a remote lake only the ``.idx`` files and the sample index are
copied (``Lake.mirror(..., stream=True)``); ``assets.lake.ranges`` says how the token ids are read and what is checked.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from megatron.core.datasets.gpt_dataset import GPTDataset, GPTDatasetConfig
from megatron.core.datasets.indexed_dataset import IndexedDataset, _BinReader, _IndexReader

from assets.lake.ranges import RangedFile, RangeError
from training_jobs.job import JobError

MAX_DOCUMENTS = np.iinfo(np.int32).max
VERIFY = "`tokka lake verify tokenized_shards` tells what is damaged."


@dataclass
class ShardConfig(GPTDatasetConfig):
    """Megatron-Core's configuration, and where the shards lie.

    Prefixes of shards are relative to ``root``. ``training_documents`` gives, by prefix, how many of the first documents
    are trained on.
    """

    root: str = ""
    training_documents: Mapping[str, int] = field(default_factory=dict)


class RangeReader(_BinReader):
    """Token ids of a remote ``.bin``, by ranges."""

    def __init__(self, file: RangedFile) -> None:
        self.file = file

    def read(self, dtype: Any, count: int, offset: int) -> npt.NDArray[Any]:
        """``count`` ids of ``dtype`` from the byte ``offset`` on. Raises JobError where the file does not hold them."""
        start = int(offset)
        try:
            return np.frombuffer(self.file.read(start, start + int(count) * np.dtype(dtype).itemsize), dtype)
        except RangeError as error:
            raise JobError(str(error)) from error


class Shard(IndexedDataset):
    """One file of a source: Megatron-Core's IndexedDataset, whose ``.bin`` may lie in a remote lake.

    Raises JobError where a file is missing, is no shard, or the ``.idx`` does not fit the ``.bin``.
    """

    training_documents: int

    def __del__(self) -> None:
        """Nothing: IndexedDataset's own deletes what is not there yet in a shard that was refused."""

    def initialize(self, path_prefix: str, *settings: Any) -> None:
        """What IndexedDataset calls when it is made and when it is unpickled."""
        name = "/".join(Path(path_prefix).parts[-5:])
        try:
            file = RangedFile(Path(f"{path_prefix}.bin"))
            if file.pointer is None and file.size:
                super().initialize(path_prefix, *settings)
            else:
                self.path_prefix, self.multimodal, self.mmap, self.object_storage_config = (
                    path_prefix,
                    False,
                    True,
                    None,
                )
                self.fast_cache_load, self.sequences_per_dataset, self.dtype_code = False, None, None
                self.bin_reader, self.index = RangeReader(file), _IndexReader(f"{path_prefix}.idx", False)
        except (FileNotFoundError, RangeError) as error:
            raise JobError(
                f"The shard {name} is not whole in the lake: {error}. Make it again with `tokka run`."
            ) from error
        except AssertionError as error:
            raise JobError(f"{name}.idx, offset 0: is no index of a shard: {error}. {VERIFY}") from error
        except (ValueError, struct.error) as error:
            size = Path(f"{path_prefix}.idx").stat().st_size
            raise JobError(f"{name}.idx, offset {size}: is no index of a shard, it is cut short. {VERIFY}") from error
        expected = int(self.sequence_lengths.sum(dtype=np.int64)) * np.dtype(self.index.dtype).itemsize
        if expected != file.size:
            raise JobError(
                f"{name}.bin, offset {min(file.size, expected)}: has {file.size:,} bytes, its .idx asks for {expected:,}: one of "
                f"the two is cut short or belongs to another shard. {VERIFY}"
            )


class ShardDataset(GPTDataset):
    """Megatron-Core's GPTDataset over the documents of one shard that are trained on."""

    @staticmethod
    def build_low_level_dataset(dataset_path: str, config: GPTDatasetConfig) -> Shard:
        """The shard of a relative prefix. Raises JobError, also where the shard has fewer documents than are asked for."""
        assert isinstance(config, ShardConfig)
        shard = Shard(str(Path(config.root) / dataset_path))
        shard.training_documents = config.training_documents[dataset_path]
        if not shard.training_documents <= len(shard) <= MAX_DOCUMENTS:
            raise JobError(
                f"The shard {dataset_path} has {len(shard):,} documents; the mixture trains on {shard.training_documents:,} "
                f"of them, and Megatron-Core numbers {MAX_DOCUMENTS:,}."
            )
        return shard

    @staticmethod
    def numel_low_level_dataset(low_level_dataset: Any) -> int:
        """The documents that are trained on: Megatron-Core's builder shares out these among its splits."""
        return int(low_level_dataset.training_documents)
