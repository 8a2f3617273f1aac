"""A small real stack to try everything on: a database, a directory, a bucket, writers with a ledger, two repositories; destroyed
and recovered.

Belongs here: starting and destroying the demo's own servers, its workload with the ledger of what that was promised and did not
get back, the story it tells. It drives the command line as a user would, so that what it shows is what a user gets.
Does not belong here: anything that recovers or proves; a demo with abilities of its own would be a fake.
"""
