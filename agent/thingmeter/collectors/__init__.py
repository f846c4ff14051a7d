"""The built-in collectors, one module per subject.

A collector is found by its name: the module ``thingmeter.collectors.NAME`` has a callable ``collector`` at its end, a
class alias or a factory. Its keyword arguments are the options of the TOML table ``[collectors.NAME]``, each with a
default, except those that the agent itself provides (such as the agent collector's ``health``).
"""

BUILT_IN = (
    "cpu",
    "memory",
    "disk",
    "network",
    "temperature",
    "power",
    "processes",
    "host",
    "flash",
    "sockets",
    "agent",
)
