"""Real servers for the tests, started and killed here and nowhere else.

Belongs here: fixtures that run a real program in a directory of its own, and the writers whose ledgers prove a loss.
Does not belong here: tests, and anything that imitates a server.
"""
