"""The whole sandbox: broker, Device Defender and the HTTPS services on a thread of their own, in a folder that stays.

with Sandbox(tmp_path, things=("pump-7",)) as sandbox:
    connect(sandbox.host, sandbox.port, sandbox.ca_file, sandbox.credentials("pump-7"))
    [verdict] = sandbox.verdicts.wait(1)
    [call] = sandbox.calls.wait(1, where=lambda call: call.operation == "CreateCustomMetric")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from thingmeter.clock import SystemClock
from thingmeter.sandbox.authority import Authority, Credentials
from thingmeter.sandbox.broker import Broker
from thingmeter.sandbox.control_plane.credentials import ROLE_ALIAS, CredentialsProvider
from thingmeter.sandbox.control_plane.custom_metrics import REGION, CustomMetrics
from thingmeter.sandbox.defender.ledger import Ledger
from thingmeter.sandbox.defender.service import DefenderService
from thingmeter.sandbox.defender.verdict import Verdict
from thingmeter.sandbox.devrev import DevRev
from thingmeter.sandbox.errors import PortTaken, SandboxError
from thingmeter.sandbox.events import Event
from thingmeter.sandbox.faults import Faults
from thingmeter.sandbox.folder import HOST, Folder
from thingmeter.sandbox.http.calls import Call
from thingmeter.sandbox.http.faults import HttpFaults
from thingmeter.sandbox.hub import Hub
from thingmeter.sandbox.limits import Limits
from thingmeter.sandbox.loop import LoopThread
from thingmeter.sandbox.packets import Message, Reason
from thingmeter.sandbox.policy import OPERATOR, Policy, policy_of
from thingmeter.sandbox.router import Router
from thingmeter.sandbox.services import ServiceName, Services, make_services
from thingmeter.sandbox.stream import Stream
from thingmeter.sandbox.tls import tls_context


@dataclass(frozen=True, slots=True)
class Settings:
    """How the sandbox behaves; the defaults are those of AWS IoT Core, but for the interval, which is a tester's."""

    minimum_interval_s: float = 5.0
    limits: Limits = field(default_factory=Limits)
    policy_of: Callable[[str], Policy] = policy_of
    region: str = REGION


@dataclass(frozen=True, slots=True)
class _Running:
    """What a started sandbox is made of."""

    authority: Authority
    loop: LoopThread
    hub: Hub
    broker: Broker
    services: Services
    held: ExitStack


class Sandbox:
    """A local cloud, from ``start`` to ``stop`` or as a context manager. Its methods may be called from any thread.

    Attributes:
        host: the name to connect to; the broker's certificate is for it.
        port: the broker's, chosen at the first start in a folder and kept ever after.
        things: the names that have credentials in the folder.
        faults: switches that make it misbehave, for tests.
        verdicts: one for each report.
        events: connects, disconnects, refusals and messages on ordinary topics.
        calls: one for each HTTPS request.
        role_alias: the one that the credentials provider knows.
    """

    role_alias = ROLE_ALIAS

    def __init__(
        self,
        folder: Path,
        *,
        things: Sequence[str] = ("thing",),
        faults: Faults | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.host = HOST
        self.port = 0
        self.folder = Folder(folder)
        self.things = tuple(things)
        self.faults = faults if faults is not None else Faults()
        self.verdicts: Stream[Verdict] = Stream()
        self.events: Stream[Event] = Stream()
        self.calls: Stream[Call] = Stream()
        self._settings = settings if settings is not None else Settings()
        self._started: _Running | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def authority(self) -> Authority:
        """The authority that signs everyone's certificate."""
        return self._running.authority

    @property
    def ca_file(self) -> Path:
        """The authority's certificate."""
        return self.authority.ca_file

    @property
    def region(self) -> str:
        """The region that requests to the control plane are signed for."""
        return self._settings.region

    @property
    def control_plane(self) -> CustomMetrics:
        """The custom metrics of the account; its switches may be turned from any thread."""
        return self._running.services.control_plane

    @property
    def control_plane_url(self) -> str:
        """Where the control plane is."""
        return f"https://{self.host}:{self.ports['control plane']}"

    @property
    def credentials_provider(self) -> CredentialsProvider:
        """What gives a thing an access key for its certificate."""
        return self._running.services.credentials_provider

    @property
    def credentials_endpoint(self) -> str:
        """Where the credentials provider is, as ``HOST:PORT``."""
        return f"{self.host}:{self.ports['credentials']}"

    @property
    def devrev(self) -> DevRev:
        """The UOMs and usage records of the organisation."""
        return self._running.services.devrev

    @property
    def devrev_url(self) -> str:
        """Where DevRev is."""
        return f"https://{self.host}:{self.ports['devrev']}"

    @property
    def http_faults(self) -> Mapping[ServiceName, HttpFaults]:
        """What goes wrong on the way to each HTTPS service."""
        return self._running.services.faults

    @property
    def ports(self) -> Mapping[ServiceName, int]:
        """Of the HTTPS services; kept like the broker's."""
        return self._running.services.ports

    def start(self) -> None:
        """Make what is missing in the folder, listen, and return.

        Raises:
            FolderInUse: another sandbox runs on the folder.
            PortTaken: another program has the folder's port.
            ValueError: a thing has a name that no certificate can have.
            OSError: the folder cannot be written.
        """
        with ExitStack() as held:
            held.enter_context(self.folder.owned())
            authority = self.folder.authority()
            for name in (*self.things, OPERATOR):
                self.folder.thing_credentials(authority, name)
            hub = self._wire()
            server = self.folder.server_credentials(authority)
            broker = Broker(hub, tls_context(authority.ca_file, server))
            services = make_services(hub.clock, self.folder, region=self.region, calls=self.calls, events=self.events)
            services.prepare(authority, server)
            loop = LoopThread("sandbox")
            held.callback(loop.close)
            held.callback(services.close, loop)
            services.listen(loop, self.folder)
            self._listen(loop, broker)
            self._started = _Running(authority, loop, hub, broker, services, held.pop_all())

    def stop(self) -> None:
        """End every connection and release the port and the folder; again is harmless."""
        running, self._started = self._started, None
        if running is not None:
            with running.held:
                running.loop.call(running.broker.stop())

    def broker_down(self, *, politely: bool = False) -> None:
        """Stop listening and end every connection: by cutting it, or with a DISCONNECT."""
        self._running.loop.call(self._running.broker.stop(politely=politely))

    def broker_up(self) -> None:
        """Listen on the same port again.

        Raises:
            PortTaken: another program has taken it.
        """
        self._listen(self._running.loop, self._running.broker)

    def services_down(self) -> None:
        """Stop listening for HTTPS and cut every such connection; the broker goes on."""
        self._running.services.close(self._running.loop)

    def services_up(self) -> None:
        """Listen for HTTPS on the same ports again.

        Raises:
            PortTaken: another program has taken one of them.
        """
        self._running.services.listen(self._running.loop, self.folder)

    def credentials(self, thing: str) -> Credentials:
        """Return the certificate of a thing, made when it has none yet."""
        return self.folder.thing_credentials(self.authority, thing)

    def use_server_credentials(self, credentials: Credentials) -> None:
        """Show another certificate to whoever connects from now on."""
        self._running.broker.tls = tls_context(self.ca_file, credentials)
        self._running.services.use(credentials)

    def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> int:
        """Publish as the cloud itself does, without a policy; return to how many it went."""
        running = self._running

        async def publish() -> int:
            return running.hub.router.publish(Message(topic, payload, qos, retain))

        return running.loop.call(publish())

    def disconnect(self, client_id: str, reason: int = Reason.SESSION_TAKEN_OVER) -> bool:
        """End a connection with DISCONNECT; return whether there was one."""
        running = self._running

        async def disconnect() -> bool:
            session = running.hub.sessions.get(client_id)
            if session is not None:
                session.end(reason, "the sandbox was asked to")
            return session is not None

        return running.loop.call(disconnect())

    @property
    def _running(self) -> _Running:
        if self._started is None:
            raise SandboxError("the sandbox is not started")
        return self._started

    def _wire(self) -> Hub:
        settings = self._settings
        router = Router(settings.limits)
        hub = Hub(router, SystemClock(), settings.limits, self.faults, self.events, settings.policy_of)
        ledger = Ledger(self.folder.report_ids_file)
        router.attach(DefenderService(hub, ledger, self.verdicts, minimum_interval_s=settings.minimum_interval_s))
        return hub

    def _listen(self, loop: LoopThread, broker: Broker) -> None:
        try:
            self.port = loop.call(broker.start(self.port or self.folder.port("mqtt")))
        except PortTaken as error:
            raise PortTaken(f"{error}: {self.folder.forget_port_words()}") from error
        self.folder.keep_port("mqtt", self.port)
