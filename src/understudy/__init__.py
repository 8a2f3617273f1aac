"""Understudy keeps a stack recoverable, and proves it.

One loop runs through everything: the stack file is planned (pure), the plan is carried out in steps (effects), each step
leaves evidence (recorded), and the evidence is judged (pure). A drill and a disaster run the same code.

The rooms and what belongs in each are in ``docs/ARCHITECTURE.md``; ``import-linter`` enforces the rows.
"""

__version__ = "0.1.0"
