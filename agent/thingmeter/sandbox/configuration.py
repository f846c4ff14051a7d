"""A ready configuration for the agent, which reports to the sandbox every five seconds and uses every type of metric.

A file that someone has edited is never written over: what was written last is remembered by its digest.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

DIGESTS = ".written"

TEMPLATE = """\
# An agent that reports to the sandbox, written by "thingmeter sandbox". Once you edit it, the sandbox leaves it alone.
# Relative paths start at the folder of this file.

[thing]
name = "{thing}"

[mqtt]
host = "{host}"
port = {port}
keep_alive_s = 30
status_topic = "status/{{thing}}"

[mqtt.tls]
ca_file = "ca/ca.pem"
certificate_file = "things/{thing}.pem"
private_key_file = "things/{thing}.key"

[defender]
interval_s = {interval_s}           # AWS takes a report of a thing every 300 s; the sandbox is in a hurry
minimum_interval_s = {interval_s}
format = "cbor"          # or "json"
names = "short"          # or "long"

[[defender.custom_metric]]
name = "cpu_usage"
type = "number"
display_name = "CPU usage (%)"
from = "cpu.usage_percent"
aggregate = "mean"

[[defender.custom_metric]]
name = "memory_used"
type = "number"
display_name = "Memory used (%)"
from = "memory.used_percent"
aggregate = "last"

[[defender.custom_metric]]
name = "cpu_load"
type = "number-list"
display_name = "Load, each second"
from = "cpu.load_1m"
aggregate = "values"

[[defender.custom_metric]]
name = "listeners"
type = "string-list"
display_name = "Listening sockets"
from = "sockets.local_listener"
aggregate = "distinct"

[[defender.custom_metric]]
name = "peers"
type = "ip-address-list"
display_name = "Addresses of peers"
from = "sockets.remote_address"
aggregate = "distinct"

[outbox]
path = "{thing}.outbox.db"

[collectors.cpu]
interval_s = 1
[collectors.memory]
interval_s = 1
[collectors.network]
interval_s = {interval_s}
[collectors.sockets]
interval_s = {interval_s}
"""


def render(thing: str, *, host: str, port: int, interval_s: int = 5) -> str:
    """Return the configuration of one thing, for a file in the sandbox's folder."""
    return TEMPLATE.format(thing=thing, host=host, port=port, interval_s=interval_s)


def write(path: Path, text: str) -> bool:
    """Write a configuration; False when ``path`` has been edited since it was written here, and is left as it is."""
    written = path.with_name(f"{path.name}{DIGESTS}")
    if path.exists():
        found = path.read_bytes()
        if found != text.encode() and (not written.exists() or written.read_text("ascii") != _digest(found)):
            return False
    path.write_text(text, "utf-8")
    written.write_text(_digest(text.encode()), "ascii")
    return True


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
