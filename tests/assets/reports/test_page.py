"""Reports as HTML and Markdown: whatever text they hold, it stays text."""

import base64
from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from assets.reports.page import Page, Section, as_html, as_markdown, cell, markdown_table, plot_name
from assets.stage import Plot, Table

HOSTILE = "<script>alert('x')</script> \"quoted\" & a|b </td></table> <img src=x onerror=y>"
# What no HTML document can hold as text: the parser, as browsers do, reads these as other characters.
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc",), include_characters="\n\t"))
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p"),
    *("table", "thead", "tbody", "tr", "th", "td", "img"),
}


class Reader(HTMLParser):
    """Collects the tags, their attributes, and the texts."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self.texts.append("")

    def handle_endtag(self, tag):
        self.texts.append("")

    def handle_data(self, data):
        self.texts[-1] += data


def page_of(text):
    plot = Plot(b"png", text)
    return Page(text, text, [Section(text, [text], [Table([{"name": text, text + "2": 1}])], [plot])])


PLAIN_TAGS = len(Reader(as_html(page_of("plain"))).tags)


@given(TEXT)
@example(HOSTILE)
@example("'\"><script>")
def test_html_shows_every_text_as_it_is_and_has_no_tag_of_its_own(text):
    read = Reader(as_html(page_of(text)))
    assert set(read.tags) <= TAGS
    assert len(read.tags) == PLAIN_TAGS
    assert {(tag, name) for tag, name, _ in read.attributes} == {
        *{("html", "lang"), ("meta", "charset"), ("td", "class"), ("img", "alt"), ("img", "src")}
    }
    assert ("img", "alt", text) in read.attributes
    if text:
        assert read.texts.count(text) >= 6
        assert text + "2" in read.texts


def test_html_holds_its_plots_and_asks_for_nothing_outside():
    html = as_html(page_of("Loss"))
    assert f"data:image/png;base64,{base64.b64encode(b'png').decode()}" in html
    assert "http" not in html and "src='data:" in html and html.count("src=") == 1


@given(TEXT)
@example(HOSTILE)
@example("one\r\ntwo\rthree\nfour")
@example("\\|")
def test_a_cell_of_a_markdown_table_stays_one_cell_and_is_no_html(text):
    table = markdown_table([{"name": text, "number": 1}])
    lines = table.replace("\r", "\n").split("\n")
    assert len(lines) == 3
    unescaped = [n for n, c in enumerate(lines[2]) if c == "|" and lines[2][n - 1] != "\\"]
    assert len(unescaped) == lines[0].count("|") == 3
    assert "<" not in lines[2]


def test_markdown_links_its_plots_by_the_names_of_their_files():
    plot = Plot(b"png", "Bits per character: over tokens")
    text = as_markdown(Page("Title", "Lead.", [Section("Scores", ["One."], [Table([])], [plot])]))
    assert plot_name(plot) == "bits-per-character-over-tokens.png"
    expected = ["# Title", "Lead.", "## Scores", "One.", "none", f"![{plot.title}]({plot_name(plot)})"]
    assert text == "\n\n".join(expected) + "\n"


def test_numbers_stand_right_and_names_left_in_markdown():
    rows = [{"name": "a", "n": 1, "mixed": 1, "yes": True}, {"name": "b", "n": 2.5, "mixed": None, "yes": False}]
    assert markdown_table(rows).split("\n")[1] == "|---|---:|---|---|"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "\N{EN DASH}"),
        (0, "0"),
        (0.0, "0"),
        (True, "yes"),
        (False, "no"),
        (1234567, "1,234,567"),
        (1234567.8, "1,234,568"),
        (0.123456, "0.1235"),
        ("text", "text"),
    ],
)
def test_values_are_written_as_people_read_them(value, shown):
    assert cell(value) == shown
