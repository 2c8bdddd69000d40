"""How results are shown: pure functions from rows of text to text or HTML.

The HTML holds the text, escaped, and nothing that changes from run to run, so that a notebook's
output can be compared and searched.
"""

from __future__ import annotations

import html
import reprlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST = 100
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _LONGEST


def counts(symbols: Sequence[str]) -> str:
    """Say how many changes add (``+``), change (``~``) and remove (``-``) something."""
    added, changed, removed = (symbols.count(symbol) for symbol in "+~-")
    return f"{added} to add, {changed} to change, {removed} to remove."


def html_block(title: str, text: str) -> str:
    """Show *text* under *title*, for ``_repr_html_``; everything is escaped."""
    return (
        f'<div class="cwagent-iam"><b>{html.escape(title)}</b><pre>{html.escape(text)}</pre></div>'
    )


def shown(value: object) -> str:
    """Show *value* on one line of about 100 characters, whatever it is."""
    try:
        text = one_line(_SHORT.repr(value))
    except Exception:  # noqa: BLE001 - a broken repr must not hide what is wrong with the value
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def one_line(text: str) -> str:
    """Escape what does not print, so that no value can pass itself off as a line of its own."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
