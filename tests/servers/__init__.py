"""Real servers for the tests, started and killed here and nowhere else; and ``understudy`` itself, in processes of its own.

``programs.run`` and ``programs.start`` are ``subprocess.run`` and ``Popen`` for it. It is started 600 times, and most of what a
start costs is imports. So each process of tests has one beside it that has everything imported and has called nothing
(``prepared_program``). What that one forks begins and ends as ``python -m`` does (``test_programs`` compares the two), and
``tests/cli/test_fresh_starts.py`` really starts each command, for an import that is missing.

Belongs here: fixtures that run a real program in a directory of its own, and the writers whose ledgers prove a loss.
Does not belong here: tests, and anything that imitates a server.
"""
