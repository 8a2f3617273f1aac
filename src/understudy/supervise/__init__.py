"""What runs for ever: loops that bring what is observed to what is declared.

Belongs here: keeping WAL streaming and shipped, sampling exposure, starting what a schedule says. Each is handed what it calls.
Does not belong here: deciding when a backup is due (``plan``), what exposure means (``judge``), carrying plans out (``runner``).
"""
