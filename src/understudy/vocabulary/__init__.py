"""The words of the trade: identifiers, WAL positions, evidence, outcomes and the error tree.

Belongs here: small immutable values that every room speaks in, on the standard library alone.
Does not belong here: anything that reads a clock, a file or a socket, and anything that decides.
"""
