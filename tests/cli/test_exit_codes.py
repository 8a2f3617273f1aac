"""The table of exit codes knows the codes that are raised, and no others."""

from pathlib import Path

import pytest

import understudy
from understudy.cli.exit_codes import CODES

SOURCES = {path: path.read_text() for path in Path(understudy.__file__).parent.rglob("*.py") if path.name != "exit_codes.py"}


@pytest.mark.parametrize("code", CODES)
def test_every_code_with_an_exit_code_of_its_own_is_raised_somewhere(code):
    assert [path for path, text in SOURCES.items() if f'"{code}"' in text] != []
