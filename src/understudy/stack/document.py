"""YAML as text with places: the only reader of YAML.

All scalars stay text, because the model knows what each is: ``no`` is a name where a name is expected, ``1:30`` is no number.
What only serves to write less (anchors, aliases, merge keys) or to change types (tags) is refused: what a resource has stands
beneath its name, and every line number in a message is the line to change.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader, ReaderError
from yaml.resolver import BaseResolver
from yaml.scanner import Scanner

from understudy.stack.mistakes import Mistake, shown

TextTree: TypeAlias = "str | list[TextTree] | dict[str, TextTree]"
Path = tuple[str | int, ...]

_DEEPEST = 20
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_ALIAS = "alias"


@dataclass(frozen=True, slots=True)
class Place:
    line: int
    column: int


@dataclass(slots=True)
class Document:
    """A file's text, where each part of it stands, and what was wrong before any model looked at it."""

    file: str
    tree: TextTree | None = None
    keys: dict[Path, Place] = field(default_factory=dict)
    """Where the key (or the list's item) begins."""
    values: dict[Path, Place] = field(default_factory=dict)
    broken: set[Path] = field(default_factory=set)
    """Parts that were reported already and are left out of the tree."""
    mistakes: list[Mistake] = field(default_factory=list)

    def report(self, place: Place, path: Path, value: str, expected: str) -> None:
        self.mistakes.append(Mistake(self.file, place.line, place.column, spell(path), value, expected))


def spell(path: Path) -> str:
    """``resources.orders.checks[0].sql``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{shown(part)}"
    return text.removeprefix(".")


def read_document(text: str, file: str) -> Document:
    """Never raises for any text: what is wrong is in ``mistakes``, and without a ``tree`` nothing could be read."""
    document = Document(file)
    try:
        composer = _TextComposer(text, document)
        root = composer.get_single_node()
    except yaml.MarkedYAMLError as error:
        _report_malformed(document, error)
    except ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
        document.report(place, (), f"the character U+{ord(text[error.position]):04X}", "text that can be printed")
    except (ValueError, OverflowError):
        # The scanner calls chr() and int() on what it finds in escapes and directives.
        mark = composer.get_mark()
        document.report(Place(mark.line + 1, mark.column + 1), (), "a number out of range", "well-formed YAML")
    else:
        if root is None:
            document.report(Place(1, 1), (), "an empty file", "a stack file")
        else:
            document.tree = _tree(root, (), document)
    return document


def compose(text: str) -> Node:
    """The root of a text that ``read_document`` found nothing wrong with; its nodes know where they stand."""
    root = _TextComposer(text, Document("")).get_single_node()
    if root is None:
        raise ValueError("an empty file")
    return root


class _TextComposer(Reader, Scanner, Parser, Composer, BaseResolver):
    """PyYAML's own front half, without the half that makes values of it."""

    def __init__(self, text: str, document: Document) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)
        BaseResolver.__init__(self)
        self._document = document
        self._depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        place = _place(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]
            # Its name is not repeated: it may be the beginning of a password.
            self._document.report(
                place, (), "an alias (*…)", "the value itself, or the text in quotes: aliases are not read here"
            )
            return ScalarNode(_ALIAS, "", event.start_mark, event.end_mark)  # type: ignore[arg-type]
        if event.anchor is not None:
            self._document.report(place, (), "an anchor (&…)", "no anchor, or the text in quotes")
            event.anchor = None
        if event.tag not in (None, "!"):
            self._document.report(place, (), "a tag (!…)", "no tag, or the text in quotes")
        event.tag = None
        if self._depth >= _DEEPEST:
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {_DEEPEST} levels", problem_mark=event.start_mark)
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1


def _place(mark: yaml.Mark) -> Place:
    return Place(mark.line + 1, mark.column + 1)


def _tree(node: Node, path: Path, document: Document) -> TextTree | None:
    """The node's text; None when it was reported and must be left out."""
    place = _place(node.start_mark)
    document.values[path] = place
    document.keys.setdefault(path, place)
    if isinstance(node, MappingNode):
        return _mapping(node, path, document)
    if isinstance(node, SequenceNode):
        items = (_tree(item, (*path, index), document) for index, item in enumerate(node.value))
        return [item if item is not None else "" for item in items]
    if node.tag == _ALIAS:
        document.broken.add(path)
        return None
    if isinstance(node, ScalarNode) and node.style is None and node.value in _NULLS:
        expected = "a value; leave the key out when there is none"
        document.report(document.keys[path], path, node.value or "nothing", expected)
        document.broken.add(path)
        return None
    if re.search("[\ud800-\udfff]", node.value):
        document.report(place, path, "half a character (an escape from U+D800 to U+DFFF)", "whole characters")
        document.broken.add(path)
        return None
    return str(node.value)


def _mapping(node: MappingNode, path: Path, document: Document) -> TextTree:
    found: dict[str, TextTree] = {}
    first_places: dict[str, Place] = {}
    for key_node, value_node in node.value:
        place = _place(key_node.start_mark)
        if not isinstance(key_node, ScalarNode) or key_node.tag == _ALIAS or re.search("[\ud800-\udfff]", key_node.value):
            expected = "a plain name as key; a value that begins with { stands in quotes"
            document.report(place, path, "something else than text before the colon", expected)
            document.broken.add(path)
            continue
        key = str(key_node.value)
        here = (*path, key)
        if key in first_places:
            document.report(place, here, shown(key), f"each key once; it stands in line {first_places[key].line} already")
            continue
        first_places[key] = place
        document.keys[here] = place
        value = _tree(value_node, here, document)
        if value is not None:
            found[key] = value
    return found


def _report_malformed(document: Document, error: yaml.MarkedYAMLError) -> None:
    problem = error.problem or ""
    for fragment, value, expected in _EXPLAINED_AT_BEGINNING:
        # PyYAML notices these where the next line or the file ends; what is to be changed stands where they begin.
        if fragment in problem and error.context_mark:
            document.report(_place(error.context_mark), (), value, expected)
            return
    mark = error.problem_mark or error.context_mark
    place = _place(mark) if mark else Place(1, 1)
    for fragment, value, expected in _EXPLAINED:
        if fragment in problem:
            document.report(place, (), value, expected)
            return
    # Quoted pieces of the file, other than single characters and the parser's own <token names>, are not repeated.
    told = re.sub("'[^'<>]{2,}'", "…", problem)
    document.report(place, (), "text that is no YAML", f"well-formed YAML: {told}")


_EXPLAINED_AT_BEGINNING = (
    ("could not find expected ':'", "a line without a colon", "key: value, with a blank behind the colon"),
    ("found unexpected end of stream", "a quote that is never closed", "a quote at the end of the text too"),
)
_EXPLAINED = (
    ("found character '\\t'", "a tab", "blanks: YAML is not indented with tabs"),
    (
        "mapping values are not allowed here",
        "a second colon",
        "one key in a line, indented like its neighbours; a text that holds a colon and a blank stands in quotes",
    ),
    (
        "that cannot start any token",
        "a special character",
        "the text in quotes, because its first character has a meaning in YAML",
    ),
    ("but found another document", "a second document (---)", "one stack file, one document"),
)
