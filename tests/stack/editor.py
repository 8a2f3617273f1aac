"""A stack file as an editor sees it: read as YAML 1.2 has it, and held against the JSON Schema."""

import json
import re

import yaml
from jsonschema import Draft202012Validator

from understudy.stack.editor_schema import schema

_EDITOR = Draft202012Validator(json.loads(schema()))


class EditorYaml(yaml.SafeLoader):
    """The core schema of YAML 1.2, as editors go by it; PyYAML's own takes ``no`` for a truth and ``1:30`` for a number."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012, PyYAML's own shape


for tag, pattern, first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+0123456789.")),
):
    EditorYaml.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})$"), first)


def underlined(text):
    """Where an editor underlines the file, as ``path: key of the schema``."""
    told = yaml.load(text, EditorYaml)  # noqa: S506, a SafeLoader
    return [f"{error.json_path}: {error.validator}" for error in _EDITOR.iter_errors(told)]
