"""Registration: what is to be declared to the services, what is known to be declared, and when to ask.

The daemon decides when and keeps the state; a short-lived process makes one attempt, and takes the libraries of the
control planes with it when it ends. Nothing is imported here, so that this process loads no more than it needs.

One file per role::

    declared.py      what the configuration declares, made into registrations
    rounds.py        the thread of all registrations
    registration.py  one service: when to ask, and what each end of an attempt means
    standings.py     how each definition stands, kept in the outbox
    remembered.py    the stored form of that (pure)
    spread.py        the delays of one device in a fleet (pure)
    telling.py       what the log says
    child.py         starts an attempt, reads and ends it; pipes.py its pipes, within bounds
    lines.py         what both processes say to each other (pure)
    attempt.py       the attempt: the main program of the other process
"""
