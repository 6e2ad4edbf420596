"""A Hugging Face folder outside of the lake: its files, its digest, and its tensors, read one at a time.

Only safetensors are read, never a pickle. A folder may lie anywhere that fsspec reaches.
"""

import hashlib
import json
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import fsspec

if TYPE_CHECKING:
    import torch

CONFIG, INDEX, WEIGHTS, TOKENIZER = "config.json", "model.safetensors.index.json", "model.safetensors", "tokenizer.json"
# Longer headers than safetensors itself allows are refused before they are read.
_LONGEST_HEADER = 100_000_000
_TORCH_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_BLOCK = 16 << 20


class FolderError(ValueError):
    """A folder cannot be used. The message says what it lacks."""


class HuggingFaceFolder:
    """The configuration and tensors in the folder ``uri``. Raises FolderError where there are none."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        try:
            self.fs, self.path = fsspec.core.url_to_fs(uri)
        except (ValueError, ImportError) as error:
            raise FolderError(f"{uri} cannot be reached: {error}.") from error
        self.config: dict[str, Any] = self._json(CONFIG)
        if self._has(INDEX):
            index = self._json(INDEX).get("weight_map")
            if not isinstance(index, dict) or not index:
                raise FolderError(f"{uri}/{INDEX} has no weight_map.")
            self.weight_files = sorted(set(index.values()))
        else:
            self.weight_files = [WEIGHTS]
        for name in self.weight_files:
            if PurePosixPath(name).name != name or not name.endswith(".safetensors"):
                raise FolderError(f"{uri}/{INDEX} names {name!r}; allowed are .safetensors files of the folder itself.")
            if not self._has(name):
                raise FolderError(f"{uri} has no {name}; weights are read from safetensors only.")
        self._tensors: dict[str, tuple[str, int, dict[str, Any]]] | None = None

    def _has(self, name: str) -> bool:
        return bool(self.fs.isfile(f"{self.path}/{name}"))

    def _json(self, name: str) -> dict[str, Any]:
        try:
            value = json.loads(self.fs.cat_file(f"{self.path}/{name}"))
        except FileNotFoundError:
            raise FolderError(f"{self.uri} has no {name}; it is not a Hugging Face folder.") from None
        except ValueError as error:
            raise FolderError(f"{self.uri}/{name} is not readable as JSON: {error}.") from error
        if not isinstance(value, dict):
            raise FolderError(f"{self.uri}/{name} holds a {type(value).__name__}; it should be an object.")
        return value

    @property
    def files(self) -> list[str]:
        """The files that decide what the folder's model computes, by name."""
        optional = [name for name in (INDEX, TOKENIZER) if self._has(name)]
        return sorted([CONFIG, *self.weight_files, *optional])

    def digest(self) -> str:
        """SHA-256 over the lines ``{SHA-256 of the file}  {name}`` of ``files``, as ``sha256sum`` prints them."""
        lines = hashlib.sha256()
        for name in self.files:
            content = hashlib.sha256()
            with self.fs.open(f"{self.path}/{name}", "rb") as stream:
                while block := stream.read(_BLOCK):
                    content.update(block)
            lines.update(f"{content.hexdigest()}  {name}\n".encode())
        return lines.hexdigest()

    def vocabulary(self) -> dict[str, int] | None:
        """The ids of the folder's tokens; None where it has no ``tokenizer.json``."""
        if not self._has(TOKENIZER):
            return None
        return token_ids(self._json(TOKENIZER))

    @property
    def tensors(self) -> dict[str, tuple[str, int, dict[str, Any]]]:
        """By name: the file, where its data begin, and its entry in the header (dtype, shape, data_offsets)."""
        if self._tensors is None:
            self._tensors = {}
            for file in self.weight_files:
                start, header = self._header(file)
                self._tensors |= {n: (file, start, entry) for n, entry in header.items() if n != "__metadata__"}
        return self._tensors

    def _header(self, file: str) -> tuple[int, dict[str, Any]]:
        path = f"{self.path}/{file}"
        length = int.from_bytes(self.fs.cat_file(path, start=0, end=8), "little")
        size = self.fs.size(path)
        if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
            raise FolderError(f"{self.uri}/{file} is not a safetensors file: its header would have {length:,} bytes.")
        try:
            header = json.loads(self.fs.cat_file(path, start=8, end=8 + length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise FolderError(f"{self.uri}/{file} has a header that is not safetensors': {error!r}.") from error
        if max(ends, default=0) != size - 8 - length:
            raise FolderError(
                f"{self.uri}/{file} is cut off or has been added to: its header speaks of {max(ends, default=0):,} bytes of "
                f"data, there are {size - 8 - length:,}."
            )
        return 8 + length, header

    def read(self, name: str, shape: tuple[int, ...]) -> "torch.Tensor":
        """The tensor ``name``, in its own dtype. Raises FolderError where it is not there or its shape is another."""
        import torch

        if name not in self.tensors:
            raise FolderError(f"{self.uri} has no tensor {name!r}.")
        file, start, entry = self.tensors[name]
        if tuple(entry["shape"]) != shape:
            raise FolderError(f"{self.uri}: {name} has the shape {tuple(entry['shape'])}; the recipe's is {shape}.")
        if entry["dtype"] not in _TORCH_NAMES:
            raise FolderError(f"{self.uri}: {name} is {entry['dtype']}; allowed are {', '.join(_TORCH_NAMES)}.")
        first, last = entry["data_offsets"]
        content = bytearray(self.fs.cat_file(f"{self.path}/{file}", start=start + first, end=start + last))
        dtype: torch.dtype = getattr(torch, _TORCH_NAMES[entry["dtype"]])
        value = torch.frombuffer(content, dtype=dtype)
        if value.numel() != torch.Size(shape).numel():
            raise FolderError(f"{self.uri}: {name} has {value.numel():,} numbers, which are not the shape {shape}.")
        return value.reshape(shape)


def token_ids(tokenizer: dict[str, Any]) -> dict[str, int]:
    """The ids of all tokens in the content of a ``tokenizer.json``: those of the model, and the added ones."""
    vocabulary = tokenizer.get("model", {}).get("vocab", {})
    pairs = vocabulary.items() if isinstance(vocabulary, dict) else ((v[0], i) for i, v in enumerate(vocabulary))
    return dict(pairs) | {token["content"]: token["id"] for token in tokenizer.get("added_tokens", [])}
