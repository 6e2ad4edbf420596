"""Llama as it is trained: Hugging Face's parameter names, with attention and loss that keep no large matrix.

The logits are those of ``LlamaForCausalLM`` up to rounding. Architecture: Touvron et al. 2023 (LLaMA), section 2.2; grouped
queries: Ainslie et al. 2023.
"""

from torch import Tensor, nn
from torch.nn import functional
from transformers.models.llama.configuration_llama import LlamaConfig

from assets.recipe.architecture import Model
from training_jobs.attention import causal_attention, rotate, rotations
from training_jobs.bloom import BOS, EOS, PAD
from training_jobs.cross_entropy import loss_or_logits


def llama_config(model: Model, vocab_size: int, sequence_length: int) -> LlamaConfig:
    """The Hugging Face configuration of ``model``; it is trained on positions up to ``sequence_length``."""
    return LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=model.hidden,
        intermediate_size=model.mlp_width,
        num_hidden_layers=model.layers,
        num_attention_heads=model.heads,
        num_key_value_heads=model.key_value_heads,
        max_position_embeddings=sequence_length,
        rms_norm_eps=model.layer_norm_epsilon,
        rope_parameters={"rope_type": "default", "rope_theta": model.rope_base},
        initializer_range=model.init_std,
        tie_word_embeddings=model.tied,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=PAD,
        use_cache=False,
    )


def _linear(inputs: int, outputs: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, bias=False)


class Attention(nn.Module):
    """Llama's attention. The numbers of heads follow from the widths of the projections, as a tensor parallel rank has them."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.head_size = config.hidden_size // config.num_attention_heads
        keys = (config.num_key_value_heads or config.num_attention_heads) * self.head_size
        self.q_proj = _linear(config.hidden_size, config.hidden_size)
        self.k_proj = _linear(config.hidden_size, keys)
        self.v_proj = _linear(config.hidden_size, keys)
        self.o_proj = _linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        batch, length, _width = hidden.shape
        query, key, value = (
            projection(hidden).view(batch, length, -1, self.head_size).transpose(1, 2)
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        attended = causal_attention(rotate(query, cosine, sine), rotate(key, cosine, sine), value)
        out: Tensor = self.o_proj(attended.transpose(1, 2).reshape(batch, length, -1))
        return out


class Mlp(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_proj = _linear(config.hidden_size, config.intermediate_size)
        self.up_proj = _linear(config.hidden_size, config.intermediate_size)
        self.down_proj = _linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(hidden)) * self.up_proj(hidden))
        return out


class Block(nn.Module):
    """A layer: normalised before attention and MLP, each added to its input."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.mlp = Mlp(config)

    def forward(self, hidden: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        hidden = hidden + self.self_attn(self.input_layernorm(hidden), cosine, sine)
        out: Tensor = hidden + self.mlp(self.post_attention_layernorm(hidden))
        return out


class Body(nn.Module):
    """Everything below the output head; a module of its own for the names of the parameters."""

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)


class Llama(nn.Module):
    """A Llama language model for pretraining. Where the embeddings are tied there is no ``lm_head.weight``."""

    hugging_face = "LlamaForCausalLM"

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Body(config)
        if not config.tie_word_embeddings:
            self.lm_head = _linear(config.hidden_size, config.vocab_size)

    @property
    def blocks(self) -> nn.ModuleList:
        """The layers, in order; each is called with the hidden states and the cosines and sines of RoPE."""
        return self.model.layers

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Mean cross-entropy (nats per token) of ``labels`` given ``tokens``, both int64 [batch, length] and the labels
        already shifted; without labels the logits [batch, length, vocabulary]."""
        body, config = self.model, self.config
        hidden = body.embed_tokens(tokens)
        size = config.hidden_size // config.num_attention_heads
        base = (config.rope_parameters or {})["rope_theta"]
        cosine, sine = rotations(tokens.shape[1], size, base, hidden.device)
        for block in body.layers:
            hidden = block(hidden, cosine, sine)
        head = body.embed_tokens if config.tie_word_embeddings else self.lm_head
        return loss_or_logits(body.norm(hidden), head.weight, labels)
