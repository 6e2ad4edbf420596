"""The cleaning profiles: which steps, in which order, with which thresholds.

``social``, ``news``, ``wiki`` and ``books`` have the thresholds and the order of FinGPT's heuristic filters (arXiv
2311.05640, section 3; TurkuNLP/finngen-tools). For the web FinGPT publishes none; those of ``web`` and
``documentation`` are set so that clean pages of documentation, news, reviews and encyclopedias pass. ``code`` takes
line lengths from Chen et al. 2021 (Codex, section 3.1) and the alphanumeric share from Kocetkov et al. 2022 (The
Stack).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from pydantic import SerializeAsAny, ValidationError, model_validator

from assets.cleaning.boilerplate import Boilerplate, MostlyBoilerplate, MostlyHeadings
from assets.cleaning.code import MARKUP, Comments, DataLike, Encoded, Generated, Minified, Rows
from assets.cleaning.encoding import Encoding, MissingLetters
from assets.cleaning.headers import LicenceHeader
from assets.cleaning.languages import DocumentLanguage, ForeignLines, FunctionWords, MixedLanguage
from assets.cleaning.licences import LicenceText
from assets.cleaning.models import model_steps
from assets.cleaning.pairs import Identical, LengthRatio, NoLetters, Numbers, PairLanguage, Placeholders, Repeated
from assets.cleaning.personal import Emails, Ibans, IdentityCodes, IpAddresses
from assets.cleaning.phones import Phones
from assets.cleaning.repetition import CharacterRuns, RepeatedWords
from assets.cleaning.secrets import Secrets
from assets.cleaning.steps import Bound, Characters, Edit, Empty, Licence, Marker, MaxRepeat, Spacing, Step, Test
from assets.cleaning.strange_words import StrangeWords
from assets.recipe.base import Config
from assets.recipe.data import Source
from assets.recipe.load import RecipeError

# SPDX prefixes of licences that let text be copied and changed. LicenseRef- in a recipe is a person's judgement.
OPEN_LICENCES = (
    *(
        "CC0",
        "CC-BY-1",
        "CC-BY-2",
        "CC-BY-3",
        "CC-BY-4",
        "CC-BY-SA",
        "CC BY ",
        "CC BY-SA",
        "Apache",
        "BSD",
        "MIT",
        "ISC",
    ),
    *("MPL", "GPL", "LGPL", "AGPL", "GFDL", "PSF", "Python", "ODC", "ODbL", "PDDL", "OGL", "Unlicense", "Zlib", "0BSD"),
    *("public", "PD", "LicenseRef-", "Artistic", "EUPL", "W3C", "Unicode", "X11", "curl", "OFL"),
)


class Profile(Config):
    """The steps of a profile: edits, then tests. The first test that fails gives a document its reason."""

    steps: tuple[SerializeAsAny[Step], ...]

    @model_validator(mode="after")
    def _edits_first(self) -> "Profile":
        kinds = [isinstance(step, Test) for step in self.steps]
        if kinds != sorted(kinds):
            raise ValueError("edits stand in front of tests")
        twice = [name for name, count in Counter(step.name for step in self.steps).items() if count > 1]
        if twice:
            raise ValueError(f"two steps have the same name: {', '.join(twice)}")
        return self

    @property
    def edits(self) -> list[Edit]:
        return [step for step in self.steps if isinstance(step, Edit)]

    @property
    def tests(self) -> list[Test]:
        return [step for step in self.steps if isinstance(step, Test)]

    def leaving_out(self, names: tuple[str, ...]) -> "Profile":
        """The profile without some steps. Raises ValueError, which names the steps there are, for an unknown one."""
        known = [step.name for step in self.steps]
        for name in names:
            if name not in known:
                raise ValueError(f"there is no cleaning step {name!r} to leave out; the steps are {', '.join(known)}")
        return Profile(steps=tuple(step for step in self.steps if step.name not in names))

    def with_thresholds(self, thresholds: Mapping[str, Mapping[str, float]]) -> "Profile":
        """The profile with other numbers in some steps, by step and key.

        Raises ValueError for what is not there, and for a number that a step does not take.
        """
        numbers = {
            step.name: [key for key, value in step if isinstance(value, int | float) and not isinstance(value, bool)]
            for step in self.steps
        }
        for name, changes in thresholds.items():
            if not numbers.get(name):
                known = ", ".join(step for step, keys in numbers.items() if keys)
                raise ValueError(f"there is no cleaning step {name!r} with thresholds; these have some: {known}")
            for key in changes:
                if key not in numbers[name]:
                    raise ValueError(f"the step {name!r} has no threshold {key!r}; it has {', '.join(numbers[name])}")
        return Profile(steps=tuple(_changed(step, thresholds.get(step.name, {})) for step in self.steps))

    def with_steps(self, steps: Iterable[Step]) -> "Profile":
        """The profile with more edits after its edits, and more tests: costly ones last, the others before its own."""
        more = list(steps)
        edits = [step for step in more if isinstance(step, Edit)]
        tests = [step for step in more if isinstance(step, Test)]
        cheap, costly = ([test for test in tests if test.costly == is_costly] for is_costly in (False, True))
        return Profile(steps=(*self.edits, *edits, *cheap, *self.tests, *costly))


def _changed(step: Step, changes: Mapping[str, float]) -> Step:
    try:
        return type(step).model_validate(step.model_dump() | dict(changes)) if changes else step
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise ValueError(f"the step {step.name!r} takes no {key} of {first['input']!r}: {first['msg']}") from None


def profile_of(source: Source, where: str) -> Profile:
    """The profile that a source is cleaned with: the one that it names, with what the source changes in it.

    ``where`` names the source in errors, such as ``sources.news_fi``. Raises RecipeError for a step or a threshold that is not
    there, and for a filter whose model, library or name of its own is missing.
    """
    profile = PROFILES[source.cleaning]
    with _saying(f"{where}.without"):
        profile = profile.leaving_out(source.without)
    with _saying(f"{where}.thresholds"):
        profile = profile.with_thresholds(source.thresholds)
    steps = model_steps(source.filters, f"{where}.filters")
    with _saying(f"{where}.filters"):
        return profile.with_steps(steps)


@contextmanager
def _saying(where: str) -> Iterator[None]:
    """Says of an error where in the recipe it is."""
    try:
        yield
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise RecipeError(f"{where}: {message}.") from None
    except ValueError as error:
        raise RecipeError(f"{where}: {error}.") from None


# In this order masking again changes nothing.
_MASKS = (Emails(), IdentityCodes(), Ibans(), IpAddresses(), Phones())
_CODE_MASKS = (Secrets(), Emails(), IdentityCodes(), Ibans(), IpAddresses())
_PROSE_EDITS = (Encoding(), Characters(), *_MASKS)
EXCERPT_MASKS = (Secrets(), *_MASKS)
"""The masks for the excerpts of removed documents."""

_DAMAGE = (
    Bound(name="encoding_damage", measure="encoding_damage", at_most=0.001),
    Bound(name="lost_letters", measure="lost_letters", at_most=0.007),
    Bound(name="broken_words", measure="broken_words", at_most=0.2),
)
# What is in another language, or no text, has strange words too; it shall have the plainer reason.
_WORDS = (MissingLetters(), StrangeWords())


# Running text bears Gopher's thresholds, but instructions say the same again and again ("Valitse OK."): of clean manuals a
# fifth would go by those for repeated n-grams, and one in two hundred goes by four times those and 1.5 times the others.
_WEB_WORDS = RepeatedWords(
    top_2=0.30,
    top_3=0.27,
    top_4=0.24,
    repeated_5=0.60,
    repeated_6=0.56,
    repeated_7=0.52,
    repeated_8=0.48,
    repeated_9=0.44,
    repeated_10=0.40,
)
# Manuals have many short pages, where a menu's name takes a large share.
_MANUAL_WORDS = _WEB_WORDS.model_copy(update={"top_2": 0.40, "top_3": 0.36, "top_4": 0.32})


def _fingpt(
    *,
    words: int,
    language: float,
    foreign: float,
    short: float,
    paragraph: float | None = 5,
    ratio: float = 0.1,
    type_token: float | None = None,
    repeats: int | None = None,
) -> Profile:
    """FinGPT's filters in FinGPT's order, then what Tokka tests of every prose."""
    tests: list[Test] = [Empty()]
    if paragraph is not None:
        tests.append(Bound(name="avg-len", measure="avg-len", at_least=paragraph))
    tests += [Bound(name=name, measure=name, at_most=ratio) for name in ("punct-ratio", "upper-ratio", "digit-ratio")]
    tests += [
        Bound(name="foreign-ratio", measure="foreign-ratio", at_most=foreign),
        Bound(name="short-ratio", measure="short-ratio", at_most=short),
    ]
    if type_token is not None:
        tests.append(Bound(name="type-token", measure="type-token", at_least=type_token))
    tests.append(Bound(name="min-words", measure="min-words", at_least=words))
    if repeats is not None:
        tests.append(MaxRepeat(repeats=repeats))
    tests += [DocumentLanguage(at_least=language), *_DAMAGE, *_WORDS]
    tests += [MostlyBoilerplate(at_most=0.7), MostlyHeadings(), LicenceText(), Licence(allowed=OPEN_LICENCES)]
    if type_token is None:
        tests.append(_WEB_WORDS)
    return Profile(steps=(*_PROSE_EDITS, Boilerplate(), Spacing(), *tests))


# Lönnrot (books out of copyright): only the language is tested.
_BOOKS = Profile(
    steps=(
        *_PROSE_EDITS,
        Spacing(),
        Empty(),
        DocumentLanguage(at_least=0.9),
        *_DAMAGE,
        *_WORDS,
        LicenceText(),
        Licence(allowed=OPEN_LICENCES),
    )
)

_DOCUMENTATION = Profile(
    steps=(
        *_PROSE_EDITS,
        Boilerplate(),
        ForeignLines(),
        Spacing(),
        Licence(allowed=OPEN_LICENCES),
        LicenceText(),
        *_DAMAGE,
        MixedLanguage(at_least=0.3),
        MostlyBoilerplate(at_most=0.7),
        Empty(),
        Bound(name="too_short", measure="characters", at_least=100),
        Bound(name="few_words", measure="words", at_least=10),
        Bound(name="digits", measure="digit-ratio", at_most=0.15),
        Bound(name="punctuation", measure="punct-ratio", at_most=0.2),
        Bound(name="data_marks", measure="data_marks", at_most=0.08),
        Bound(name="upper_case", measure="upper-ratio", at_most=0.35),
        Bound(name="foreign_letters", measure="foreign-ratio", at_most=0.2),
        Bound(name="short_words", measure="short-ratio", at_most=0.4),
        Bound(name="short_lines", measure="words_per_line", at_least=1.5),
        Bound(name="few_sentences", measure="sentences", at_least=0.5),
        MostlyHeadings(),
        Bound(name="repeated_lines", measure="repeated_lines", at_most=0.5),
        Bound(name="repeated_paragraphs", measure="repeated_paragraphs", at_most=0.5),
        CharacterRuns(at_most=0.1),
        Bound(name="compression", measure="compression", at_most=12),
        _MANUAL_WORDS,
        FunctionWords(at_least=0.02),
        DocumentLanguage(at_least=0.5),
        *_WORDS,
    )
)

_WEB = Profile(
    steps=(
        *_PROSE_EDITS,
        Boilerplate(),
        ForeignLines(),
        Spacing(),
        Licence(allowed=OPEN_LICENCES),
        LicenceText(),
        *_DAMAGE,
        MixedLanguage(at_least=0.75),
        MostlyBoilerplate(at_most=0.7),
        Empty(),
        Bound(name="too_short", measure="characters", at_least=150),
        Bound(name="few_words", measure="words", at_least=15),
        Bound(name="digits", measure="digit-ratio", at_most=0.2),
        Bound(name="punctuation", measure="punct-ratio", at_most=0.15),
        Bound(name="data_marks", measure="data_marks", at_most=0.04),
        Bound(name="upper_case", measure="upper-ratio", at_most=0.2),
        Bound(name="foreign_letters", measure="foreign-ratio", at_most=0.2),
        Bound(name="short_words", measure="short-ratio", at_most=0.4),
        Bound(name="short_lines", measure="words_per_line", at_least=2.5),
        Bound(name="few_sentences", measure="sentences", at_least=0.5),
        MostlyHeadings(),
        Bound(name="repeated_lines", measure="repeated_lines", at_most=0.3),
        Bound(name="repeated_paragraphs", measure="repeated_paragraphs", at_most=0.2),
        CharacterRuns(at_most=0.1),
        Bound(name="compression", measure="compression", at_most=6),
        _WEB_WORDS,
        FunctionWords(at_least=0.02),
        DocumentLanguage(at_least=0.8),
        *_WORDS,
    )
)

_CODE = Profile(
    steps=(
        Characters(prose=False),
        LicenceHeader(),
        *_CODE_MASKS,
        Empty(),
        Licence(allowed=OPEN_LICENCES),
        Bound(name="too_short", measure="characters", at_least=100),
        Bound(name="encoding_damage", measure="encoding_damage", at_most=0.005),
        Generated(),
        Minified(),
        Marker(name="markup", pattern=MARKUP, within=100),
        DataLike(),
        Rows(),
        Encoded(),
        Comments(),
        Bound(name="alphanumeric", measure="alphanumeric", at_least=0.25),
        Bound(name="digits", measure="digit-ratio", at_most=0.3),
        Bound(name="longest_line", measure="longest_line", at_most=1_000),
        Bound(name="mean_line", measure="mean_line", at_most=100),
        Bound(name="compression", measure="compression", at_most=12),
    )
)

_PAIRS = Profile(
    steps=(
        *_PROSE_EDITS,
        Spacing(),
        Empty(),
        Licence(allowed=OPEN_LICENCES),
        NoLetters(),
        Identical(),
        LengthRatio(at_most=2.5),
        Repeated(),
        Placeholders(),
        Numbers(),
        PairLanguage(),
    )
)

PROFILES: dict[str, Profile] = {
    "documentation": _DOCUMENTATION,
    "web": _WEB,
    "social": _fingpt(words=5, language=0.9, foreign=0.01, short=0.05, type_token=0.5, repeats=5),
    "news": _fingpt(words=25, language=0.999, foreign=0.01, short=0.05),
    "wiki": _fingpt(words=15, language=0.99, foreign=0.05, short=0.1),
    "books": _BOOKS,
    "code": _CODE,
    "pairs": _PAIRS,
}
"""The profiles by the name that a source's ``cleaning`` has."""
