"""PostgreSQL: the servers that are protected, and those that a recovery brings up on this host.

Belongs here: connections and the replication protocol, PostgreSQL's programs and processes, and their texts in the error tree.
Does not belong here: what to back up or restore, when, and how to seal and store it.
"""
