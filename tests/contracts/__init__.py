"""One suite per port: every adapter and every fake runs it.

Belongs here: what a port promises, as a class of tests over a fixture that the adapter's own tests supply.
Does not belong here: what only one adapter does.
"""
