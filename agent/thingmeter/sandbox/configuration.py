"""A ready configuration for the agent, which reports to the sandbox every five seconds and uses every type of metric.

It registers its custom metrics and UOMs with the sandbox as well, at once.

A file that someone has edited is never written over: what was written last is remembered by its digest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

DIGESTS = ".written"

TEMPLATE = """\
# An agent that reports to the sandbox, written by "thingmeter sandbox". Once you edit it, the sandbox leaves it alone.
# Relative paths start at the folder of this file.

[thing]
name = "{thing}"

[mqtt]
host = "{places.host}"
port = {places.port}
keep_alive_s = 30
status_topic = "status/{{thing}}"

[mqtt.tls]
ca_file = "ca/ca.pem"
certificate_file = "things/{thing}.pem"
private_key_file = "things/{thing}.key"

[aws]                    # where custom metrics are registered; the key to it is had by the certificate above
region = "{places.region}"
role_alias = "thingmeter"
credentials_endpoint = "{places.credentials_endpoint}"
endpoint_url = "{places.control_plane_url}"
ca_file = "ca/ca.pem"

[registration]
spread_s = 0             # at once; a fleet spreads it over hours

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

[devrev]                 # where UOMs are registered, and usage records go
endpoint_url = "{places.devrev_url}"
ca_file = "ca/ca.pem"
token_file = "devrev-token"
account_ref = "ACC-1"
window_s = 5             # any divisor of 900; DevRev bills by the hour at the finest

[[devrev.uom]]
metric_name = "received_bytes"
name = "Bytes received"
description = "What came in over the network"
product_id = "PROD-1"
unit = {{ name = "byte", type = "number" }}
aggregation_type = "sum"
dimensions = ["interface"]
from = "network.received_bytes"

[[devrev.uom]]
metric_name = "peak_memory"
name = "Peak memory"
product_id = "PROD-1"
part_id = "FEAT-7"
unit = {{ name = "byte", type = "number" }}
aggregation_type = "maximum"
from = "memory.used_bytes"

[topic]                  # the newest samples on an ordinary topic, for rules in the cloud
template = "telemetry/{{thing}}"
interval_s = 10
metrics = ["cpu.usage_percent", "memory.used_percent"]

[clock]
sync_wait_s = 0          # trust this machine's clock at once

[outbox]
journal_interval_s = 2   # samples of usage are committed, and windows that have ended are frozen
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


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a sandbox are; the defaults are those of ``config/sandbox.toml``."""

    host: str = "localhost"
    port: int = 8883
    region: str = "eu-west-1"
    control_plane_url: str = "https://localhost:8884"
    credentials_endpoint: str = "localhost:8885"
    devrev_url: str = "https://localhost:8886"


def render(thing: str, places: Places, *, interval_s: int = 5) -> str:
    """Return the configuration of one thing, for a file in the sandbox's folder."""
    return TEMPLATE.format(thing=thing, places=places, interval_s=interval_s)


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
