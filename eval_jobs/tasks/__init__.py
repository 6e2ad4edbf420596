"""The tasks, one module per kind in a recipe's ``tasks``: what lm-eval asks, and what is made of the answers.

Each module has
- ``VERSION``, raised when a change makes scores incomparable;
- ``KEYS``, what an item of its benchmark holds;
- ``definition(rows, task, settings)``, the configuration of lm-eval's task over the items;
- ``summarise(samples, run)``, standard errors and item-level results from what lm-eval logged;
- ``work(rows, task)``, roughly how long it takes, in characters that the model reads;
- and, where lm-eval's ``ConfigurableTask`` does not do, ``Task``, a class that does.
"""

from types import ModuleType

from eval_jobs.tasks import (
    bits_per_character,
    character_perplexity,
    continuation,
    few_shot_translation,
    finbench,
    harness,
    programming,
    translation,
)

KINDS: dict[str, ModuleType] = {
    "bits_per_character": bits_per_character,
    "translation": translation,
    "finbench": finbench,
    "harness": harness,
    "few_shot_translation": few_shot_translation,
    "character_perplexity": character_perplexity,
    "continuation": continuation,
    "programming": programming,
}
