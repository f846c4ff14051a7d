"""Runs collectors: their turns, time limits, errors, and the checks of what they yield.

rounds.py   Sampling: which collectors have their turn, and what comes of each one's outcome
running.py  one collector at work: calls it, checks and stamps its samples, knows how often to try it
workers.py  the threads that collectors run on, and those left behind with one that hangs
"""

from thingmeter.sampling.rounds import Sampling

__all__ = ["Sampling"]
