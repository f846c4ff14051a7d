"""Turns samples into usage records: kept in a journal while their window is open, frozen in one transaction after it.

What it promises, over crashes and power cuts: a sample whose journal commit returned is in exactly one frozen record,
or waits in the journal for one; the id and the bytes of a record never change; what a counter grew by is in one record,
in the window in which it was seen.

One file per role::

    metering.py  Metering: what the rest of the agent calls; commits the journal, freezes windows
    intake.py    samples of collectors and of emit: what a counter grew by, at what time, and whether there is room
    increases.py what counters that feed sums grew by
    feeding.py   which UOMs a value feeds
    measured.py  the nouns: Series, Measured, Unstamped, Moment
    journal.py   how rows of the journal are spelled (pure)
    reopening.py what the journal holds at the start
    windows.py   what is folded so far, window by window
    freezing.py  a window's folds as entries for the outbox
    identity.py  ids that never come twice
    parts.py     how often each window was frozen already
    times.py     strictly increasing times, group by group
    unset.py     samples from before the clock was set, and the wall time they get (pure)
"""

from thingmeter.metering.identity import Identity
from thingmeter.metering.metering import Metering

__all__ = ["Identity", "Metering"]
