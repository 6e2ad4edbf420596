"""Steps that a model file decides: KenLM's perplexity of lines, and a classifier of fastText.

A source names them in ``filters``; they run after the steps of its profile. The libraries are optional extras. A model is
known by the digest of its file, wherever it lies, and loaded once in a process.
"""

import math
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from assets.cleaning.steps import Edit, Edited, Step, Test
from assets.cleaning.texts import Documents, Texts
from assets.corpora.files import find_files
from assets.recipe.base import Config, Share
from assets.recipe.data import Classifier, LineModel
from assets.recipe.load import RecipeError

if TYPE_CHECKING:
    import numpy as np

EXTRAS = {"kenlm": "kenlm", "fasttext": "fasttext"}
"""The extra of this project that brings a module."""
_SAID = 300


class ModelFile(Config):
    """A model by the digest of its file and the library that reads it; where it lies decides nothing."""

    identity: str
    library: str
    uri: str = Field(exclude=True)


def model_steps(filters: Iterable[LineModel | Classifier], where: str) -> list[Step]:
    """The steps of a source's filters. ``where`` names the place in the recipe for errors.

    Raises RecipeError where a file or a library is missing.
    """
    steps: list[Step] = []
    for number, declared in enumerate(filters):
        model = ModelFile(
            identity=_file(declared.model, f"{where}[{number}].model"),
            library=_library(declared.kind, f"{where}[{number}]"),
            uri=declared.model,
        )
        if isinstance(declared, LineModel):
            steps.append(LinePerplexity(name=f"{declared.name}_lines", model=model, below=declared.max_perplexity))
            if declared.min_remaining:
                steps.append(Remaining(name=declared.name, at_least=declared.min_remaining))
        else:
            steps.append(
                Labelled(name=declared.name, model=model, labels=declared.labels, threshold=declared.threshold)
            )
    return steps


def _file(uri: str, where: str) -> str:
    """The identity of a model's file."""
    files = find_files((uri,), where)
    if len(files) != 1:
        raise RecipeError(f"{where}: {uri!r} names {len(files)} files; a model is one file.")
    return files[0].identity


@lru_cache
def _distribution(module: str) -> str | None:
    """The installed distribution that has a module, with its version; None where there is none."""
    from importlib.metadata import packages_distributions, version

    found = sorted(packages_distributions().get(module, []))
    return f"{found[0]} {version(found[0])}" if found else None


def _library(module: str, where: str) -> str:
    library = _distribution(module)
    if library is None:
        raise RecipeError(
            f"{where}: the Python module {module!r} is not installed; install it with pip install 'tokka[{EXTRAS[module]}]'."
        )
    return library


@lru_cache(maxsize=4)
def _local(uri: str, identity: str) -> str:
    """A local file with a model's bytes; what lies elsewhere is fetched once into this machine's folder for such files."""
    import fsspec

    from assets.recipe.load import expand

    fs, path = fsspec.core.url_to_fs(expand(uri))
    if "file" in (fs.protocol if isinstance(fs.protocol, tuple | list) else (fs.protocol,)):
        return str(path)
    folder = Path(tempfile.gettempdir()) / f"tokka-models-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / identity.rpartition(":")[2]
    if not target.is_file():
        # Several workers may fetch at a time; each into a file of its own, of which one becomes the model.
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as stream:
            fs.get_file(path, stream.name)
        Path(stream.name).replace(target)
    return str(target)


def _shortened(error: Exception) -> str:
    """What a library says, without most of the file's content that it puts into it; KenLM's may be no UTF-8."""
    what = bytes(error.object).decode("utf-8", "replace") if isinstance(error, UnicodeDecodeError) else str(error)
    said = "".join(character for character in " ".join(what.split()) if character.isprintable())
    return said if len(said) <= _SAID else f"{said[:_SAID]}..."


# KenLM


@lru_cache(maxsize=2)
def language_model(uri: str, identity: str) -> Any:
    import kenlm

    config = kenlm.Config()
    config.show_progress = False
    config.arpa_complain = kenlm.ARPALoadComplain.NONE
    try:
        return kenlm.Model(_local(uri, identity), config)
    except (OSError, RuntimeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{uri}: KenLM cannot read this model: {_shortened(error)}") from None


class _Spaced(dict[int, str | None]):
    """What becomes of a character in BERT's basic tokens: space around punctuation and Chinese, no controls.

    The classes are those of google-research/bert, tokenization.py.
    """

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        category = unicodedata.category(character)
        signs = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
        chinese = 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0x20000 <= code <= 0x2CEAF
        chinese = chinese or 0xF900 <= code <= 0xFAFF or 0x2F800 <= code <= 0x2FA1F
        found: str | None = character
        if category.startswith("P") or signs or chinese:
            found = f" {character} "
        elif code in (0, 0xFFFD) or (category in ("Cc", "Cf") and character not in "\t\n\r"):
            found = None
        self[code] = found
        return found


_SPACED = _Spaced()
_BLANK_ENDS = re.compile(r"\A(?:[^\S\n]*\n)+|(?:\n[^\S\n]*)+\Z")


def basic_tokens(line: str) -> list[str]:
    """BERT's basic tokens of a line: words, and each punctuation mark by itself. Letters stay as they are."""
    return line.translate(_SPACED).split()


def log_perplexity(model: Any, line: str) -> float:
    """Base-10 logarithm of a line's perplexity: -log10 p(line) per word, the end of the line one of them.

    Punctuation marks are scored and not counted (kenlm_line_filter.py of TurkuNLP/finngen-tools).
    """
    tokens = basic_tokens(line)
    words = sum(not _is_punctuation(token) for token in tokens)
    return float(-model.score(" ".join(tokens)) / (words + 1))


def _is_punctuation(token: str) -> bool:
    return len(token) == 1 and unicodedata.category(token).startswith("P")


class LinePerplexity(Edit):
    """Lines are cut whose perplexity in a KenLM model is not below a bound; blank lines stay (FinGPT, section 3).

    Where a line is cut, blank lines around the text go, and several become one. Leaves for ``Remaining`` the share of the
    characters that remains.
    """

    model: ModelFile
    below: float = Field(100_000, gt=1)

    @property
    def counts(self) -> tuple[str, ...]:
        return ("lines_perplexity",)

    @property
    def fact(self) -> str:
        return self.name.removesuffix("_lines")

    def apply(self, texts: Texts) -> Edited:
        import numpy as np
        import pyarrow as pa

        model = language_model(self.model.uri, self.model.identity)
        bound = math.log10(self.below)
        cut = np.zeros(len(texts), np.int64)
        remaining = np.ones(len(texts))
        changed = texts.strings.copy()
        for row, lines in enumerate(texts.lines):
            kept = [line for line in lines if not line.strip() or log_perplexity(model, line) < bound]
            if len(kept) == len(lines):
                continue
            cut[row] = len(lines) - len(kept)
            before, changed[row] = len(changed[row]), _joined(kept)
            remaining[row] = len(changed[row]) / before
        column = pa.array(changed, pa.large_string()) if cut.any() else texts.column
        return Edited(column, {self.counts[0]: cut}, {self.fact: remaining})


def _joined(lines: list[str]) -> str:
    """Lines without blank ones around them, and with one of several."""
    return re.sub(r"\n\s*\n", "\n\n", _BLANK_ENDS.sub("", "\n".join(lines)))


class Remaining(Test):
    """Too small a share of a document's characters remains after its lines were cut by their perplexity."""

    at_least: Share

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        return documents.facts.get(self.name, np.ones(len(documents))) < self.at_least


# fastText


@lru_cache(maxsize=2)
def _classifier(uri: str, identity: str) -> Any:
    import fasttext

    try:
        return fasttext.load_model(_local(uri, identity))
    except (OSError, ValueError, RuntimeError) as error:
        raise RecipeError(f"{uri}: fastText cannot read this model: {_shortened(error)}") from None


class Labelled(Test):
    """A fastText model gives one of ``labels`` at least the probability ``threshold``; of a pair, to either side.

    All labels of the model are asked about, as FinGPT's toxicity filter does (k=-1; toxicity_filter.py of
    TurkuNLP/finngen-tools).
    """

    costly: ClassVar[bool] = True
    model: ModelFile
    labels: tuple[str, ...] = Field(min_length=1)
    threshold: Share = 0.5

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        model = _classifier(self.model.uri, self.model.identity)
        unknown = set(self.labels) - set(model.get_labels())
        if unknown:
            raise RecipeError(
                f"{self.model.uri}: the model has no label {sorted(unknown)[0]!r}; its labels are "
                f"{', '.join(sorted(model.get_labels()))}."
            )
        found = np.zeros(len(documents), bool)
        for side in documents.sides.values():
            found |= np.fromiter((self._is_labelled(model, text) for text in side.strings), bool, len(side))
        return found

    def _is_labelled(self, model: Any, text: str) -> bool:
        # fastText reads one line.
        labels, _ = model.predict(" ".join(text.split()), k=-1, threshold=self.threshold)
        return not set(self.labels).isdisjoint(labels)
