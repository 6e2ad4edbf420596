"""How a tokenizer's report is shown: tables and plots, its fertility beside that of published tokenizers."""

from textwrap import fill
from typing import Any

from assets.plots import bars, panels
from assets.stage import Plot, Shown, Table

PUBLISHED = {
    "Poro 34B": {"fi": 1.38, "en": 1.06, "code": 1.00},
    "Llama 33B": {"fi": 3.14, "en": 1.26, "code": 1.35},
    "MPT 30B": {"fi": 2.85, "en": 1.08, "code": 1.18},
    "Falcon 40B": {"fi": 2.95, "en": 1.09, "code": 1.26},
    "FinGPT": {"fi": 1.23, "en": 1.49, "code": 1.89},
    "StarCoder": {"fi": 3.19, "en": 1.29, "code": 1.15},
}
"""Tokens per word (Luukkonen et al. 2024, figure 2; the values stand in plot_fertility.py of LumiOpen/evals)."""
PUBLISHED_ON = {"fi": "Flores-101 devtest", "en": "Flores-101 devtest", "code": "lines of Starcoder"}
HELD_OUT = "held-out documents"


def shown(name: str, report: dict[str, Any]) -> dict[str, Shown]:
    """What people see of the tokenizer ``name``."""
    fertility = by_text(report)
    vocabulary = report["vocabulary"]
    size, unused = vocabulary["size"], vocabulary["unused"]
    scripts = sorted(vocabulary["scripts"].items(), key=lambda item: (-item[1], item[0]))
    shares = {f"{script}, {count / size:.1%}": count for script, count in scripts}
    beside, by_script = f"Fertility of {name} beside published tokenizers", f"{size:,} ids by script"
    measures = [(lang, HELD_OUT, row) for lang, row in report["languages"].items()]
    measures += [(lang, row["task"], row) for lang, row in report["benchmarks"].items()]
    return {
        "fertility": Plot(panels(_beside_published(name, fertility), [name], "tokens per word", beside), beside),
        "fertility beside published tokenizers": Table(_compared(name, fertility)),
        "measures": Table([_measures(*each) for each in measures]),
        "vocabulary by script": Plot(bars(shares, "ids", by_script), by_script),
        "longest tokens": Table(_tokens(vocabulary["longest"])),
        "longest tokens without letters": Table(_tokens(vocabulary["longest_without_letters"])),
        "unused tokens": Table([_unused(unused)]),
        "unused tokens, the first merged": Table(_tokens(unused["examples"])),
        **{f"fertility_{language}": row["fertility"] for language, row in report["languages"].items()},
    }


def by_text(report: dict[str, Any]) -> dict[str, tuple[str, float]]:
    """By language the text that fertility is compared on, a benchmark's where there is one, and the fertility."""
    own = {language: (HELD_OUT, row["fertility"]) for language, row in report["languages"].items()}
    return own | {language: (row["task"], row["fertility"]) for language, row in report["benchmarks"].items()}


def _beside_published(name: str, fertility: dict[str, tuple[str, float]]) -> dict[str, dict[str, float]]:
    """A panel for each language: its title says on which texts the values were measured."""
    rows = {}
    for language in _ordered(fertility):
        text, value = fertility[language]
        others = {other: values[language] for other, values in PUBLISHED.items() if language in values}
        on = (
            [f"{language}: measured on {text},", f"the others on {PUBLISHED_ON[language]}"]
            if others
            else [f"{language}: {text}"]
        )
        rows["\n".join(fill(line, 40) for line in on)] = {**others, name: value}
    return rows


def _compared(name: str, fertility: dict[str, tuple[str, float]]) -> list[dict[str, str | float]]:
    """A row for each tokenizer, the mean over Finnish, English and code as in the paper, and what was measured on."""
    languages = _ordered(fertility)
    own = {language: value for language, (_, value) in fertility.items()}
    texts = "; ".join(f"{language}: {fertility[language][0]}" for language in languages)
    published = "; ".join(f"{language}: {text}" for language, text in PUBLISHED_ON.items())
    rows = [_row(name, own, languages, texts)]
    return rows + [_row(other, values, languages, published) for other, values in PUBLISHED.items()]


def _row(name: str, values: dict[str, float], languages: list[str], texts: str) -> dict[str, str | float]:
    known = [values[language] for language in PUBLISHED_ON if language in values]
    mean = _rounded(sum(known) / len(known) if len(known) == len(PUBLISHED_ON) else None)
    by_language = {language: _rounded(values.get(language)) for language in languages}
    return {"tokenizer": name, **by_language, "mean of fi, en, code": mean, "measured on": texts}


def _rounded(value: float | None) -> str | float:
    return "" if value is None else round(value, 4)


def _ordered(languages: dict[str, Any]) -> list[str]:
    """The languages of the paper in its order, then the others."""
    return [*(lang for lang in PUBLISHED_ON if lang in languages), *sorted(set(languages) - set(PUBLISHED_ON))]


def _measures(language: str, text: str, row: dict[str, Any]) -> dict[str, str | int | float]:
    return {
        "language": language,
        "text": text,
        "tokens per word": round(row["fertility"], 4),
        "bytes per token": round(row["bytes_per_token"], 4),
        "words": row["words"],
        "texts": row["texts"],
        "round trips": row["round_trips"],
    }


def _tokens(rows: list[dict[str, Any]]) -> list[dict[str, str | int | float]]:
    return [
        {"token": row["token"], "id": row["id"]} | ({"bytes": row["bytes"]} if "bytes" in row else {}) for row in rows
    ]


def _unused(unused: dict[str, Any]) -> dict[str, str | int | float]:
    return {
        "unused tokens": unused["tokens"],
        "share of the vocabulary": unused["share"],
        "looked for in, bytes of the training sample": unused["sample_bytes"],
        "which are, tokens": unused["sample_tokens"],
    }
