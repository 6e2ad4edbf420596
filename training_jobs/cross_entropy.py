"""The output head with its loss, without the matrix of all logits."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

# A chunk of float32 logits: on CPU it stays in the cache, on GPU it is large enough to keep the matrix units busy.
CHUNK_BYTES = {"cpu": 16 << 20}
CHUNK_BYTES_GPU = 512 << 20


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


def loss_or_logits(hidden: Tensor, weight: Tensor, labels: Tensor | None) -> Tensor:
    """Mean cross-entropy (nats per token) of ``labels`` int64 [batch, length] given ``hidden`` [batch, length, h] under the
    output matrix ``weight`` [v, h]; without labels the logits [batch, length, v]."""
    if labels is None:
        return functional.linear(hidden, weight)
    rows = max(1, CHUNK_BYTES.get(hidden.device.type, CHUNK_BYTES_GPU) // (4 * weight.shape[0]))
    loss: Tensor = ChunkedCrossEntropy.apply(hidden.flatten(0, 1), weight, labels.flatten(), rows)
    return loss
