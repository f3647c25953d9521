"""Back-off: how long to wait after failures in a row, before what failed is tried again.

What may be tried again, how often, and what counts as a failure, knows whoever tries.
"""

from __future__ import annotations

import random


def longest_pause(failures: int, first_seconds: float, longest_seconds: float) -> float:
    """Seconds after so many failures in a row, one or more: twice as long each time, up to a limit."""
    doublings = min(failures - 1, 60)  # more would outgrow a float, in an outage of many hours
    return min(longest_seconds, first_seconds * 2.0**doublings)


def random_pause(failures: int, first_seconds: float, longest_seconds: float) -> float:
    """Seconds, at random up to the longest pause: those who met do not meet again (Full Jitter: M. Brooker, 2015)."""
    return random.random() * longest_pause(failures, first_seconds, longest_seconds)
