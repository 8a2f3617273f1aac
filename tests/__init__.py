"""The tests, in rooms that mirror ``src/understudy``."""
