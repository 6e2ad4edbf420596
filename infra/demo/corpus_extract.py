"""Turn help pages (HTML, Mallard, man) into plain text, one paragraph or heading a line."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree


def words(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


BLOCK_TAGS = words(
    "address article blockquote body caption center dd details div dl dt fieldset figcaption figure form "
    "h1 h2 h3 h4 h5 h6 hr li main ol p pre section summary table tbody td tfoot th thead title tr ul"
)
VOID_TAGS = words("area base br col embed hr img input link meta param source track wbr")
# Page furniture, not content: menus, side bars, search boxes, the debug footer of LibreOffice's help.
SKIPPED_TAGS = words("aside button footer header label nav noscript script style svg template")
SKIPPED_CLASSES = frozenset({"navheader", "navfooter", "toc"})
ALIGNED_TAGS = words("h1 h2 h3 h4 h5 h6 p")

MALLARD_SKIPPED = words("comment include info links")
MALLARD_PREFORMATTED = frozenset({"code", "screen"})
MALLARD_BLOCKS = words(
    "choose cite code comment desc else example figure if item list listing media note p page quote screen section "
    "steps subtitle synopsis table tbody td terms tfoot th thead title tr tree when"
)

SPACES = re.compile(r"[ \t\r\n\f\v\u00a0]+")
# Wide enough that troff never fills a second line: a paragraph stays one line, as in the other sources.
TROFF_LINE = "20000n"
MAN_INDENT = 7
WIDE_SENTENCE_GAP = re.compile(r"(?<=[.!?:;,)]) {2}(?=\S)")
TROFF_COMMENT = re.compile(r"[.']?\s*\\\"")
NOTICE_WORD = re.compile(r"copyright|licen[cs]e|redistribut|permission|warrant|liab|public domain", re.IGNORECASE)
TROFF_DASHES = str.maketrans({"\u2010": "-", "\u2212": "-", "\u00ad": None})


@dataclass
class Page:
    """A page's title, its text lines, and the text of each heading or paragraph that has an id."""

    title: str = ""
    lines: list[str] = field(default_factory=list)
    by_id: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)


class _PageParser(HTMLParser):
    """Collect block texts; whatever stands inside page furniture is left out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._stack: list[tuple[str, bool]] = []
        self._skipped = 0
        self._preformatted = 0
        self._parts: list[str] = []
        self._id: str | None = None
        self._repeated: set[str] = set()
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "br":
            self._parts.append("\n")
        if tag in BLOCK_TAGS:
            self._end_block()
        if tag in VOID_TAGS:
            return
        skips = tag in SKIPPED_TAGS or bool(SKIPPED_CLASSES.intersection((values.get("class") or "").split()))
        self._stack.append((tag, skips))
        self._skipped += skips
        self._preformatted += tag == "pre"
        if tag == "title":
            self._in_title = True
        if tag in ALIGNED_TAGS:
            self._id = values.get("id")

    def handle_endtag(self, tag: str) -> None:
        if tag in BLOCK_TAGS:
            self._end_block()
        if all(opened != tag for opened, _ in self._stack):
            return
        while self._stack:
            opened, skips = self._stack.pop()
            self._skipped -= skips
            self._preformatted -= opened == "pre"
            if opened == tag:
                break
        if tag == "title":
            self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._skipped:
            return
        # Line ends in the source mean nothing outside <pre>; only <br> breaks a line there.
        self._parts.append(data if self._preformatted else SPACES.sub(" ", data))

    def close(self) -> None:
        super().close()
        self._end_block()

    def _end_block(self) -> None:
        raw, self._parts = "".join(self._parts), []
        identifier, self._id = self._id, None
        if self._preformatted:
            lines = _code_lines(raw)
        else:
            lines = [line for line in (collapse(part) for part in raw.split("\n")) if line]
        if not lines or self._skipped:
            return
        if self._in_title:
            self.page.title = " ".join(lines)
            return
        self.page.lines.extend(lines)
        if identifier and identifier not in self._repeated:
            if identifier in self.page.by_id:
                # An id that stands twice on a page aligns with nothing for certain.
                del self.page.by_id[identifier]
                self._repeated.add(identifier)
            else:
                self.page.by_id[identifier] = " ".join(lines)


def collapse(text: str) -> str:
    """Runs of white space as one space, none at the ends."""
    return SPACES.sub(" ", text).strip()


def _code_lines(raw: str) -> list[str]:
    lines = [line.rstrip().replace("\u00a0", " ") for line in raw.split("\n")]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    return lines


def html_page(source: str) -> Page:
    """Read an HTML help page without its navigation, scripts and styles."""
    parser = _PageParser()
    parser.feed(source)
    parser.close()
    return parser.page


def aligned_pairs(english: Page, finnish: Page) -> list[tuple[str, str, str]]:
    """(element id, English, Finnish) for ids on both pages whose texts differ: equal ones are untranslated."""
    return [
        (identifier, text, finnish.by_id[identifier])
        for identifier, text in english.by_id.items()
        if identifier in finnish.by_id and finnish.by_id[identifier] != text
    ]


def mallard_page(source: str) -> Page:
    """Read a Mallard page: titles, paragraphs, list items, table cells, code listings."""
    try:
        root = ElementTree.fromstring(source)
    except ElementTree.ParseError as error:
        raise ValueError(f"A Mallard page is not well-formed XML: {error}.") from error
    page = Page()
    parts: list[str] = []

    def end_block(preformatted: bool = False) -> None:
        raw = "".join(parts)
        parts.clear()
        lines = _code_lines(raw) if preformatted else [collapse(raw)]
        page.lines.extend(line for line in lines if line or preformatted)

    def walk(element: ElementTree.Element, inline: bool) -> None:
        name = element.tag.rpartition("}")[2]
        if name not in MALLARD_SKIPPED:
            # <code> is a listing between blocks, but an ordinary word inside a paragraph.
            block = name in MALLARD_BLOCKS and not (inline and name in MALLARD_PREFORMATTED | {"media", "cite"})
            preformatted = block and name in MALLARD_PREFORMATTED
            if block:
                end_block()
            parts.append(element.text or "")
            for child in element:
                walk(child, inline or name in {"p", "title", "subtitle", "desc", "cite"} or preformatted)
            if block:
                end_block(preformatted)
        parts.append(element.tail or "")

    root.tail = None
    walk(root, False)
    end_block()
    title = next((child for child in root if child.tag.rpartition("}")[2] == "title"), None)
    page.title = collapse("".join(title.itertext())) if title is not None else ""
    return page


def clean_troff_output(rendered: str) -> str:
    """Rendered man page as text: no page header or footer, no body margin, one blank line at most."""
    lines = [line.rstrip() for line in rendered.translate(TROFF_DASHES).split("\n")]
    filled = [number for number, line in enumerate(lines) if line]
    if len(filled) < 3:
        return ""
    kept: list[str] = []
    for line in lines[filled[0] + 1 : filled[-1]]:
        indent = len(line) - len(line.lstrip(" "))
        cleaned = WIDE_SENTENCE_GAP.sub(" ", line[min(indent, MAN_INDENT) :].replace("\u00a0", " "))
        if cleaned or (kept and kept[-1]):
            kept.append(cleaned)
    return "\n".join(kept).strip("\n")


def troff_notice(source: str) -> str:
    """The comments of a man page's source from the first to the last copyright or licence line; '' if none.

    Rendering drops comments, and their notices have to go along with the text.
    """
    stripped = [line.lstrip(".'\\\"").strip() for line in source.split("\n") if TROFF_COMMENT.match(line)]
    # A ruled line is decoration; it ends a paragraph as an empty one does.
    comments = [line if line.strip("=*-_ ") else "" for line in stripped]
    telling = [number for number, line in enumerate(comments) if NOTICE_WORD.search(line)]
    if not telling:
        return ""
    # A licence's last sentences do not name it; the notice goes on to the next empty comment line.
    end = telling[-1]
    while end + 1 < len(comments) and comments[end + 1]:
        end += 1
    return "\n".join(comments[telling[0] : end + 1])


def man_page(source: str) -> str:
    """Render man or mdoc source with groff, unadorned and unwrapped; a page that only points elsewhere gives ''."""
    if source.startswith(".so "):
        return ""
    if shutil.which("groff") is None:
        raise RuntimeError("groff is needed to render the manual pages; install Debian's groff-base.")
    # -c, -b, -o, -u: no colours, no overstriking, no underlining in the terminal output.
    command = ["groff", "-Kutf8", "-t", "-mandoc", "-Tutf8", "-P-cbou", f"-rLL={TROFF_LINE}", "-rHY=0"]
    done = subprocess.run(command, input=source.encode(), capture_output=True, check=False, timeout=60)
    if done.returncode:
        raise RuntimeError(f"groff could not render a manual page: {done.stderr.decode(errors='replace').strip()}")
    return clean_troff_output(done.stdout.decode())
