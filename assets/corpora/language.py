"""Language identification, offline: py3langid over the languages that the recipes declare and their usual company.

py3langid 0.4 (Lui & Baldwin 2012, langid.py) carries its model in the package. It says "fi" of mojibake and noise with
certainty too, so other gates look for those.
"""

import copy
import functools
from collections.abc import Iterable
from typing import Any

# What the declared language is told from, besides itself; a closed set is both faster and surer.
COMPANY = ("fi", "en", "sv", "et", "de", "fr", "es", "ru", "da", "no", "nl", "it", "pl", "pt", "la", "hu", "lv", "lt")


@functools.cache
def _identifier(languages: tuple[str, ...]) -> Any:
    identifier = copy.copy(_model())  # the tables are shared
    identifier.set_languages(list(languages))
    return identifier


@functools.cache
def _model() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(map(str, _model().nb_classes))


def is_known(language: str) -> bool:
    """Whether a language can be identified at all; of one that cannot nothing is ever said, as of code."""
    return language in _known()


def identify(texts: Iterable[str], declared: str, characters: int = 1_000) -> list[tuple[str, float]]:
    """Language code and probability (0 to 1) of each text, judged by its first ``characters``.

    A declared language that is not known (``is_known``) is never found.
    """
    identifier = _identifier(tuple(sorted({*COMPANY, declared} & _known())))
    found = (identifier.classify(text[:characters]) for text in texts)
    return [(str(language), float(probability)) for language, probability in found]
