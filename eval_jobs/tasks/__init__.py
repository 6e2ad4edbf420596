"""The tasks, one module per kind in a recipe's ``tasks``: what lm-eval asks, and what is made of the answers.

Each module has
- ``VERSION``, raised when a change makes scores incomparable;
- ``KEYS``, what an item of its benchmark holds;
- ``definition(rows, task, job)``, the configuration of lm-eval's task over the items;
- ``summarise(samples, run)``, standard errors and item-level results from what lm-eval logged;
- ``work(rows, task)``, roughly how long it takes, in characters that the model reads.
"""

from types import ModuleType

from eval_jobs.tasks import bits_per_character, finbench, translation

KINDS: dict[str, ModuleType] = {
    "bits_per_character": bits_per_character,
    "translation": translation,
    "finbench": finbench,
}
