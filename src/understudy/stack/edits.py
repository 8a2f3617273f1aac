"""A stack file's text, changed in single places: whoever wrote its comments finds everything else as it was, byte for byte."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from yaml.nodes import CollectionNode, MappingNode, Node, ScalarNode, SequenceNode

from understudy.stack.document import Path, compose
from understudy.stack.template import scalar_text


class StackText:
    """Of a stack file that loads. Each change leaves a text that loads, if what is put in does."""

    def __init__(self, text: str) -> None:
        self.text = text

    def put(self, path: Path, value: str) -> None:
        """The one scalar at the path: in the place of the present value, or behind the last key beside it."""
        self._put_written(path, scalar_text(value))

    def put_mapping(self, path: Path, values: Mapping[str, str]) -> None:
        """In the place of all that stands at the path."""
        pairs = (f"{key}: {scalar_text(value)}" for key, value in values.items())
        self._put_written(path, f"{{{', '.join(pairs)}}}")

    def add(self, path: Path, value: str) -> None:
        """One more at the end of the list at the path, which is begun where there is none."""
        found = _node_at(compose(self.text), path)
        if not isinstance(found, SequenceNode):
            self._put_written(path, f"[{scalar_text(value)}]")
        elif found.flow_style:
            self._add_in_brackets(found, scalar_text(value), found.value[-1] if found.value else None)
        else:
            self._add_line(found, f"- {scalar_text(value)}", found.value[-1])

    def _put_written(self, path: Path, written: str) -> None:
        root = compose(self.text)
        found, above = _node_at(root, path), _node_at(root, path[:-1])
        if found is not None:
            self._splice(found.start_mark.index, self._end_of(found), written)
        elif not isinstance(above, MappingNode):
            self._put_written(path[:-1], f"{{{path[-1]}: {written}}}")
        elif above.flow_style:
            self._add_in_brackets(above, f"{path[-1]}: {written}", above.value[-1][1] if above.value else None)
        else:
            self._add_line(above, f"{path[-1]}: {written}", above.value[-1][1])

    def _add_in_brackets(self, collection: CollectionNode, written: str, last: Node | None) -> None:
        if last is None:
            self._splice(collection.start_mark.index + 1, self._end_of(collection) - 1, written)
        else:
            end = self._end_of(last)
            self._splice(end, end, f", {written}")

    def _add_line(self, collection: CollectionNode, written: str, last: Node) -> None:
        """Behind the line on which the last one ends, and whatever comment stands beside that."""
        line_end = self.text.find("\n", self._end_of(last))
        end = len(self.text) if line_end < 0 else line_end
        self._splice(end, end, f"\n{' ' * collection.start_mark.column}{written}")

    def _end_of(self, node: Node) -> int:
        """Behind its last character: PyYAML lets what is written in lines end where the next thing begins, comments included."""
        if isinstance(node, CollectionNode) and not node.flow_style:
            last = node.value[-1]
            return self._end_of(last if isinstance(last, Node) else last[1])
        end = cast(int, node.end_mark.index)
        while isinstance(node, ScalarNode) and self.text[end - 1].isspace():
            end -= 1
        return end

    def _splice(self, start: int, end: int, written: str) -> None:
        self.text = self.text[:start] + written + self.text[end:]


def _node_at(node: Node, path: Path) -> Node | None:
    for part in path:
        if not isinstance(node, MappingNode):
            return None
        below = next((value for key, value in node.value if isinstance(key, ScalarNode) and key.value == part), None)
        if below is None:
            return None
        node = below
    return node
