"""Language identification, offline: py3langid over the languages that the recipes declare and their usual company.

py3langid 0.4 (Lui & Baldwin 2012, langid.py) carries its model in the package. It says "fi" of mojibake and noise with
certainty too, so other gates look for those.
"""

import functools
from collections.abc import Iterable
from typing import Any

# What Finnish web text is mixed with or mistaken for; a closed set is both faster and surer.
COMPANY = ("fi", "en", "sv", "et", "de", "fr", "es", "ru", "da", "no", "nl", "it", "pl", "pt", "la", "hu", "lv", "lt")


@functools.cache
def _identifier(languages: tuple[str, ...]) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(list(languages))
    return identifier


def identify(texts: Iterable[str], declared: str, characters: int = 1_000) -> list[tuple[str, float]]:
    """Language code and probability (0 to 1) of each text, judged by its first ``characters``."""
    identifier = _identifier(tuple(sorted({*COMPANY, declared})))
    found = (identifier.classify(text[:characters]) for text in texts)
    return [(str(language), float(probability)) for language, probability in found]
