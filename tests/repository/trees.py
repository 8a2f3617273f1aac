"""Comparing directories byte for byte."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def tree(root: Path, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Each path below ``root`` with what it is: a directory, a link with its target, or a file's size and digest."""
    found: dict[str, str] = {}
    for where, directories, files in os.walk(root):
        for name in [*directories, *files]:
            path = Path(where) / name
            relative = path.relative_to(root).as_posix()
            if relative in without:
                continue
            if path.is_symlink():
                found[relative] = f"link to {path.readlink()}"
            elif path.is_dir():
                found[relative] = "directory"
            else:
                found[relative] = f"{path.stat().st_size} bytes {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return found
