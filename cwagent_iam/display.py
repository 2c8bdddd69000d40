"""How results are shown: pure functions from rows of text to text or HTML.

The HTML holds the text, escaped, and nothing that changes from run to run, so that a notebook's
output can be compared and searched.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def counts(symbols: Sequence[str]) -> str:
    """Say how many changes add (``+``), change (``~``) and remove (``-``) something."""
    added, changed, removed = (symbols.count(symbol) for symbol in "+~-")
    return f"{added} to add, {changed} to change, {removed} to remove."


def html_block(title: str, text: str) -> str:
    """Show *text* under *title*, for ``_repr_html_``; everything is escaped."""
    return (
        f'<div class="cwagent-iam"><b>{html.escape(title)}</b><pre>{html.escape(text)}</pre></div>'
    )
