"""Display: counts in words, and HTML that is the text, escaped."""

from __future__ import annotations

import html
from html.parser import HTMLParser

import pytest
from hypothesis import given, strategies as st

from cwagent_iam import ChangeSet, diff, plan_agent_role
from cwagent_iam.display import counts, html_block
from cwagent_iam.state import State


class Reader(HTMLParser):
    """What a browser would make of HTML: elements, and the text in each."""

    def __init__(self) -> None:
        """Start with nothing read."""
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, attrs))
        self.texts.append("")

    def handle_data(self, data: str) -> None:
        """Note text in the element that began last."""
        self.texts[-1] += data


def read(source: str) -> Reader:
    """Read HTML as a browser would."""
    reader = Reader()
    reader.feed(source)
    reader.close()
    return reader


@pytest.mark.parametrize(
    ("symbols", "text"),
    [
        ("", "0 to add, 0 to change, 0 to remove."),
        ("+", "1 to add, 0 to change, 0 to remove."),
        ("~", "0 to add, 1 to change, 0 to remove."),
        ("-", "0 to add, 0 to change, 1 to remove."),
        ("-+~+-+", "3 to add, 1 to change, 2 to remove."),
    ],
)
def test_changes_are_counted_by_what_they_do(symbols: str, text: str) -> None:
    """Additions, changes and removals are counted, in this order, whatever theirs is."""
    assert counts(list(symbols)) == text
    assert counts(tuple(symbols)) == text


@given(st.lists(st.sampled_from("+~-")))
def test_the_counts_add_up(symbols: list[str]) -> None:
    """Each change is counted once."""
    numbers = [int(word) for word in counts(symbols).split() if word.isdigit()]
    assert numbers == [symbols.count(symbol) for symbol in "+~-"]


def test_a_block_is_a_title_and_preformatted_text() -> None:
    """The HTML is small, has a class to style it by, and nothing that changes between runs."""
    assert html_block("Title", "one\n two") == (
        '<div class="cwagent-iam"><b>Title</b><pre>one\n two</pre></div>'
    )
    assert html_block("Title", "one\n two") == html_block("Title", "one\n two")


HOSTILE = {
    "script": "<script>alert(1)</script>",
    "end of the block": "</pre></div><script src=//example.org></script>",
    "attribute": "<img src=x onerror='alert(1)'>",
    "quotes": "\"double\" and 'single'",
    "ampersand": "R&D &amp; &lt;b&gt; &#60;",
    "comment": "<!-- hidden -->",
    "declaration": "<!DOCTYPE x><?php x ?><![CDATA[x]]>",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_markup_in_the_text_is_shown_not_obeyed(text: str) -> None:
    """A browser sees three elements, and in them title and text to the letter."""
    page = read(html_block(text, text))
    assert page.elements == [("div", [("class", "cwagent-iam")]), ("b", []), ("pre", [])]
    assert page.texts == ["", text, text]
    assert html.escape(text) in html_block("", text)
    assert html.escape(text) in html_block(text, "")


@given(st.text(), st.text())
def test_no_text_breaks_out_of_the_block(title: str, text: str) -> None:
    """Whatever the text, the only markup is that of the block."""
    block = html_block(title, text)
    assert (block.count("<"), block.count(">")) == (6, 6)
    assert block.count('"') == 2
    assert html.unescape(html.escape(text)) == text


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_description_cannot_smuggle_markup_into_a_notebook(text: str) -> None:
    """What intent puts into a description is text in the HTML of a ChangeSet."""
    changes = diff(plan_agent_role(description=text), State())
    assert isinstance(changes, ChangeSet)
    page = read(changes._repr_html_())
    assert [tag for tag, _ in page.elements] == ["div", "b", "pre"]
    assert page.texts[-1] == str(changes)
    assert changes._repr_html_() == diff(plan_agent_role(description=text), State())._repr_html_()
