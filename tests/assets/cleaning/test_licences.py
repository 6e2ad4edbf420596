"""Licences as whole documents go; what writes about them, or ends with one, stays."""

import gzip
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assets.cleaning.licences import LicenceText
from tests.assets.cleaning.slices import ANY, documents, fails, judged_alone, quick

ROOT = Path(__file__).parents[3]
COMMON = Path("/usr/share/common-licenses")
SHARED = os.environ.get("TOKKA_SHARED")
needs_shared = pytest.mark.skipif(SHARED is None, reason="TOKKA_SHARED names no folder with the larger corpora")
MIT = """MIT License

Copyright (c) 2024 Example Authors

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation
files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy,
modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the
Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE,
ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""
ISC = """Copyright (c) 2024 Example

Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted,
provided that the above copyright notice and this permission notice appear in all copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS SOFTWARE INCLUDING ALL IMPLIED
WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR
CONSEQUENTIAL DAMAGES OR ANY DAMAGES WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF
CONTRACT, NEGLIGENCE OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS SOFTWARE."""
ZLIB = """This software is provided 'as-is', without any express or implied warranty. In no event will the authors be held liable
for any damages arising from the use of this software.

Permission is granted to anyone to use this software for any purpose, including commercial applications, and to alter it and
redistribute it freely, subject to the following restrictions:

1. The origin of this software must not be misrepresented; you must not claim that you wrote the original software. If you
use this software in a product, an acknowledgment in the product documentation would be appreciated but is not required.
2. Altered source versions must be plainly marked as such, and must not be misrepresented as being the original software.
3. This notice may not be removed or altered from any source distribution."""
ARTICLE = """Choosing a licence is the first thing that a young project forgets. A licence says what others may do with the code,
and without one they may do nothing, because copyright law reserves every right for the author. The MIT License is short:
keep the notice, and do not sue us. The Apache License adds a grant of patents, which lawyers of large companies like to
see. The GPL asks for more: whoever passes a changed program on has to pass on its source code as well, under the same terms.
Opponents call that viral, friends call it fair. Warranty is what none of them gives, and damages are what none of them
pays. In our survey of eight hundred projects a third had no licence at all; when we asked, most maintainers had simply
never thought about it. Two answered that they had meant to put the code into the public domain. Our advice is simple: take
one of the well-known licences, put its text into a file, and say in the first lines of the readme which one it is."""


def demo(name: str) -> list[str]:
    with gzip.open(ROOT / f"infra/demo/corpora/{name}.jsonl.gz", "rt") as lines:
        return [json.loads(line)["text"] for line in lines]


def test_licences_go() -> None:
    files = sorted((ROOT / "infra/demo/licenses").glob("*.txt"))
    assert len(files) > 5
    assert all(fails(LicenceText(), MIT, ISC, ZLIB, *(file.read_text("utf-8") for file in files)))


@pytest.mark.skipif(not COMMON.is_dir(), reason="this machine has no /usr/share/common-licenses")
def test_the_licences_of_debian_go() -> None:
    names = [f for f in sorted(COMMON.iterdir()) if f.is_file()]
    found = fails(LicenceText(), *(file.read_text("utf-8") for file in names))
    assert [file.name for file, licence in zip(names, found, strict=True) if not licence] == []


def test_what_writes_about_licences_or_ends_with_one_stays() -> None:
    page = demo("heldout_en")[0][:3000]
    mention = (
        "Tokka is free software under the MIT License. See the file LICENSE for the terms and conditions.\n" + page
    )
    kept = [ARTICLE, f"{page}\n\nLicense\n\n{MIT}", f"{ARTICLE}\n\n{ISC}", mention, "", "License"]
    assert fails(LicenceText(), *kept) == [False] * len(kept)


CONTRACTS = {
    "rent": """The Tenant shall pay the rent on the first day of each month. The Tenant shall not assign this agreement
or sublet the flat without the prior written consent of the Landlord. The Landlord may terminate this agreement if the
rent is more than two weeks late, provided that notice has been given. The Tenant is liable for damages to the flat
arising from negligence. This agreement is governed by the law of Finland, and any dispute shall be settled in
accordance with it by the court of the district in which the flat lies. The deposit is returned within a month of the
end of the lease.""",
    "supply": """4.2 The Supplier shall indemnify the Customer against all losses, damages and reasonable costs arising
from any claim that the Software infringes the intellectual property rights of a third party, provided that the Customer
(a) gives prompt written notice of the claim, (b) makes no admission without the Supplier's prior consent, and (c)
allows the Supplier to conduct the defence. 4.3 Clause 4.2 does not apply to the extent that the claim results from a
modification made by anyone other than the Supplier. 4.4 This clause survives termination of the Agreement for a period
of six years.""",
    "privacy": """We keep the data that you give us for as long as you have an account, and for six months thereafter. We do
not sell it. Where the law requires us to hand data to an authority, we shall tell you, unless that is forbidden. You
may ask us at any time which data we hold and have it corrected or erased, subject to the law on bookkeeping. Terms of
this notice may change; the date above says when they last did.""",
    "insurance": """The insurer is not liable for damage caused by frost, for consequential damage or for loss of income.
Notwithstanding the above, damage to a dwelling that the insured could not enter is covered. The policy terminates at
the end of the month in which the premium, after a reminder, has not been paid. Claims must be made within a year.""",
}


def test_other_contracts_stay() -> None:
    assert fails(LicenceText(), *CONTRACTS.values()) == [False] * len(CONTRACTS)


@pytest.mark.parametrize("name", ["heldout_en", "heldout_fi", "gnome_help_en", "aptitude_doc_fi", "manpages_fi"])
def test_pages_with_legal_notices_stay(name: str) -> None:
    assert not any(fails(LicenceText(), *demo(name)))


@needs_shared
def test_statutes_and_manuals_stay() -> None:
    for name in ("fi/statutes_fi", "en/msdocs_en", "en/gutenberg_en"):
        with gzip.open(Path(str(SHARED)) / f"{name}.jsonl.gz", "rt") as lines:
            assert not any(fails(LicenceText(), *(json.loads(line)["text"] for line in lines))), name


@quick
@given(st.lists(ANY | st.sampled_from([ISC, ARTICLE]), max_size=4))
def test_any_text_is_judged_by_itself(strings: list[str]) -> None:
    assert judged_alone(LicenceText(), strings)


def test_the_thresholds_are_the_profile_s_to_change() -> None:
    assert not LicenceText(kinds=20, dense=1).fails(documents([MIT])).any()
    assert not LicenceText(phrases=0.9).fails(documents([MIT])).any()
    assert not LicenceText(in_each_third=0.5).fails(documents([MIT])).any()
