"""What a metering agent's configuration says: its UOMs, and the rest of the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from end_to_end.agent import Settings
from thingmeter.config.settings import AggregationType
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.devrev.parts import part_of
from thingmeter.sandbox.devrev.uom import Uom

ACCOUNT = "ACC-7"

HANDED = """
[collectors.handed]
use = "handed"
folder = "{folder}"
interval_s = 1
"""
NUMBERED = """
[collectors.numbered]
use = "numbered"
folder = "{folder}"
pieces = 25
interval_s = 1
"""


@dataclass(frozen=True, slots=True)
class Meter:
    """A UOM: as the agent's settings declare it, and as DevRev has it. ``more`` is TOML for the agent alone."""

    name: str
    source: str
    aggregation_type: AggregationType = "sum"
    dimensions: tuple[str, ...] = ()
    unique_dimension: str = ""
    unit_type: str = "number"
    more: str = ""

    def table(self) -> str:
        """Return its table of the agent's settings."""
        lines = [
            "[[devrev.uom]]",
            f'metric_name = "{self.name}"\nname = "{self.name}"\nproduct_id = "PROD-1"\nfrom = "{self.source}"',
            f'unit = {{ name = "unit", type = "{self.unit_type}" }}\naggregation_type = "{self.aggregation_type}"',
            f"dimensions = {json.dumps(self.dimensions)}",
            f'unique_dimension = "{self.unique_dimension}"' if self.unique_dimension else "",
            self.more,
        ]
        return "\n".join(lines)

    def uom(self, serial: int, *, is_enabled: bool = True) -> Uom:
        """Return it as DevRev has it."""
        product, now = part_of("PROD-1"), datetime.now(UTC)
        assert product is not None
        return Uom(
            serial=serial,
            metric_name=self.name,
            name=self.name,
            product=product,
            unit_name="unit",
            unit_type=self.unit_type,
            aggregation_type=self.aggregation_type,
            created_at=now,
            modified_at=now,
            unique_dimension=self.unique_dimension,
            dimensions=self.dimensions,
            is_enabled=is_enabled,
        )


PIECES = Meter("pieces", "numbered.piece", "unique_count", ("serial",), "serial")
WEIGHTS = Meter("weights", "numbered.piece")
LITRES = Meter("litres", "numbered.litres")
LEVELS = Meter("levels", "handed.level", dimensions=("site",))
VOLUMES = Meter("volumes", "handed.volume", dimensions=("site",))
NUMBERED_METERS = (PIECES, WEIGHTS, LITRES)


@dataclass(kw_only=True)
class Metering(Settings):
    """The settings of a device that meters; windows and commits of one second.

    ``devrev`` and ``tables`` are more TOML, in [devrev] and behind everything; ``with_mqtt`` adds [mqtt].
    """

    cloud: Sandbox
    meters: Sequence[Meter]
    registration: str = "off"
    devrev: str = ""
    tables: str = ""
    with_mqtt: bool = False
    token_file: Path | None = None
    state: Path | None = None
    journal_interval_s: int = 1

    def text(self) -> str:
        parts = [
            f'[thing]\nname = "{self.thing}"',
            "[clock]\nsync_wait_s = 0",
            "[registration]\nspread_s = 0",
            self._mqtt() if self.with_mqtt else "",
            f'[outbox]\npath = "{self.outbox_file}"\njournal_interval_s = {self.journal_interval_s}\n{self.outbox}',
            self._devrev(),
            *(meter.table() for meter in self.meters),
            self.collectors.format(folder=self.folder),
            self.tables,
        ]
        return "\n".join(parts)

    @property
    def outbox_file(self) -> Path:
        """Where the agent keeps its outbox."""
        return (self.state or self.folder) / "outbox.db"

    def _mqtt(self) -> str:
        tls, mqtt = self.mqtt.tls, self.mqtt
        return "\n".join(
            [
                f'[mqtt]\nhost = "{mqtt.host}"\nport = {mqtt.port}\nclient_id = "{mqtt.client_id}"\nkeep_alive_s = 30',
                f'[mqtt.tls]\nca_file = "{tls.ca_file}"\ncertificate_file = "{tls.certificate_file}"',
                f'private_key_file = "{tls.private_key_file}"',
            ]
        )

    def _devrev(self) -> str:
        return "\n".join(
            [
                f'[devrev]\nregistration = "{self.registration}"\nwindow_s = 1\naccount_ref = "{ACCOUNT}"',
                f'endpoint_url = "{self.cloud.devrev_url}"\nca_file = "{self.cloud.ca_file}"',
                f'token_file = "{self.token_file or self.cloud.folder.devrev_token_file}"',
                self.devrev,
            ]
        )
