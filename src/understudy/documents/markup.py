"""HTML that is put together element by element: every text and every attribute is escaped here, and nowhere is it left out.

What stands on a page comes from stack files, file names, servers and error messages. So text becomes ``Markup`` only through
``element``; there is no way to hand in finished HTML but the style sheet, which is ours.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import TypeAlias

_VOID = frozenset({"meta", "br", "hr"})
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
_KEPT_CONTROLS = "\n\t"


class Markup:
    """HTML that ``element`` made."""

    __slots__ = ("html",)

    def __init__(self, made: str) -> None:
        self.html = made

    def __repr__(self) -> str:
        return f"Markup({self.html!r})"


Child: TypeAlias = "Markup | str | int | float | Iterable[Child] | None"


def element(name: str, /, *children: Child, **attributes: str | float | None) -> Markup:
    """``<name attribute="…">children</name>``.

    Args:
        children: Texts, which are escaped, markup, and iterables of both; None is nothing.
        attributes: By their names, where ``_`` stands for ``-`` and one at the end for nothing (``class_``, ``aria_hidden``).
            Those that are None are left out.
    """
    return raw_element(name, {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}, *children)


def raw_element(name: str, attributes: Mapping[str, str | float | None], *children: Child) -> Markup:
    """As ``element``, for attributes whose names are no Python names (``viewBox``)."""
    for each in (name, *attributes):
        if not _NAME.fullmatch(each):
            raise ValueError(f"not a name in HTML: {each!r}")
    said = "".join(f' {key}="{escaped(str(value))}"' for key, value in attributes.items() if value is not None)
    if name in _VOID:
        return Markup(f"<{name}{said}>")
    return Markup(f"<{name}{said}>{joined(children)}</{name}>")


def style_sheet(css: str) -> Markup:
    """The one text that is not escaped: a style sheet of this package.

    Raises:
        ValueError: it would end its element.
    """
    if "<" in css:
        raise ValueError("a style sheet does not hold '<'")
    return Markup(f"<style>{css}</style>")


def joined(children: Child) -> str:
    if children is None:
        return ""
    if isinstance(children, Markup):
        return children.html
    if isinstance(children, str):
        return escaped(children)
    if isinstance(children, int | float):
        return escaped(str(children))
    return "".join(map(joined, children))


def escaped(text: str) -> str:
    """Safe as text and in an attribute's quotation marks. What cannot be seen, or turns the reading direction, is spelled out."""
    return html.escape(spelled_out(text), quote=True)


def spelled_out(text: str) -> str:
    """What cannot be seen, or turns the reading direction, is written as what it is; nothing else is changed."""
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cs") and character not in _KEPT_CONTROLS:
        return f"\\u{ord(character):04x}"
    return character
