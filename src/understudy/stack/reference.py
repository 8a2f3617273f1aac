"""The manual's page about the stack file and its JSON schema, made from the models, so that neither can be wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from pydantic.fields import FieldInfo

from understudy.stack.editor_schema import schema
from understudy.stack.loader import LARGEST_BYTES
from understudy.stack.models import Stack
from understudy.stack.shape import expectation_of, models_of
from understudy.stack.stack_part import StackPart

EXAMPLE_FILE = "stack-file.example.yaml"
PAGE_FILE = "stack-file.md"
SCHEMA_FILE = "stack-file.schema.json"

_INTRODUCTION = f"""\
# The stack file

*This page is generated from the models: `python -m understudy.stack.reference docs`.*

A stack file says what is protected, where copies are kept, and what a recovery must achieve. `understudy init` writes one for
a database that it finds; `understudy check` tells every mistake in it with line, column, the value found and what was expected.
Five keys are enough:

```yaml
stack: shop
repositories:
  near: {{url: file:///srv/recovery/shop}}
encryption: {{recipients: [age1esdgfvaq6sr6c7hn4pzkxjequ4xur3yrq0zvxfkmjh6ntpqfv3wqpm2y04]}}
resources:
  orders: {{kind: postgres, url: env:ORDERS_URL}}
```

## How values are written

- It is YAML, in UTF-8, at most {LARGEST_BYTES // 1024} KiB. Unknown keys, keys given twice, keys without a value, anchors,
  aliases, merge keys and tags are refused: what a resource has stands beneath its name.
- Every scalar is text until its key says what it is: `no` is a name where a name is expected. True and false are written
  `true` and `false`.
- A duration has its units, largest first: `500ms`, `10s`, `15m`, `1h30m`, `7d`.
- A size has its unit: `kB`, `MB`, `GB`, `TB` are powers of 1000, `KiB`, `MiB`, `GiB`, `TiB` powers of 1024, `B` is bytes.
  A rate is a size with `/s` behind it.
- A name has at most 40 characters: a letter from a to z, then letters, digits, `-` and `_`, a letter or digit last.
- A secret is never written down here. A reference says where it is: `env:NAME` is an environment variable, `file:/path` a
  file, whose last line break is left out. Keep such files at mode 0600. A reference is followed only when the secret is needed.
- Paths are absolute. A schedule is a cron expression of five fields: minute, hour, day, month, weekday.
- Every directory belongs to one thing: repositories, spools, recovery targets and tablespaces may not lie in one another.

The same, for editors: [{SCHEMA_FILE}]({SCHEMA_FILE}).
"""


def page(example: str) -> str:
    """The whole page, in Markdown."""
    sections = [_INTRODUCTION, *(_section(model, path) for model, path in _models(Stack, "")), _example_section(example)]
    return "\n".join(sections)


def _models(model: type[StackPart], path: str) -> Iterator[tuple[type[StackPart], str]]:
    """Each model once, in the order of the file, with the path at which it stands first."""
    seen: dict[type[StackPart], str] = {}
    waiting = [(model, path)]
    while waiting:
        current, at = waiting.pop(0)
        if current in seen:
            continue
        seen[current] = at
        waiting[:0] = [
            (found, f"{at}{name}{_step_inside(info)}")
            for name, info in current.model_fields.items()
            for found in models_of(info.annotation)
        ]
    yield from seen.items()


def _step_inside(info: FieldInfo) -> str:
    kind = expectation_of(info.rebuild_annotation()).name
    if kind.startswith("list"):
        return "[]."
    return ".<name>." if kind.startswith("names") else "."


def _section(model: type[StackPart], path: str) -> str:
    where = f"`{path.removesuffix('.')}`\n\n" if path else ""
    rows = [_row(name, info) for name, info in model.model_fields.items()]
    about = " ".join((model.__doc__ or "").split())
    table = "\n".join(["| Key | Value | Default | Meaning |", "|---|---|---|---|", *rows])
    return f"## {model.title}\n\n{where}{about}\n\n{table}\n"


def _row(name: str, info: FieldInfo) -> str:
    kind = expectation_of(info.rebuild_annotation())
    return f"| `{name}` | {kind.name} | {_default(info)} | {_cell(info.description or '')} |"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "**required**"
    default = info.get_default(call_default_factory=True, validated_data={})
    if isinstance(default, StackPart):
        given = default.model_dump(mode="json", exclude_none=True)
        short = all(not isinstance(value, (dict, list)) for value in given.values()) and info.default_factory is None
        return (
            f"`{{{', '.join(f'{key}: {value}' for key, value in given.items())}}}`"
            if short and len(given) <= 2 and given
            else "see there"
        )
    if default is None or default == () or default == {}:
        return "none"
    if isinstance(default, dict):
        return f"`{', '.join(default)}`"
    kind = expectation_of(info.rebuild_annotation())
    write = getattr(kind, "write", None)
    return f"`{json.dumps(default) if write is None else write(default)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _example_section(example: str) -> str:
    return f"## A file that says everything\n\n```yaml\n{example.strip()}\n```\n"


def main(directory: Path) -> None:
    """Write both files anew beside the example."""
    example = (directory / EXAMPLE_FILE).read_text(encoding="utf-8")
    (directory / PAGE_FILE).write_text(page(example), encoding="utf-8")
    (directory / SCHEMA_FILE).write_text(schema(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
