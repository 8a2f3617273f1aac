"""What the core needs of the outside world, as Protocols whose docstrings are promises.

Belongs here: Protocols, the frozen values that cross them, and ``World``, which bundles them for a step. A port exists when
two real adapters, or one and a failing-world test, need it; each has one contract suite under ``tests/contracts``.
Does not belong here: implementations, decisions, defaults that a person may want to set (those are the stack file's).
"""
