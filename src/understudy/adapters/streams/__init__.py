"""Programs that are started for something: what they hand over as one stream and take back (the output of a command, the data of
a Redis server), and the operator's own commands.

Belongs here: starting such programs, keeping what they write until it is stored, their last words, trying out what came back.
Does not belong here: how snapshots are stored (``repository``), and which programs are started (``stack``).
"""
