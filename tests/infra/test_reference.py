"""docs/recipes.md: made from the types, current, and with every key of every type."""

import re

import pytest

from infra.reference import PAGE, ROOTS, configs, page

TYPES = {name: cls for _, root in ROOTS for name, cls in configs(root).items()}


def test_the_committed_page_is_what_the_types_say():
    assert PAGE.read_text("utf-8") == page(), "docs/recipes.md is not current: `make reference` writes it anew."


@pytest.mark.parametrize("name", TYPES)
def test_every_key_says_what_it_means(name):
    silent = [key for key, field in TYPES[name].model_fields.items() if key != "kind" and not field.description]
    assert not silent, f"{name}: give {', '.join(silent)} a Field(description=...)"


def test_every_key_has_a_row_with_type_and_default():
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", page(), re.MULTILINE)
    keys = [key for cls in TYPES.values() for key in cls.model_fields if key != "kind"]
    assert sorted(key for key, _, _ in rows) == sorted(keys)
    assert all(kind.strip() and default.strip() for _, kind, default in rows)


def test_types_of_every_file_are_there():
    assert {"Recipe", "Source", "Harness", "Programming", "Protected", "Suite", "Study", "Arm"} < set(TYPES)
    assert {"ProfileFile", "SlurmOptions", "KubernetesOptions", "DockerOptions", "LocalOptions", "Operations"} < set(
        TYPES
    )


@pytest.mark.parametrize(
    "row",
    [
        "| `vocab_size` | whole number | **required** | ≥ 300, ≤ 262,144 | ids in all: 24 special tokens, 256 bytes, merges |",
        "| `files` | text or list of text | **required** | at least 1 entry |",
        '| `precision` | text | `"fp32"` | `fp32`, `bf16` |',
        "| `filters` | list of [kenlm](#kind-kenlm) or [fasttext](#kind-fasttext) | `[]` |",
        "| `sources` | mapping of language to list of name | **required** |",
        "| `bounds` | [SourceBounds](#sourcebounds) | its defaults |",
        "| `port` | whole number | `20000` | ≥ 1,024, ≤ 59,999 |",
        "`digits` (at_most 0.2)",
    ],
)
def test_a_row_says_what_the_type_says(row):
    assert row in page()
