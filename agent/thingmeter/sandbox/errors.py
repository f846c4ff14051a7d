"""Every error that the sandbox raises on purpose.

ThingmeterError
└── SandboxError            the sandbox cannot go on
    ├── FolderInUse         another sandbox runs on this folder
    ├── PortTaken           another program has the port that this folder remembers
    ├── MalformedPacket     bytes that are no MQTT 5 packet, or not one for a broker; carries the reason code
    └── Undecodable         a payload that is no JSON or CBOR as Device Defender takes it; carries the broken rule
"""

from __future__ import annotations

from thingmeter.errors import ThingmeterError


class SandboxError(ThingmeterError):
    """The sandbox cannot go on."""


class FolderInUse(SandboxError):
    """Another sandbox runs on this folder."""


class PortTaken(SandboxError):
    """Another program has the port that this folder remembers."""


class Refused(SandboxError):
    """The broker ends a connection; ``reason`` is the MQTT 5 reason code that the client is told."""

    def __init__(self, message: str, *, reason: int) -> None:
        super().__init__(message)
        self.reason = reason


class MalformedPacket(Refused):
    """Bytes that are no MQTT 5 packet, or not one that a broker takes."""

    def __init__(self, message: str, *, reason: int = 0x81) -> None:
        super().__init__(message, reason=reason)


class Cut(SandboxError):
    """A connection is to be closed without a word; ``with_will`` says whether the will is published."""

    def __init__(self, message: str, *, with_will: bool = True) -> None:
        super().__init__(message)
        self.with_will = with_will


class Undecodable(SandboxError):
    """A payload that is no JSON or CBOR as Device Defender takes it; ``rule`` is the id of the rule it breaks."""

    def __init__(self, message: str, *, rule: str = "parse") -> None:
        super().__init__(message)
        self.rule = rule
