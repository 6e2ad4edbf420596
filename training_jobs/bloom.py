"""BLOOM as it is trained: Hugging Face's parameter names, with attention and loss that keep no large matrix.

The logits are those of ``BloomForCausalLM`` up to rounding. The output head is the input embedding (tied), so there is
no ``lm_head.weight`` among the parameters. Architecture: Le Scao et al. 2022, section 3.2.
"""

from torch import Tensor, nn
from transformers.models.bloom.configuration_bloom import BloomConfig

from assets.recipe.architecture import Model
from training_jobs.attention import Alibi, alibi, causal_attention
from training_jobs.cross_entropy import loss_or_logits

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


class Attention(nn.Module):
    """BLOOM's attention. The number of heads follows from the width of the projection: a tensor parallel rank holds a part."""

    def __init__(self, config: BloomConfig) -> None:
        super().__init__()
        self.head_size = config.hidden_size // config.n_head
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor, alibi: Alibi) -> Tensor:
        batch, length, _width = hidden.shape
        fused = self.query_key_value(hidden).view(batch, length, -1, 3, self.head_size)
        query, key, value = (each.transpose(1, 2) for each in fused.unbind(3))
        attended = causal_attention(query, key, value, alibi)
        out: Tensor = self.dense(attended.transpose(1, 2).reshape(batch, length, -1))
        return out


class Mlp(nn.Module):
    """BLOOM's MLP, with the tanh approximation of GELU."""

    def __init__(self, config: BloomConfig) -> None:
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.hidden_size, 4 * config.hidden_size)
        self.activation = nn.GELU(approximate="tanh")
        self.dense_4h_to_h = nn.Linear(4 * config.hidden_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        out: Tensor = self.dense_4h_to_h(self.activation(self.dense_h_to_4h(hidden)))
        return out


class Block(nn.Module):
    """A layer: normalised before attention and MLP, each added to its input."""

    def __init__(self, config: BloomConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.self_attention = Attention(config)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.mlp = Mlp(config)

    def forward(self, hidden: Tensor, alibi: Alibi) -> Tensor:
        hidden = hidden + self.self_attention(self.input_layernorm(hidden), alibi)
        out: Tensor = hidden + self.mlp(self.post_attention_layernorm(hidden))
        return out


class Body(nn.Module):
    """Everything below the output head; a module of its own for the names of the parameters."""

    def __init__(self, config: BloomConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.word_embeddings_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.h = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.ln_f = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)


class Bloom(nn.Module):
    """A BLOOM language model for pretraining."""

    hugging_face = "BloomForCausalLM"

    def __init__(self, config: BloomConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = Body(config)

    @property
    def blocks(self) -> nn.ModuleList:
        """The layers, in order; each is called with the hidden states and ``Alibi``."""
        return self.transformer.h

    def forward(self, tokens: Tensor, labels: Tensor | None = None) -> Tensor:
        """Mean cross-entropy (nats per token) of ``labels`` given ``tokens``, both int64 [batch, length] and the labels
        already shifted; without labels the logits [batch, length, vocabulary]."""
        body = self.transformer
        hidden = body.word_embeddings_layernorm(body.word_embeddings(tokens))
        bias = alibi(self.config.n_head, tokens.shape[1], hidden.dtype, hidden.device)
        for block in body.h:
            hidden = block(hidden, bias)
        return loss_or_logits(body.ln_f(hidden), body.word_embeddings.weight, labels)
