"""Random checkpoints of other architectures in the Hugging Face layout."""

from pathlib import Path
from typing import Any


def write_random(folder: Path, tokenizer: Any, kind: str, **more: Any) -> None:
    """A random model of the type ``kind`` with two layers. Weights are spread enough that predictions differ clearly."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(7)
    config = AutoConfig.for_model(
        kind,
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        initializer_range=0.2,
        bos_token_id=2,
        eos_token_id=2,
        pad_token_id=3,
        **more,
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
