"""Configuration of the model: its architecture, its size, and the weights that training starts from."""

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, StringConstraints, model_validator

from assets.recipe.base import Config, Count, Name, Positive

Architecture = Literal["bloom", "llama"]
Preset = Literal[
    "fingpt-small",
    "fingpt-medium",
    "fingpt-large",
    "fingpt-xl",
    "fingpt-3b",
    "fingpt-8b",
    "fingpt-13b",
    "bluumi",
    "poro-34b",
    "viking-7b",
    "viking-13b",
    "viking-33b",
]


def _bloom(layers: int, hidden: int, heads: int) -> dict[str, Any]:
    return {"architecture": "bloom", "layers": layers, "hidden": hidden, "heads": heads}


def _llama(layers: int, hidden: int, heads: int, feed_forward: int, kv_heads: int | None = None) -> dict[str, Any]:
    sizes = {"layers": layers, "hidden": hidden, "heads": heads, "feed_forward": feed_forward}
    return {"architecture": "llama", **sizes} | ({"kv_heads": kv_heads} if kv_heads else {})


PRESETS: dict[Preset, dict[str, Any]] = {
    # Luukkonen et al. 2023 (FinGPT), table 4; BLUUMI has the size of BLOOM 176B.
    "fingpt-small": _bloom(12, 768, 12),
    "fingpt-medium": _bloom(24, 1024, 16),
    "fingpt-large": _bloom(24, 1536, 16),
    "fingpt-xl": _bloom(24, 2064, 24),
    "fingpt-3b": _bloom(32, 2560, 32),
    "fingpt-8b": _bloom(32, 4096, 32),
    "fingpt-13b": _bloom(40, 5120, 40),
    "bluumi": _bloom(70, 14336, 112),
    # Luukkonen et al. 2024 (Poro 34B), table 5.
    "poro-34b": _bloom(54, 7168, 56),
    # The launch scripts of Viking (LumiOpen/Megatron-DeepSpeed). They say that 33B has grouped-query attention; 8 groups
    # give the 33.1 B parameters of its name.
    "viking-7b": _llama(32, 4096, 32, 11008),
    "viking-13b": _llama(40, 5120, 40, 13824),
    "viking-33b": _llama(56, 7168, 56, 20480, kv_heads=8),
}
"""Named sizes. A preset stands for these fields, so a recipe names it instead of them."""

_LLAMA_ONLY = ("feed_forward", "kv_heads", "rope_theta", "tied_embeddings")


class StartFrom(Config):
    """The weights that training starts from: a checkpoint of the lake, or any Hugging Face folder.

    Only the weights are taken: optimizer, schedule and data start anew.
    """

    recipe: Name | None = Field(None, description="a checkpoint of this recipe ...")
    step: Count | None = Field(None, description="... at this step")
    folder: str | None = Field(
        None,
        description="fsspec URI of a folder with config.json and safetensors; a relative path starts at the project",
    )
    digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = Field(
        None, description="of the folder: `tokka recipes digest FOLDER` prints it"
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> "StartFrom":
        lake = (self.recipe is not None, self.step is not None)
        folder = (self.folder is not None, self.digest is not None)
        if (lake, folder) not in (((True, True), (False, False)), ((False, False), (True, True))):
            raise ValueError("give recipe and step for a checkpoint of the lake, or folder and digest for a folder")
        return self


class Model(Config):
    """A decoder-only language model.

    ``bloom``: ALiBi, LayerNorm after the embedding, GELU, an MLP of 4 x hidden, biases, tied embeddings (Le Scao et al. 2022).
    ``llama``: RoPE, RMSNorm, SwiGLU of width ``feed_forward``, grouped-query attention, no biases (Touvron et al. 2023).
    """

    preset: Preset | None = Field(
        None, exclude=True, description="a named size; the keys that it stands for may be left out"
    )
    architecture: Architecture = Field("bloom", description="family of the model")
    layers: Positive = Field(description="blocks")
    hidden: Positive = Field(description="numbers of a token between blocks")
    heads: Positive = Field(description="attention heads")
    feed_forward: Positive | None = Field(None, description="llama: width of the MLP")
    kv_heads: Positive | None = Field(None, description="llama: heads of keys and values; as many as heads by default")
    rope_theta: float | None = Field(None, gt=0, description="llama: base of the rotations; 10,000 by default")
    tied_embeddings: bool | None = Field(None, description="llama: the output head is the embedding; false by default")
    init_std: float = Field(0.02, gt=0, description="standard deviation of the first weights")
    scaled_init: bool = Field(
        False,
        description="matrices that write into the residual stream start smaller, by sqrt(2 x layers) "
        "(Radford et al. 2019; Megatron-LM)",
    )
    layer_norm_epsilon: float = Field(1e-5, gt=0, description="of LayerNorm or RMSNorm")
    start_from: StartFrom | None = Field(None, description="weights that training starts from, instead of drawn ones")

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, value: Any) -> Any:
        preset = value.get("preset") if isinstance(value, dict) else None
        if preset is None:
            return value
        if not isinstance(preset, str) or preset not in PRESETS:
            raise ValueError(f"preset is {preset!r}; the presets are: {', '.join(get_args(Preset))}")
        for name, size in PRESETS[preset].items():
            if value.get(name, size) != size:
                raise ValueError(
                    f"the preset {preset} has {name} = {size}, but {name} is {value[name]} here; "
                    f"leave {name} out, or say all sizes without a preset"
                )
        return {**value, **PRESETS[preset]}

    @model_validator(mode="after")
    def _consistent(self) -> "Model":
        if self.hidden % self.heads:
            raise ValueError(f"hidden ({self.hidden}) must be a multiple of heads ({self.heads})")
        if self.architecture == "bloom":
            given = [name for name in _LLAMA_ONLY if getattr(self, name) is not None]
            if given:
                raise ValueError(
                    f"{given[0]} belongs to the architecture llama; bloom has an MLP of 4 x hidden, as many heads of keys "
                    "as of queries, ALiBi and tied embeddings"
                )
            return self
        if self.feed_forward is None:
            usual = -(-8 * self.hidden // (3 * 256)) * 256
            raise ValueError(
                f"feed_forward is missing; Llama's is 8/3 x hidden, rounded up to a multiple of 256: {usual}"
            )
        if self.heads % self.key_value_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if self.head_size % 2:
            raise ValueError(f"hidden / heads is {self.head_size}; RoPE rotates pairs, so it must be even")
        return self

    @property
    def head_size(self) -> int:
        """Numbers per head."""
        return self.hidden // self.heads

    @property
    def key_value_heads(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    @property
    def mlp_width(self) -> int:
        """Numbers between the matrices of an MLP."""
        return self.feed_forward or 4 * self.hidden

    @property
    def mlp_matrices(self) -> int:
        """Matrices of hidden x ``mlp_width`` in an MLP: SwiGLU has one for the gate beside those up and down."""
        return 3 if self.architecture == "llama" else 2

    @property
    def rope_base(self) -> float:
        """The base of RoPE's frequencies."""
        return self.rope_theta or 10_000.0

    @property
    def tied(self) -> bool:
        """Whether the output head is the embedding."""
        return True if self.architecture == "bloom" else bool(self.tied_embeddings)

    def block_parameters(self) -> int:
        """Parameters of one layer. BLOOM: 12 h^2 + 13 h; Llama: 2 h^2 + 2 h k + 3 h f + 2 h with k = kv_heads x head size."""
        h = self.hidden
        if self.architecture == "bloom":
            return 12 * h**2 + 13 * h
        return 2 * h**2 + 2 * h * self.key_value_heads * self.head_size + 3 * h * self.mlp_width + 2 * h

    def parameters(self, vocab_size: int) -> int:
        """Number of parameters, tied ones once.

        BLOOM: V h + L (12 h^2 + 13 h) + 4 h, which is 34.217 B for Poro 34B with V = 128,000. Llama: V h, twice where the
        embeddings are not tied, + L layers + h.
        """
        embeddings = vocab_size * self.hidden * (1 if self.tied else 2)
        norms = self.hidden * (4 if self.architecture == "bloom" else 1)
        return embeddings + self.layers * self.block_parameters() + norms
