"""BLOOM as it is trained: Hugging Face's modules and parameter names, with faster attention, GELU and loss.

The logits are those of ``BloomForCausalLM`` up to rounding. The output head is the input embedding (tied), so there is
no ``lm_head.weight`` among the parameters. Architecture: Le Scao et al. 2022, section 3.2; ALiBi: Press et al. 2022.
"""

import functools
import hashlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers.models.bloom.configuration_bloom import BloomConfig
from transformers.models.bloom.modeling_bloom import BloomAttention, BloomModel, build_alibi_tensor

from assets.recipe.training import Model

BOS, EOS, PAD = 1, 2, 3


def bloom_config(model: Model, vocab_size: int) -> BloomConfig:
    """The Hugging Face configuration of ``model``."""
    return BloomConfig(
        vocab_size=vocab_size,
        hidden_size=model.hidden,
        n_layer=model.layers,
        n_head=model.heads,
        layer_norm_epsilon=model.layer_norm_epsilon,
        initializer_range=model.init_std,
        hidden_dropout=0.0,
        attention_dropout=0.0,
        tie_word_embeddings=True,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
        use_cache=False,
    )


@functools.lru_cache(maxsize=4)
def causal_alibi(heads: int, length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The attention bias [1, heads, length, length]: ALiBi up to the query's position, -inf after it."""
    alibi = build_alibi_tensor(torch.ones(1, length, device=device), heads, dtype).view(1, heads, 1, length)
    future = torch.full((length, length), float("-inf"), dtype=dtype, device=device).triu(1)
    return alibi + future


class SdpaAttention(BloomAttention):
    """BLOOM's attention by ``scaled_dot_product_attention``; ``alibi`` is the whole bias of ``causal_alibi``.

    The number of heads follows from the width of the projection, so that tensor parallel ranks hold a part of them.
    """

    def forward(  # type: ignore[override]
        self, hidden_states: Tensor, residual: Tensor, alibi: Tensor, **_: Any
    ) -> tuple[Tensor, None]:
        batch, length, _width = hidden_states.shape
        fused = self.query_key_value(hidden_states).view(batch, length, -1, 3, self.head_dim)
        query, key, value = (fused[..., i, :].transpose(1, 2) for i in range(3))
        context = functional.scaled_dot_product_attention(query, key, value, attn_mask=alibi)
        return self.dense(context.transpose(1, 2).reshape(batch, length, -1)) + residual, None


class ChunkedCrossEntropy(torch.autograd.Function):
    """Mean next-token cross-entropy of ``hidden`` [n, h] under the output matrix ``weight`` [v, h] and ``labels`` [n].

    The logits are made for ``rows`` positions at a time and the gradients in the same pass, so the n x v matrix never
    exists: on CPU a chunk stays in the cache, on GPU it saves the memory of the largest activation.
    """

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, labels: Tensor, rows: int) -> Tensor:
        n = labels.numel()
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros(weight.shape, dtype=torch.float32, device=weight.device)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for start in range(0, n, rows):
            part, target = hidden[start : start + rows], labels[start : start + rows, None]
            logits = (part @ weight.T).float()
            gradient = functional.softmax(logits, dim=-1)
            # log-sum-exp from the largest logit and its probability: one pass over the exponentials instead of two.
            log_normalizer = logits.amax(dim=-1) - gradient.amax(dim=-1).log()
            total += log_normalizer.sum() - logits.gather(1, target).sum()
            gradient.scatter_add_(1, target, torch.full_like(target, -1, dtype=gradient.dtype))
            gradient = gradient.to(weight.dtype)
            torch.mm(gradient, weight, out=grad_hidden[start : start + rows])
            if weight.dtype == torch.float32:
                grad_weight.addmm_(gradient.T, part)
            else:
                grad_weight += gradient.T @ part
        ctx.save_for_backward(grad_hidden, grad_weight)
        ctx.count = n
        return total / n

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        scale = gradients[0] / ctx.count
        return grad_hidden.mul_(scale), grad_weight.mul_(scale).to(grad_hidden.dtype), None, None


class Bloom(nn.Module):
    """A BLOOM language model for pretraining. ``forward`` is the one way in, as FSDP's hooks need it."""

    def __init__(self, config: BloomConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = BloomModel(config)
        for index, block in enumerate(self.transformer.h):
            block.self_attention = SdpaAttention(config, index)
            block.get_submodule("mlp").gelu_impl = nn.GELU(approximate="tanh")

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Mean cross-entropy (nats per token) of ``labels`` given ``tokens``, both int64 [batch, length] and the labels
        already shifted; without labels the logits [batch, length, vocabulary]."""
        body, config = self.transformer, self.config
        hidden = body.word_embeddings_layernorm(body.word_embeddings(tokens))
        bias = causal_alibi(config.n_head, tokens.shape[1], hidden.dtype, hidden.device)
        for block in body.h:
            hidden, _ = block(hidden, alibi=bias, attention_mask=None)
        hidden = body.ln_f(hidden)
        weight = body.word_embeddings.weight
        if labels is None:
            return functional.linear(hidden, weight)
        budget = 16 << 20 if hidden.device.type == "cpu" else 512 << 20
        rows = max(1, budget // (4 * weight.shape[0]))
        loss: Tensor = ChunkedCrossEntropy.apply(hidden.flatten(0, 1), weight, labels.flatten(), rows)
        return loss


def initial_value(name: str, parameter: Tensor, std: float, seed: int) -> Tensor:
    """The float32 starting value of a parameter, as in Hugging Face's BLOOM: normal weights, zero biases, unit norms.

    Each parameter has a random stream of its own, from ``seed`` and its name: neither the number of ranks nor the
    order in which parameters are made changes it. ``parameter`` gives the shape and may lie on the meta device.
    """
    if parameter.ndim > 1:
        stream = int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:8], "little") >> 1
        generator = torch.Generator().manual_seed(stream)
        return torch.empty(parameter.shape, dtype=torch.float32).normal_(0.0, std, generator=generator)
    is_norm_weight = name.endswith("weight")
    return torch.full(parameter.shape, 1.0 if is_norm_weight else 0.0, dtype=torch.float32)
