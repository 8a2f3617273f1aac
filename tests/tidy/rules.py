"""The house's rules as functions from a source to what breaks them: ``(line, what)``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TypeAlias

from tests.tidy.sources import PRODUCT, Source, dotted_names, imported_modules

Finding: TypeAlias = tuple[int, str]

LONGEST_FILE_LINES = 400

CLOCKS = {
    "time.sleep",
    "time.time",
    "time.time_ns",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
}

EMPTY_NAMES = {"util", "utils", "helper", "helpers", "manager", "managers", "handler", "handlers", "common", "core", "misc"}

OWNERS = {
    "yaml": {"stack": "the stack file is the only YAML that is read"},
    "sqlite3": {
        "records": "the only user of the state database",
        "repository/snapshots": "the scratch index of one run, which holds nothing that the listings do not",
        "runner": "the engine's own database, and the faults that a busy SQLite raises through the engine",
    },
    "dbos": {"runner": "the only room that knows the engine"},
}

REVEALS = {
    "adapters/age/identity.py": "parses the identity",
    "adapters/filtering/filter_process.py": "hands the identity to age through a pipe",
    "adapters/gnupg/gnupg_program.py": "hands the secret keys to gpg through a pipe",
    "adapters/postgres/connection.py": "hands the connection string to libpq",
    "adapters/streams/operator_program.py": "keeps secrets out of what the operator's commands say",
    "adapters/streams/program.py": "hands secrets to the operator's command, and keeps them out of its last words",
    "adapters/streams/redis_address.py": "parses the URL of a Redis server, which may hold a password",
    "app/key_ring.py": "writes new keys into files of mode 0600",
    "app/recovery_kit.py": "the kit for the safe holds an age identity",
    "app/collections.py": "an endpoint is an address that may stand behind a reference",
    "app/sealers.py": "a public key that stands behind a reference is no secret",
    "app/stores.py": "an endpoint is an address that may stand behind a reference",
    "adapters/s3/wire.py": "hands the keys to the S3 client",
    "demo/servers.py": "makes its own servers with passwords of its own",
    "demo/understudy_command.py": "hands the demo's own secrets to the programs it starts, by environment",
    "repository/signing.py": "signs",
}
"""Where a secret's value may be taken out, and what for. A new line here wants a reason as good as these."""

ERRORS = ("UnderstudyError", "TryAgain", "GiveUp", "Refusal")
"""Those that say what is wrong; being cancelled is nothing wrong."""

SECRET_NAMES = re.compile(r"(^|_)(password|passphrase|secret|secret_key|signing_key|private_key|identity|token)$")
_NO_VALUES = {"system_identity"}


def asks_a_clock_of_its_own(source: Source) -> Iterator[Finding]:
    """Rule 6. Tests own time through a fake clock; they may stamp certificates, but never sleep."""
    if source.is_in(f"{PRODUCT}/adapters/clock"):
        return
    forbidden = CLOCKS if source.is_in(PRODUCT) else {"time.sleep"}
    for line, name in dotted_names(source):
        if name in forbidden:
            yield line, f"{name}: use the Clock port"


def mocks(source: Source) -> Iterator[Finding]:
    """Rule 6. Fakes pass the contract suites; mocks agree with whatever one believes."""
    for line, name in imported_modules(source):
        if name.startswith(("unittest.mock", "pytest_mock")) or name == "mock":
            yield line, f"{name}: write a fake that passes the port's contract suite"
    for node in source.nodes:
        if isinstance(node, ast.arg) and node.arg == "mocker":
            yield node.lineno, "mocker: write a fake that passes the port's contract suite"


def has_untyped_mappings(source: Source) -> Iterator[Finding]:
    """Rule 7."""
    if not source.is_in(PRODUCT) or source.path.name == "loader.py":
        return
    for node in source.nodes:
        if not isinstance(node, ast.Subscript) or not isinstance(node.slice, ast.Tuple):
            continue
        container, inside = ast.unparse(node.value).rpartition(".")[2], [ast.unparse(each) for each in node.slice.elts]
        if container in ("dict", "Dict", "Mapping", "MutableMapping") and inside[-1].rpartition(".")[2] == "Any":
            yield node.lineno, f"{ast.unparse(node)}: give the shape a name"


def is_too_long(source: Source) -> Iterator[Finding]:
    """Rule 7."""
    count = len(source.text.splitlines())
    if count > LONGEST_FILE_LINES:
        yield LONGEST_FILE_LINES, f"{count} lines: there are two stories in it"


def has_a_name_that_says_nothing(source: Source) -> Iterator[Finding]:
    """Rule 7."""
    for part in source.path.with_suffix("").parts:
        if EMPTY_NAMES & set(part.lower().split("_")):
            yield 1, f"{part}: name it after what it does"
    for node in source.nodes:
        if isinstance(node, ast.ClassDef) and EMPTY_NAMES & {word.lower() for word in re.findall(r"[A-Z][a-z0-9]*", node.name)}:
            yield node.lineno, f"class {node.name}: name it after what it is"


def is_a_package_without_a_purpose(source: Source) -> Iterator[Finding]:
    if not source.is_in(PRODUCT) or source.path.name != "__init__.py" or source.room == ".":
        return
    text = ast.get_docstring(source.tree) or ""
    if "Belongs here" not in text or "Does not belong here" not in text:
        yield 1, "its docstring must say what belongs here and what does not"


def reveals_a_secret(source: Source) -> Iterator[Finding]:
    """Rule 9."""
    if not source.is_in(PRODUCT) or str(source.path.relative_to(PRODUCT)) in REVEALS:
        return
    for line in lines_that_reveal(source):
        yield line, "Secret.reveal(): only at the point of use, in a file that the list of the rule names"


def lines_that_reveal(source: Source) -> Iterator[int]:
    for node in source.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "reveal":
            yield node.lineno


def keeps_a_secret_as_text(source: Source) -> Iterator[Finding]:
    """Rule 9: a value that is called a secret is of the type ``Secret`` (or a reference to one)."""
    if not source.is_in(PRODUCT):
        return
    for node in source.nodes:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, annotation = node.target.id, node.annotation
        elif isinstance(node, ast.arg) and node.annotation:
            name, annotation = node.arg, node.annotation
        else:
            continue
        words = set(re.findall(r"\w+", ast.unparse(annotation)))
        if SECRET_NAMES.search(name) and {"str", "bytes"} & words and name not in _NO_VALUES:
            yield node.lineno, f"{name}: {ast.unparse(annotation)}; expected vocabulary.Secret"


def imports_what_another_room_owns(source: Source) -> Iterator[Finding]:
    if not source.is_in(PRODUCT):
        return
    for line, name in imported_modules(source):
        owners = OWNERS.get(name.partition(".")[0], {source.room: ""})
        if not any(source.room == owner or source.room.startswith(f"{owner}/") for owner in owners):
            yield line, f"{name} belongs to {', '.join(owners)}"


def catches_everything(source: Source) -> Iterator[Finding]:
    """Only the runner's outermost loop may, and it records what it caught.

    What is raised again, or kept for another thread to raise, was not caught.
    """
    if not source.is_in(PRODUCT) or source.is_in(f"{PRODUCT}/runner"):
        return
    for node in source.nodes:
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = ast.unparse(node.type) if node.type else ""
        everything = not caught or bool({"Exception", "BaseException"} & set(re.findall(r"\w+", caught)))
        inside = [each for statement in node.body for each in ast.walk(statement)]
        kept = any(isinstance(each, ast.Assign) and ast.unparse(each.value) == node.name for each in inside)
        if everything and not kept and not any(isinstance(each, ast.Raise) for each in inside):
            yield node.lineno, f"except {caught}: name what can happen"


def leaves_out_what_an_error_says(source: Source) -> Iterator[Finding]:
    """Whoever reads an error at three in the morning is told what was found, what was expected, and what to do."""
    if not source.is_in(PRODUCT) or source.is_in(f"{PRODUCT}/vocabulary/errors.py"):
        return
    for node in source.nodes:
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: keyword.value for keyword in node.keywords}
        made = ast.unparse(node.func)
        if made.rpartition(".")[2] not in ERRORS and not (made == "super().__init__" and "found" in given):
            continue
        for part in ("found", "expected", "hint"):
            value = given.get(part)
            if value is None or (isinstance(value, ast.Constant) and not value.value):
                yield node.lineno, f"{ast.unparse(node)[:60]}: {part} is left out"


def classes(source: Source) -> Iterator[tuple[str, str]]:
    """Each class's name, and where it stands."""
    for node in source.nodes:
        if isinstance(node, ast.ClassDef):
            yield node.name, f"{source.path}:{node.lineno}"


def names_a_developers_machine(text: str, root: str) -> Iterator[Finding]:
    """A path that exists on one person's machine only."""
    for number, line in enumerate(text.splitlines(), start=1):
        for found in re.findall(rf"(?:/home/[a-z]\S*|/Users/\w\S*|/root/\S+|[A-Z]:\\Users\\\S*|{re.escape(root)}\S*)", line):
            yield number, f"{found}: write a path that every reader has"


RULES = (
    asks_a_clock_of_its_own,
    mocks,
    has_untyped_mappings,
    is_too_long,
    has_a_name_that_says_nothing,
    is_a_package_without_a_purpose,
    reveals_a_secret,
    keeps_a_secret_as_text,
    imports_what_another_room_owns,
    catches_everything,
    leaves_out_what_an_error_says,
)
