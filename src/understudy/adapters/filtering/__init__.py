"""A child process as a filter over a stream, for the adapters that run a program so.

Belongs here: feeding a child, reading it, and its end, however either side ends.
Does not belong here: which program that is, and what its exit status and words mean (the adapter that runs it).
"""
