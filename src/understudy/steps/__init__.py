"""One effect each, and their JSON form.

Belongs here: frozen dataclasses with ``key``, ``time_limit`` and ``run(world)``, that look before they act, named by verbs.
Does not belong here: deciding what to do (``plan``), measuring how a run went (``judge``), the stack file, SQL dialects and
command lines of programs (``adapters``).
"""
