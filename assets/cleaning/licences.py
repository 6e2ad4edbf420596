"""Documents that are the text of a licence: thousands of packages bring the same ones along."""

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import Field

from assets.cleaning.steps import Test
from assets.cleaning.texts import Documents

if TYPE_CHECKING:
    import numpy as np

# What the licences of software and of works say, and what is written about them says rarely; by kind, in RE2's and
# Python's common syntax, each word once: a document is a licence by how many kinds it has and how densely they stand.
_KINDS = (
    r"\b(?:licen[cs]ors?|licensees?|sub-?licen[cs]\w+)\b",
    r"\bthis (?:public |general public )?(?:licen[cs]e|agreement|document|notice)\b",
    r"\b(?:this|the) (?:software|program|work|library|package|database|modification)\b|\bcovered (?:work|software|code)\b",
    r"\bhere(?:by|under|in|of|to|after)\b|\bthere(?:of|to|in)\b|\bnotwithstanding\b|\bpursuant to\b",
    r"\bprovided that\b|\bshall\b",
    r"\byou (?:may|must|agree|accept|are (?:not )?(?:granted|permitted|allowed|required))\b"
    r"|\byour? (?:rights|modifications|contributions)\b|\bmust not be\b",
    r"\bpermission (?:is|to)\b|\bis (?:hereby )?(?:granted|permitted)\b|\bgrants?\b|\bare permitted\b",
    r"[\"“']as[- ]is[\"”']|\bmerchantab\w+|\bfitness for (?:a|any|the) particular\b|\bexpress\b|\bimplied\b"
    r"|\bwithout (?:any )?(?:warranty|further|representations?)\b",
    r"\bin no event\b|\bunder no circumstances\b|\b(?:held|be) liable\b|\bliability\b|\bdamages\b",
    r"\b(?:consequential|incidental|tort|tortious|negligence)\b|\barising (?:out of|from|in any way)\b|\bloss of \w+",
    r"\b(?:no|any|all|disclaims?|of) warrant(?:y|ies)\b",
    r"\babove copyright\b|\bcopyright (?:holder|owner|notice|statement)s?\b|\bcopyright \(c\)|©|\ball rights reserved\b"
    r"|\bpublic domain\b|\bdedicat(?:e|es|ion)\b",
    r"\bredistribut\w+|\bcopy, (?:modify|distribut\w+)|\band/or (?:sell|modify)\b|\buse, (?:copy|reproduc\w+)|\bdistribute\b",
    r"\broyalty-?free\b|\bnon-?exclusive\b|\bperpetual\b|\birrevocable\b|\bworldwide\b|\bfree of charge\b|\bfor any purpose\b",
    r"\bterms and conditions\b|\bunder the terms\b|\bconditions (?:are met|of)\b|\bsubject to\b|\bin accordance with\b"
    r"|\bapplicable law\b|\bjurisdiction\b",
    r"\b(?:without|including,? but not) limit(?:ation|ed)\b",
    r"\bcontribut(?:or|ion)s?\b|\boriginal author\b|\bauthors\b",
    r"\bderivative works?\b|\bmodified versions?\b|\b(?:source|object|executable) (?:code|form)\b|\bverbatim\b|\baltered\b",
    r"\bpatents? (?:claims?|licen[cs]es?)\b|\btrademarks?\b|\binfring\w+",
    r"\bterminat\w+|\bwaive\w*|\baffirm\w+|\bendorse\w*|\bmisrepresent\w*",
)
# The kinds by which a licence of a work differs from other contracts: who licenses, the work itself, its copies.
_OF_WORKS = (0, 1, 2, 11, 12, 13, 17)
_RE2 = "(?i)" + "|".join(_KINDS)
_PATTERNS = tuple(re.compile(kind, re.IGNORECASE) for kind in _KINDS)
_WORD = re.compile(r"[^\W\d_]{2,}")
_PARTS = 3
_OF_WORKS_LEAST = 3


class LicenceText(Test):
    """A document that is an English licence as a whole, not one that writes about licences, mentions one or ends with one.

    It is one when it has phrases of licences for ``phrases`` of its words at least and of ``kinds`` of the twenty kinds,
    and on each third of it for ``in_each_third`` of the words and of ``kinds_in_each_third`` kinds. Short licences and
    parts of long ones have fewer kinds: ``kinds_if_dense`` are enough, three of them of works, where the phrases are ``dense``.

    Measured: of 119 texts of the licences in use (GPL, LGPL, AGPL, GFDL, Apache, MPL, EPL, CDDL, BSD, MIT, ISC, zlib,
    Artistic, EUPL, OFL, PSF, Unlicense and Creative Commons' in their versions, from Debian and SPDX) 116 go; those of
    Vim, WTFPL and Unicode stay. Of 15,500 documents of documentation, novels, statutes, encyclopedia and news none goes,
    and none of six articles that compare licences; pages that end with the MIT licence go in one of 150 cases.
    """

    name: str = "licence_text"
    phrases: float = Field(0.045, gt=0)
    in_each_third: float = Field(0.03, ge=0)
    kinds: int = Field(10, ge=1, le=len(_KINDS))
    dense: float = Field(0.08, gt=0)
    kinds_if_dense: int = Field(5, ge=1, le=len(_KINDS))
    kinds_in_each_third: int = Field(2, ge=0, le=len(_KINDS))

    def fails(self, documents: Documents) -> "np.ndarray":
        import numpy as np

        texts = documents.text
        dense = texts.count(_RE2) > self.phrases * texts.words
        found = np.zeros(len(texts), bool)
        for row in np.flatnonzero(dense).tolist():
            found[row] = self._licence(texts.strings[row])
        return found

    def _licence(self, text: str) -> bool:
        places = [[match.start() for match in pattern.finditer(text)] for pattern in _PATTERNS]
        words = [word.start() for word in _WORD.finditer(text)]
        there = sum(map(bool, places))
        if there < self.kinds:
            dense = sum(map(len, places)) > self.dense * len(words)
            of_works = sum(bool(places[kind]) for kind in _OF_WORKS)
            if not dense or there < self.kinds_if_dense or of_works < _OF_WORKS_LEAST:
                return False
        ends = [0, *(words[len(words) * part // _PARTS] for part in range(1, _PARTS)), len(text)]
        return all(self._third(places, first, last, len(words) / _PARTS) for first, last in pairwise(ends))

    def _third(self, places: list[list[int]], first: int, last: int, words: float) -> bool:
        """Whether a third of a text, from ``first`` to ``last``, is as dense as a licence is everywhere."""
        here = [sum(first <= place < last for place in of_kind) for of_kind in places]
        return sum(here) >= self.in_each_third * words and sum(map(bool, here)) >= self.kinds_in_each_third
