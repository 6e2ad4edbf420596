"""The neural network of a Hugging Face checkpoint, and the ways it is read: in packs, in padded batches, step by step.

A pack is one row of tokens that form a tree: a token sees its ancestors and nothing else, so that texts which begin alike
share the reading of what is alike, and none is padded. That needs masks and positions of our own, which the architectures
``PACKED`` take; others are read in padded batches.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, DynamicCache

from eval_jobs import bloom

PACKED = ("bloom", "gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3")
# Logits of this many positions are made at a time: [512, vocabulary] does not fit a CPU's caches.
LOGITS_AT_ONCE = 128

Cache = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of each layer, [batch, heads, tokens, head size]; read, never written."""


def layers_of(cache: Any) -> Cache:
    """Keys and values of a ``DynamicCache``."""
    return [(layer.keys, layer.values) for layer in cache.layers]


class Network:
    """The network in ``folder`` on ``device``: in float32 on a CPU, on a GPU in the checkpoint's own data type."""

    def __init__(self, folder: Path, device: torch.device, max_length: int) -> None:
        load: Callable[..., Any] = AutoModelForCausalLM.from_pretrained
        self.device = device
        self.model = load(
            str(folder),
            dtype=torch.float32 if device.type == "cpu" else "auto",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
        )
        self.model.to(device).eval()
        self.config = self.model.config
        self.is_bloom = self.config.model_type == "bloom"
        if self.is_bloom:
            bloom.use_fused_kernels(self.model)
        # Beyond its window a model with one does not see all that a pack's mask lets it see.
        window = getattr(self.config, "sliding_window", None)
        self.packs = self.config.model_type in PACKED and (window is None or window >= max_length)
        self.body = self.model.base_model
        self.head = self.model.get_output_embeddings()
        self._accepts = set(inspect.signature(self.model.forward).parameters)

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.model.dtype
        return dtype

    @property
    def cache_bytes_per_token(self) -> int:
        """Bytes that the keys and values of one token take, for architectures that share none of them between layers."""
        config = self.config
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        kept = getattr(config, "num_key_value_heads", None) or heads
        return int(2 * config.num_hidden_layers * kept * size * self.dtype.itemsize)

    def read_pack(
        self,
        ids: torch.Tensor,
        depths: torch.Tensor,
        sees: torch.Tensor,
        before: Cache | None = None,
        keep: bool = False,
    ) -> tuple[torch.Tensor, Cache]:
        """Hidden states [tokens, hidden] of one pack, and with ``keep`` its keys and values with those of ``before``.

        ``ids`` int64 [tokens]; ``depths`` int64 [tokens], each token's position in its own text; ``sees`` bool
        [tokens, tokens]. Every token also sees all tokens of ``before``, whose positions come first.
        """
        start = before[0][0].shape[2] if before else 0
        cache = DynamicCache(before) if before or keep else None
        mask = torch.zeros(len(ids), start + len(ids), dtype=self.dtype, device=self.device)
        mask[:, start:].masked_fill_(~sees.to(self.device), torch.finfo(self.dtype).min)
        ids, depths = ids.to(self.device)[None], depths.to(self.device)
        if self.is_bloom:
            keys = torch.cat([torch.arange(start, device=self.device), depths])
            hidden = bloom.read(self.body, ids, keys, mask, cache)
        else:
            hidden = self.body(
                input_ids=ids,
                position_ids=depths[None],
                attention_mask=mask[None, None],
                past_key_values=cache,
                use_cache=cache is not None,
            ).last_hidden_state
        return hidden[0], layers_of(cache) if keep and cache is not None else []

    def read_batch(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits float32 [rows, tokens, vocabulary] of rows that are padded on the right."""
        logits: torch.Tensor = self.model(input_ids=ids.to(self.device), use_cache=False).logits
        return logits.float()

    def read_last(self, ids: torch.Tensor, mask: torch.Tensor, cache: DynamicCache) -> torch.Tensor:
        """Logits float32 [rows, vocabulary] after the last of ``ids`` [rows, tokens]; ``cache`` grows by them.

        ``mask`` int64 [rows, tokens of the cache and of ids], 0 where there is padding.
        """
        arguments: dict[str, Any] = {
            "past_key_values": cache,
            "use_cache": True,
            "attention_mask": mask.to(self.device),
        }
        if "position_ids" in self._accepts:
            positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
            arguments["position_ids"] = positions.to(self.device)
        if "logits_to_keep" in self._accepts:
            arguments["logits_to_keep"] = 1
        logits: torch.Tensor = self.model(input_ids=ids.to(self.device), **arguments).logits[:, -1]
        return logits.float()

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits float32 [tokens, vocabulary] of hidden states [tokens, hidden]; for architectures in ``PACKED`` only."""
        logits: torch.Tensor = self.head(hidden)
        return logits.float()
