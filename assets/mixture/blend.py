"""The arithmetic of the blend: from tokens and epochs to weights, shares and effective epochs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from assets.recipe.tokens import Mixture


class MixtureError(ValueError):
    """Sources cannot be mixed as the recipe asks. The message names the source, the numbers, and what to do."""


@dataclass(frozen=True)
class BlendedSource:
    """One source of a blend.

    ``tokens`` are available to train on; ``original_share`` is their share among all available tokens. ``sampled_tokens``
    is what the run trains on, ``weight`` their share among all sampled tokens; ``epochs`` how often the run passes over
    the source: sampled tokens / tokens.
    """

    source: str
    tokens: int
    original_share: float
    sampled_tokens: float
    weight: float
    epochs: float
    wanted_epochs: float | None


def blend(
    mixture: Mixture, tokens: Mapping[str, int], planned_tokens: int, sequence_length: int = 0
) -> list[BlendedSource]:
    """Blend the sources of ``mixture``, whose available tokens are ``tokens``, for a run of ``planned_tokens``.

    With epochs e_i over t_i tokens a source's weight is e_i t_i / sum_j e_j t_j. Poro 34B (figure 1): Finnish 32.3 B at 4
    epochs among 994.1 B sampled tokens is 13.0 %. Raises MixtureError where a source has fewer tokens than one sample,
    which is ``sequence_length`` tokens and the one that the last of them predicts.
    """
    for name in sorted(mixture.sources):
        if tokens[name] == 0:
            raise MixtureError(
                f"The source {name} has no tokens, so it cannot be part of the mixture. Leave it out of mixture.sources."
            )
        if tokens[name] <= sequence_length:
            raise MixtureError(
                f"The source {name} has {tokens[name]:,} tokens to train on; a sample needs {sequence_length + 1:,}. Leave "
                "it out of mixture.sources, join it with another source, or choose a shorter training.sequence_length."
            )
    wanted = {
        name: weight.weight if weight.weight is not None else (weight.epochs or 0) * tokens[name]
        for name, weight in mixture.sources.items()
    }
    total, available = sum(wanted.values()), sum(tokens[name] for name in mixture.sources)
    return [
        BlendedSource(
            source=name,
            tokens=tokens[name],
            original_share=tokens[name] / available,
            sampled_tokens=wanted[name] / total * planned_tokens,
            weight=wanted[name] / total,
            epochs=wanted[name] / total * planned_tokens / tokens[name],
            wanted_epochs=mixture.sources[name].epochs,
        )
        for name in sorted(mixture.sources)
    ]


def file_weights(weight: float, tokens: Sequence[int]) -> list[float]:
    """The weights of a source's files: the source's ``weight``, divided in proportion to their tokens."""
    total = sum(tokens)
    return [weight * count / total for count in tokens]
