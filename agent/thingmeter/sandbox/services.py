"""The HTTPS services of the sandbox: AWS IoT's control plane, its credentials provider, and DevRev.

Each has a port of its own, as each has a host of its own in the cloud. What they hold, custom metrics and UOMs, lives
as long as the sandbox runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, TypeAlias, get_args

from thingmeter.protocols import Clock
from thingmeter.sandbox.authority import Authority, Credentials
from thingmeter.sandbox.control_plane import credentials, operations
from thingmeter.sandbox.control_plane.credentials import CredentialsProvider
from thingmeter.sandbox.control_plane.custom_metrics import CustomMetrics
from thingmeter.sandbox.control_plane.gate import SignedCustomMetrics
from thingmeter.sandbox.control_plane.keys import KeyRing
from thingmeter.sandbox.control_plane.sigv4 import Verifier
from thingmeter.sandbox.devrev import DevRev
from thingmeter.sandbox.errors import PortTaken
from thingmeter.sandbox.events import Event
from thingmeter.sandbox.folder import Folder
from thingmeter.sandbox.http.calls import Call
from thingmeter.sandbox.http.faults import HttpFaults
from thingmeter.sandbox.http.listener import HttpsListener, https_context
from thingmeter.sandbox.http.messages import HttpRequest
from thingmeter.sandbox.http.site import Site
from thingmeter.sandbox.loop import LoopThread
from thingmeter.sandbox.stream import Stream

ServiceName: TypeAlias = Literal["control plane", "credentials", "devrev"]
SERVICES: tuple[ServiceName, ...] = get_args(ServiceName)


@dataclass(slots=True)
class Services:
    """What answers over HTTPS. ``listen`` and ``close`` may be called from any thread but the loop's.

    Attributes:
        control_plane: the custom metrics of the account.
        credentials_provider: gives a thing a short-lived access key for its certificate.
        devrev: the organisation's UOMs and usage records.
        keys: the access keys that the control plane knows.
        faults: what goes wrong on the way to each service.
        clock: what all of them go by.
        calls: one record for each request.
        events: clients that TLS refused.
        ports: of each service, once it has listened.
    """

    control_plane: CustomMetrics
    credentials_provider: CredentialsProvider
    devrev: DevRev
    keys: KeyRing
    clock: Clock
    calls: Stream[Call]
    events: Stream[Event]
    faults: Mapping[ServiceName, HttpFaults] = field(default_factory=lambda: {name: HttpFaults() for name in SERVICES})
    ports: dict[ServiceName, int] = field(default_factory=dict)
    _listeners: dict[ServiceName, HttpsListener] = field(default_factory=dict, init=False, repr=False)

    def prepare(self, authority: Authority, server: Credentials) -> None:
        """Get ready to listen with the server's certificate; a thing shows its own to the credentials provider."""
        clients = authority.ca_file
        for name, site in self._sites().items():
            tls = https_context(server, client_ca_file=clients if name == "credentials" else None)
            self._listeners[name] = HttpsListener(site, tls, partial(self._tell_refused, name))

    def listen(self, loop: LoopThread, folder: Folder) -> None:
        """Listen, each on the port that it had before.

        Raises:
            PortTaken: another program has one of the ports.
        """
        for name, listener in self._listeners.items():
            key = name.replace(" ", "_")
            try:
                self.ports[name] = loop.call(listener.start(self.ports.get(name) or folder.port(key)))
            except PortTaken as error:
                raise PortTaken(f"{error}: {folder.forget_port_words()}") from error
            folder.keep_port(key, self.ports[name])

    def close(self, loop: LoopThread) -> None:
        """Stop listening and cut every connection; ``listen`` starts again on the same ports."""
        for listener in self._listeners.values():
            loop.call(listener.stop())

    def use(self, server: Credentials) -> None:
        """Show another certificate to whoever connects from now on."""
        for listener in self._listeners.values():
            listener.use(server)

    def _tell_refused(self, name: ServiceName, words: str) -> None:
        self.events.add(Event(self.clock.now(), "refused", "", f"{name}: {words}"))

    def _sites(self) -> dict[ServiceName, Site]:
        verifier = Verifier(self.keys, self.clock, self.control_plane.region)
        return {
            "control plane": Site(
                name="control plane",
                service=SignedCustomMetrics(verifier, self.control_plane),
                operation_of=operations.operation_of,
                client_of=verifier.owner_claimed,
                faults=self.faults["control plane"],
                calls=self.calls,
                clock=self.clock,
            ),
            "credentials": Site(
                name="credentials",
                service=self.credentials_provider,
                operation_of=credentials.operation_of,
                client_of=lambda request: request.client,
                faults=self.faults["credentials"],
                calls=self.calls,
                clock=self.clock,
            ),
            "devrev": Site(
                name="devrev",
                service=self.devrev.answer,
                operation_of=_devrev_operation_of,
                client_of=lambda _: "",  # a token says nothing about the device that uses it
                faults=self.faults["devrev"],
                calls=self.calls,
                clock=self.clock,
            ),
        }


def make_services(clock: Clock, folder: Folder, *, region: str, calls: Stream[Call], events: Stream[Event]) -> Services:
    """Return services that know the operator's key and DevRev's token in the folder."""
    keys = KeyRing(folder.operator_key())
    devrev = DevRev(clock)
    devrev.tokens.add(folder.devrev_token())
    return Services(CustomMetrics(clock, region), CredentialsProvider(keys, clock), devrev, keys, clock, calls, events)


def _devrev_operation_of(request: HttpRequest) -> tuple[str, str]:
    """Return such as ``uoms.create`` and the metric name in the body, if there is one."""
    try:
        body = json.loads(request.body or b"{}")
    except ValueError:
        body = {}
    name = body.get("metric_name", "") if isinstance(body, dict) else ""
    return request.path.removeprefix("/"), name if isinstance(name, str) else ""
