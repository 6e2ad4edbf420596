#!/usr/bin/env python3
"""Build the demo corpora from Debian packages and Python's own standard library.

    python infra/demo/build.py --out infra/demo/corpora [--packages DIR] [--notices FILE]

Needs a Debian 12 system with apt-get, dpkg-deb and groff (groff-base). The same packages give the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import platform
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus_extract import Page, aligned_pairs, html_page, mallard_page, man_page, troff_notice, words
from corpus_split import Row, choose, choose_pairs, first_of_each, within, write_rows

PACKAGES = ("libreoffice-help-fi", "libreoffice-help-en-us", "gnome-user-docs", "manpages-fi", "aptitude-doc-fi")
LICENSES = {
    "libreoffice-help-fi": "MPL-2.0",
    "libreoffice-help-en-us": "MPL-2.0",
    "gnome-user-docs": "CC-BY-SA-3.0",
    "manpages-fi": "LicenseRef-manpages-fi",
    "aptitude-doc-fi": "GPL-2.0-or-later",
    "cpython": "PSF-2.0",
}

# Characters of text. The first four share the Finnish held-out set roughly by the sources' Finnish volume.
HELD_OUT_CHARS = {"libreoffice": 95_000, "gnome": 18_000, "manpages": 22_000, "aptitude": 10_000}
HELD_OUT_ENGLISH_CHARS = {"libreoffice": 40_000, "gnome": 15_000}
HELD_OUT_CODE_CHARS = 170_000
HELD_OUT_PAIRS = 200
# Keeps the whole directory below 6 MB compressed.
ENGLISH_CHARS = 4_600_000
CODE_CHARS = 8_200_000

SKIPPED_CODE_FOLDERS = words(
    "__pycache__ __phello__ test tests idlelib site-packages dist-packages encodings pydoc_data lib-dynload "
    "msilib _bundled"
)
# Tables and generated values, not code to learn from; _sysconfigdata also holds one machine's paths.
SKIPPED_CODE_FILES = ("_sysconfigdata_*.py", "html/entities.py", "config-*/*", "_compat_pickle.py")


@dataclass(frozen=True)
class Package:
    """One unpacked Debian package."""

    name: str
    version: str
    root: Path


def run(*command: str, folder: Path | None = None) -> str:
    """Run a command and give its output; a failure is one sentence with what the command said."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise RuntimeError(f"The command {command[0]} is not installed; the builder needs a Debian system.") from error
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:2])} failed: {done.stderr.strip()}")
    return done.stdout


def unpack(packages: Path | None, work: Path, names: tuple[str, ...] = PACKAGES) -> dict[str, Package]:
    """Unpack each package of ``names`` below `work`, from the .deb files in `packages` or else freshly downloaded."""
    archives = packages or work / "archives"
    if packages is None:
        archives.mkdir()
        # apt drops its rights while it downloads and warns if it may not write here; it downloads all the same.
        run("apt-get", "download", *names, folder=archives)
    unpacked = {}
    for name in names:
        found = sorted(archives.glob(f"{name}_*.deb"))
        if len(found) != 1:
            raise RuntimeError(f"Expected one {name}_*.deb in {archives}, found {len(found)}.")
        root = work / name
        run("dpkg-deb", "-x", str(found[0]), str(root))
        unpacked[name] = Package(name, run("dpkg-deb", "-f", str(found[0]), "Version").strip(), root)
    return unpacked


def document(identifier: str, text: str, url: str, title: str, package: Package) -> Row:
    """One row of a corpus of documents."""
    meta = {"title": title, "package": package.name, "version": package.version}
    return {"id": identifier, "text": text, "url": url, "license": LICENSES[package.name], "meta": meta}


def libreoffice_pages(package: Package, language: str) -> dict[str, Page]:
    """LibreOffice's help pages by path; the path is the same in every language."""
    root = package.root / "usr/share/libreoffice/help" / language / "text"
    return {path.relative_to(root).as_posix(): html_page(path.read_text("utf-8")) for path in root.rglob("*.html")}


def libreoffice_documents(package: Package, pages: dict[str, Page], language: str) -> list[Row]:
    """One document a page; untranslated pages stay in."""
    name = f"libreoffice-help-{language}"
    return [
        document(f"{name}/{path}", page.text, f"debian:{package.name}/text/{path}", page.title, package)
        for path, page in pages.items()
        if page.text
    ]


def libreoffice_pairs(english: dict[str, Page], finnish: dict[str, Page]) -> list[Row]:
    """English and Finnish texts of the same element on the same page."""
    return [
        {
            "id": f"libreoffice-pairs/{path}#{element}",
            "en": source,
            "fi": target,
            "license": LICENSES["libreoffice-help-fi"],
        }
        for path in sorted(english.keys() & finnish.keys())
        for element, source, target in aligned_pairs(english[path], finnish[path])
    ]


def gnome_documents(package: Package, locale: str, language: str) -> list[Row]:
    """GNOME's help pages in one language."""
    root = package.root / "usr/share/help" / locale
    rows = []
    for path in root.rglob("*.page"):
        page, relative = mallard_page(path.read_text("utf-8")), path.relative_to(root)
        if page.text:
            url = f"debian:{package.name}/{relative.parts[0]}/{language}/{'/'.join(relative.parts[1:])}"
            identifier = f"gnome-help-{language}/{relative.as_posix()}"
            rows.append(document(identifier, page.text, url, page.title, package))
    return rows


def manpage_documents(package: Package) -> list[Row]:
    """The Finnish manual pages as plain text."""
    root = package.root / "usr/share/man/fi"
    rows = []
    for path in sorted(root.rglob("*.gz")):
        # A link is another name of a page that is there already.
        text = "" if path.is_symlink() else man_page(gzip.decompress(path.read_bytes()).decode("utf-8"))
        if text:
            relative = path.relative_to(root).as_posix().removesuffix(".gz")
            name, _, section = path.name.removesuffix(".gz").rpartition(".")
            url = f"debian:{package.name}/{relative}"
            title = f"{name}({section})"
            rows.append(document(f"manpages-fi/{relative}", text, url, title, package))
    return rows


def manpage_notices(package: Package) -> str:
    """The copyright notices in the manual pages' comments, each with the pages that carry it."""
    root = package.root / "usr/share/man/fi"
    pages: dict[str, list[str]] = {}
    for path in sorted(root.rglob("*.gz")):
        notice = "" if path.is_symlink() else troff_notice(gzip.decompress(path.read_bytes()).decode("utf-8"))
        if notice:
            pages.setdefault(notice, []).append(path.relative_to(root).as_posix().removesuffix(".gz"))
    return "\n\n".join(f"== {', '.join(names)}\n\n{notice}" for notice, names in pages.items()) + "\n"


def aptitude_documents(package: Package) -> list[Row]:
    """The Finnish user's manual of aptitude, one document a page."""
    root = package.root / "usr/share/doc/aptitude/html/fi"
    rows = []
    for path in root.glob("*.html"):
        page = html_page(path.read_text("utf-8"))
        if page.text:
            url = f"debian:{package.name}/html/fi/{path.name}"
            identifier = f"aptitude-doc-fi/{path.name}"
            rows.append(document(identifier, page.text, url, page.title, package))
    return rows


def code_files(root: Path) -> Iterator[Path]:
    """Source files of the standard library that hold code, not tests, data tables or applications."""
    for path in sorted(root.rglob("*.py")):
        relative = path.relative_to(root)
        skipped = SKIPPED_CODE_FOLDERS.intersection(relative.parts[:-1])
        if not skipped and not any(relative.match(pattern) for pattern in SKIPPED_CODE_FILES):
            yield path


def code_documents(root: Path) -> list[Row]:
    """The standard library of the interpreter that runs this, one document a file, text untouched."""
    package = Package("cpython", platform.python_version(), root)
    rows = []
    for path in code_files(root):
        relative = path.relative_to(root).as_posix()
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            # A few files declare another encoding; they are not worth a decoder.
            continue
        if text.strip():
            url = f"cpython:{package.version}/Lib/{relative}"
            rows.append(document(f"python-stdlib/{relative}", text, url, relative, package))
    return rows


def page_of(row: Row) -> str:
    """The page a row comes from, the same for both languages and for pairs."""
    return str(row["id"]).partition("/")[2].partition("#")[0]


def chosen_pages(rows: list[Row], chars: int, **limits: Any) -> set[str]:
    """The pages of the rows that `choose` takes."""
    chosen = set(choose(rows, chars, **limits))
    return {page_of(row) for row in rows if row["id"] in chosen}


def split(rows: list[Row], pages: set[str]) -> tuple[list[Row], list[Row]]:
    """(rows for training, rows of the held-out pages)."""
    return [row for row in rows if page_of(row) not in pages], [row for row in rows if page_of(row) in pages]


def build_libreoffice(packages: dict[str, Package]) -> dict[str, list[Row]]:
    """LibreOffice's three training sets and its parts of the held-out ones; a page is on one side in all of them."""
    finnish_pages = libreoffice_pages(packages["libreoffice-help-fi"], "fi")
    english_pages = libreoffice_pages(packages["libreoffice-help-en-us"], "en-US")
    finnish = libreoffice_documents(packages["libreoffice-help-fi"], finnish_pages, "fi")
    english = libreoffice_documents(packages["libreoffice-help-en-us"], english_pages, "en")
    in_finnish = chosen_pages(finnish, HELD_OUT_CHARS["libreoffice"], shortest=1400, finnish=True)
    others = [row for row in english if page_of(row) not in in_finnish]
    in_english = chosen_pages(others, HELD_OUT_ENGLISH_CHARS["libreoffice"], shortest=1000)

    finnish, held_finnish = split(finnish, in_finnish | in_english)
    english, held_english = split(english, in_finnish | in_english)
    pairs, held_pairs = split(libreoffice_pairs(english_pages, finnish_pages), in_finnish | in_english)
    trained = {line for row in finnish + english for line in row["text"].split("\n")}
    trained |= {row[side] for row in pairs for side in ("en", "fi")}
    return {
        "libreoffice_help_fi": finnish,
        "libreoffice_help_en": within(english, ENGLISH_CHARS),
        "libreoffice_pairs": first_of_each(pairs),
        "heldout_fi": [row for row in held_finnish if page_of(row) in in_finnish],
        "heldout_en": held_english,
        "heldout_pairs": choose_pairs(held_pairs, trained, HELD_OUT_PAIRS),
    }


def build_gnome(package: Package) -> dict[str, list[Row]]:
    """GNOME's two training sets and its parts of the held-out ones."""
    finnish, english = gnome_documents(package, "fi", "fi"), gnome_documents(package, "C", "en")
    in_finnish = chosen_pages(finnish, HELD_OUT_CHARS["gnome"], own_share=0.6, finnish=True)
    others = [row for row in english if page_of(row) not in in_finnish]
    in_english = chosen_pages(others, HELD_OUT_ENGLISH_CHARS["gnome"], shortest=1000)
    finnish, held_finnish = split(finnish, in_finnish | in_english)
    english, held_english = split(english, in_finnish | in_english)
    return {
        "gnome_help_fi": finnish,
        "gnome_help_en": english,
        "heldout_fi": [row for row in held_finnish if page_of(row) in in_finnish],
        "heldout_en": held_english,
    }


def build_single(
    name: str, held_out: str, rows: list[Row], chars: int, *, longest: int = 12_000, finnish: bool = True
) -> dict[str, list[Row]]:
    """The training set and the held-out part of a source that stands alone."""
    pages = chosen_pages(rows, chars, shortest=1000, longest=longest, own_share=0.5, finnish=finnish)
    kept, held = split(rows, pages)
    return {name: kept, held_out: held}


def build(packages: dict[str, Package], stdlib: Path) -> dict[str, list[Row]]:
    """Every file's rows by the file's name."""
    code = build_single(
        "python_stdlib", "heldout_code", code_documents(stdlib), HELD_OUT_CODE_CHARS, longest=20_000, finnish=False
    )
    parts = [
        build_libreoffice(packages),
        build_gnome(packages["gnome-user-docs"]),
        build_single(
            "manpages_fi", "heldout_fi", manpage_documents(packages["manpages-fi"]), HELD_OUT_CHARS["manpages"]
        ),
        build_single(
            "aptitude_doc_fi", "heldout_fi", aptitude_documents(packages["aptitude-doc-fi"]), HELD_OUT_CHARS["aptitude"]
        ),
        code | {"python_stdlib": within(code["python_stdlib"], CODE_CHARS)},
    ]
    corpora: dict[str, list[Row]] = {}
    for part in parts:
        for name, rows in part.items():
            corpora.setdefault(name, []).extend(rows)
    return corpora


def main(arguments: list[str] | None = None) -> int:
    """Build all files and print a table of them."""
    parser = argparse.ArgumentParser(description="Build Tokka's demo corpora from Debian packages.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the .jsonl.gz files")
    parser.add_argument("--packages", type=Path, help="folder with the .deb files; without it apt-get downloads them")
    parser.add_argument("--stdlib", type=Path, default=Path(sysconfig.get_path("stdlib")), help="Python's Lib folder")
    parser.add_argument("--notices", type=Path, help="file for the copyright notices of the manual pages' comments")
    options = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="tokka-demo-") as work:
            packages = unpack(options.packages, Path(work))
            corpora = build(packages, options.stdlib)
            if options.notices:
                options.notices.parent.mkdir(parents=True, exist_ok=True)
                options.notices.write_text(manpage_notices(packages["manpages-fi"]), "utf-8")
    except (RuntimeError, ValueError, OSError) as error:
        print(f"The demo corpora were not built. {error}", file=sys.stderr)
        return 1
    options.out.mkdir(parents=True, exist_ok=True)
    print("| file | rows | MB of text | kB compressed |\n|---|---|---|---|")
    total = 0
    for name, rows in sorted(corpora.items()):
        size = write_rows(options.out / f"{name}.jsonl.gz", rows)
        chars = sum(len((row.get("text") or row["en"] + row["fi"]).encode()) for row in rows)
        total += size
        print(f"| {name} | {len(rows):,} | {chars / 1e6:.2f} | {size / 1e3:,.0f} |")
    print(f"| together | | | {total / 1e3:,.0f} |")
    for package in packages.values():
        print(f"{package.name} {package.version}")
    print(f"cpython {platform.python_version()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
