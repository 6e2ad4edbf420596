"""Licence headers of source code: they stand in thousands of files word by word, and say nothing about the code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from assets.cleaning.steps import Edit, Edited
from assets.cleaning.texts import Texts

if TYPE_CHECKING:
    pass

# What may stand before and between the comments, and stays.
_BLANK = r"(?:[ \t]*\n)+"
_OPENING = re.compile(
    rf"{_BLANK}|\A\#!(?!\[)[^\n]*\n|<\?php\b[^\n?]*\n|<\?xml\b[^\n]*?\?>[ \t]*\n|<!DOCTYPE\b[^\n>]*>[ \t]*\n|"
    r"@charset[^\n;]*;[ \t]*\n|(?P<quote>['\"])use strict(?P=quote);?[ \t]*\n",
    re.IGNORECASE,
)
_BLOCKS = {"/*": "*/", "<!--": "-->", "(*": "*)", "{-": "-}", "--[[": "]]", "<#": "#>"}
_NESTING = ("(*", "{-")
_BLOCK = re.compile(rf"[ \t]*({'|'.join(map(re.escape, _BLOCKS))})")
# Lines of comments. What the same signs are in other languages is no comment: "--i;", "#[derive]", ";(function", "%include".
_LINES = tuple(
    re.compile(rf"[ \t]*{sign}[^\n]*(?:\n|\Z)", re.IGNORECASE)
    for sign in (
        "//",
        r"\#(?![\[!])",
        r"--(?![^ \t\n-])",
        ";(?![^ \t\n;])",
        "%(?![^ \t\n%])",
        r"(?:dnl|@?rem)(?![^ \t\n])",
    )
)
_DIRECTIVES = (
    r"(?:if|ifdef|ifndef|elif|else|endif|include|include_next|import|define|undef|pragma|error|warning|line|region|endregion|"
    r"nullable|using|assert|ident)\b"
)
_DIRECTIVE = re.compile(rf"[ \t]*#[ \t]*{_DIRECTIVES}")
_CLOSE_DIRECTIVE = re.compile(rf"[ \t]*#{_DIRECTIVES}")
# The signs at the beginning of a line of a comment.
_SIGNS = re.compile(
    r"[ \t]*(?:/{2,}|/?\*+!?|<!--|\#+|\(\*|\{-|--+(?:\[\[)?|;+|%+|(?:dnl|@?rem)\b)?[ \t]*", re.IGNORECASE
)
_OPENER = re.compile(r"[ \t]*(?:/\*+!?|<!--|\(\*|\{-|--\[\[|<\#)")
_WORD = re.compile(r"[^\W_]")
_BLANKS = re.compile(_BLANK)
_LINE_END = re.compile(r"[ \t]*(?:\n|\Z)")

# Words of a notice, by which a header is known ...
_NOTICE = re.compile(
    r"(?-i:\bCopyright\b|\bCOPYRIGHT\b)|\bcopyright (?:\(c\)|©|\d{4}|by\b|holder|notice|owner)|\(c\) ?\d{4}|©|\bspdx-|"
    r"all rights reserved|\blicen[cs]ed (?:under|to|by)\b|\blicen[cs]e (?:agreement|terms|information|version|v?\d)|"
    r"\blicen[cs]e:|@licen[cs]e\b|"
    r"\b(?:mit|bsd|apache|gpl|lgpl|agpl|isc|zlib|artistic|boost software|general public|mozilla public|eclipse public|"
    r"creative commons|python software foundation|psf|unicode|openssl|academic free|public)[ -](?:\d\S* )?(?:style )?"
    r"licen[cs]e|\b(?:see|in) (?:the )?(?:file )?(?:licen[cs]e|copying)\b|\bin the public domain\b|\bpublic domain\.",
    re.IGNORECASE,
)
# ... and words of what else stands in one.
_TERMS = re.compile(
    r"\bpermission (?:is|to)\b|\bpermission notice\b|\bhereby granted\b|\bredistribut|\bwarrant(?:y|ies)\b|\"as is\"|"
    r"''as is''|\bas-is\b|merchantab|\bliab(?:le|ility)\b|free software\b|\bis part of (?:the )?[\w .+-]{1,40}[.,]?$|"
    r"\byou (?:should have received|may (?:not )?(?:use|obtain|copy|redistribute))\b|express or implied|gnu\.org/licen|"
    r"\bendorse\b|\bdistributed (?:under|with|in the hope)\b|\bmay not be removed or altered\b|\bmisrepresented\b|"
    r"\bplainly marked\b|\bcontribut(?:or|ion)s? (?:licen|agreement)|\bsame terms as\b|\bgoverned by\b|"
    r"\bsubject to the terms\b|\blicen[cs]e[es]?\b|\bgranted additional permission|\blicensed deliverables\b|"
    r"\bintellectual property\b|\bgovernment end user",
    re.IGNORECASE,
)
# How the first line of a notice begins where a title stands above it.
_NOTICE_LINE = re.compile(
    r"(?:portions |not )?copyright|©|\(c\)|spdx-|licen[cs]ed (?:under|to)|licen[cs]e:|all rights reserved|@licen[cs]e|"
    r"released under|permission is|redistribution|see (?:the )?(?:file )?(?:licen[cs]e|copying)|"
    r"(?:this|the) (?:file|program|code|software|source|work|module|library|script) (?:is|has|was|may)\b",
    re.IGNORECASE,
)
_TAG = re.compile(r"spdx-", re.IGNORECASE)
# What tools read stays.
_PRAGMA = re.compile(
    r"-\*-|@ts-|@flow|@jsx|\+build\b|"
    r"(?:pylint|mypy|pyright|ruff|flake8|isort|fmt|yapf|noqa|type|vim?|ex|coding|encoding|eslint(?:-\w+)*|jshint|jslint|"
    r"globals?|prettier-ignore|clang-format|shellcheck|rubocop|frozen_string_literal|cython|distutils|go)"
    r"(?:[:=]| disable| enable)",
    re.IGNORECASE,
)
# Lines that belong to a notice and mean nothing without it.
_ATTRIBUTION = re.compile(
    r"(?:authors?|contributors?|contributed|maintainers?|maintained|written|created|modified|contact|e-?mail|web|home(?:page)?|"
    r"url|date|version|revision|\$(?:id|revision|date|author)|@(?:authors?|version|copyright|link|package|preserve|file|since)|"
    r"by|by:|https?:\S+|<?\S+@\S+>?$|[^<\n]{2,40}<[^>\s]+@[^>]+>|and contributors|file(?:name)?:|[\w/.+-]+\.[a-z]{1,5}$)"
    r"(?![\w-])",
    re.IGNORECASE,
)
_GENERATED = re.compile(r"\bgenerated\b|\bdo(?:n't| not) (?:edit|modify)", re.IGNORECASE)
# A header begins in the first lines of a file.
_CANDIDATE = r"(?i)copyright|licen[cs]e|\(c\)|©|spdx|public domain"
_WITHIN = 6_000


class LicenceHeader(Edit):
    """Copyright notices and licence texts are cut out of the comments that a file of code begins with.

    Only comments in front of the first line of code are looked at, also after ``<?php``, a shebang or an encoding line. Of a
    comment that says other things too, the paragraphs of the notice go and the others stay. Nothing else changes. Counts
    the files.
    """

    name: str = "licence_header"

    @property
    def counts(self) -> tuple[str, ...]:
        return ("stripped_licence_headers",)

    def apply(self, texts: Texts) -> Edited:
        import numpy as np
        import pyarrow as pa
        import pyarrow.compute as pc

        found = np.zeros(len(texts), np.int64)
        beginnings = pc.utf8_slice_codeunits(texts.column, 0, _WITHIN)
        rows = pc.indices_nonzero(pc.match_substring_regex(beginnings, _CANDIDATE)).to_pylist()
        changed = texts.strings.copy() if rows else []
        for row in rows:
            before = changed[row]
            changed[row] = without_header(before)
            found[row] = changed[row] != before
        column = pa.array(changed, pa.large_string()) if found.any() else texts.column
        return Edited(column, {self.counts[0]: found})


@dataclass(frozen=True)
class _Comment:
    """A comment at ``start`` to ``stop`` of a text; of line comments the consecutive lines, with no ``closer``."""

    start: int
    stop: int
    closer: str


def without_header(text: str) -> str:
    """A file of code without the notices in the comments that it begins with."""
    while True:
        pieces: list[str] = []
        end = 0
        in_header = False
        for comment in _comments(text):
            pieces.append(text[end : comment.start])
            whole = text[comment.start : comment.stop]
            left = _without_notice(whole, comment.closer, in_header)
            in_header = in_header or left != whole
            pieces.append(left)
            blank = None if left else _BLANKS.match(text, comment.stop)
            end = blank.end() if blank else comment.stop
        pieces.append(text[end:])
        changed = "".join(pieces)
        if changed == text:
            return text
        text = changed


def _comments(text: str) -> Iterator[_Comment]:
    """The comments before the first line of code."""
    place = 0
    while place < len(text):
        if found := _OPENING.match(text, place):
            place = found.end()
            continue
        comment = _block(text, place) or _line_comments(text, place)
        if comment is None:
            return
        yield comment
        place = comment.stop
        if text[place - 1] != "\n":  # code follows on the line
            return


def _block(text: str, place: int) -> _Comment | None:
    opener = _BLOCK.match(text, place)
    if opener is None:
        return None
    closer = _BLOCKS[opener[1]]
    last = text.find(closer, opener.end())
    if last < 0 or (opener[1] in _NESTING and opener[1] in text[opener.end() : last]):
        return None
    stop = last + len(closer)
    line_end = _LINE_END.match(text, stop)
    return _Comment(place, line_end.end(), closer) if line_end else _Comment(opener.start(1), stop, closer)


def _line_comments(text: str, place: int) -> _Comment | None:
    """The lines of one kind that follow each other; none where they are directives of a preprocessor."""
    for line in _LINES:
        end = place
        first = True
        while found := line.match(text, end):
            said = _WORD.search(found[0]) is not None
            if (_DIRECTIVE if first else _CLOSE_DIRECTIVE).match(found[0]):
                break
            first = first and not said
            if found.end() == end:
                break
            end = found.end()
        if end > place:
            return None if first and found and _DIRECTIVE.match(found[0]) else _Comment(place, end, "")
    return None


def _without_notice(comment: str, closer: str, in_header: bool) -> str:
    """A comment without its notices, the same string where it has none, empty where nothing else is in it.

    ``in_header`` says that a notice stood in front of it, whose terms may go on in it.
    """
    lines = comment.removesuffix("\n").split("\n")
    said = _contents(lines, closer)
    paragraphs = _paragraphs(said)
    texts = [" ".join(said[i] for i in paragraph) for paragraph in paragraphs]
    if not (in_header or any(map(_NOTICE.search, texts))):
        return comment
    cut: set[int] = set()
    for paragraph, text in zip(paragraphs, texts, strict=True):
        if (_NOTICE.search(text) or _TERMS.search(text)) and not (_GENERATED.search(text) or _PRAGMA.match(text)):
            first = _first_of_notice([said[i] for i in paragraph])
            cut.update(paragraph[first:])
            # The empty lines behind a paragraph that goes go with it.
            behind = paragraph[-1] + 1
            while not first and behind < len(lines) and not said[behind]:
                cut.add(behind)
                behind += 1
    if not cut:
        return comment
    if all(i in cut or not said[i] or _ATTRIBUTION.match(said[i]) for i in range(len(lines))):
        return ""
    last = max(i for i in range(len(lines)) if said[i] and i not in cut)
    if last < max(i for i in cut if said[i]):
        cut.update(range(last + 1, len(lines)))
    kept = [line for i, line in enumerate(lines) if i not in cut]
    if closer and 0 in cut:
        kept.insert(0, _OPENER.match(lines[0])[0])  # type: ignore[index]
    if closer and len(lines) - 1 in cut:
        kept.append(re.match(r"[ \t]*", lines[-1])[0] + lines[-1][lines[-1].rindex(closer) :])  # type: ignore[index]
    return "\n".join(kept) + "\n" * comment.endswith("\n")


def _contents(lines: list[str], closer: str) -> list[str]:
    """What lines of a comment say, without the signs around it; nothing for a line without a letter or digit."""
    if closer:
        lines = [*lines[:-1], lines[-1][: lines[-1].rindex(closer)]]
    stripped = (line[_SIGNS.match(line).end() :].strip() for line in lines)  # type: ignore[union-attr]
    return [content if _WORD.search(content) else "" for content in stripped]


def _paragraphs(said: list[str]) -> list[list[int]]:
    """The lines that say something, in groups that follow each other; a tag, and a line for tools, is its own group."""

    def group(line: int) -> int:
        if not said[line]:
            return 0
        return line + 2 if _TAG.match(said[line]) or _PRAGMA.match(said[line]) else 1

    return [list(lines) for kind, lines in groupby(range(len(said)), key=group) if kind]


def _first_of_notice(paragraph: list[str]) -> int:
    """The line that a paragraph's notice begins with; what stands before may be a title."""
    for number, line in enumerate(paragraph):
        if _NOTICE_LINE.match(line):
            return 0 if all(map(_ATTRIBUTION.match, paragraph[:number])) else number
        if _NOTICE.search(line) or _TERMS.search(line):
            return 0
    return 0
