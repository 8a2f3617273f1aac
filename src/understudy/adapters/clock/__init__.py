"""Time as the operating system tells it.

Belongs here: the only calls of the wall clock, the monotonic clock and sleep in the product.
Does not belong here: anything else.
"""
