"""Which account custom metrics are registered in, and who asks: plain data, light enough for the daemon.

Keys stand here by the path of their file only, never by their content.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from thingmeter.config.settings import Config
from thingmeter.destinations.defender.chain import profile_files
from thingmeter.destinations.files import digest_of


@dataclass(frozen=True, slots=True)
class Account:
    """What a registrar of custom metrics needs; every member can be written as JSON.

    Attributes:
        thing: the thing's name.
        region: as AWS names it.
        endpoint_url: of another control plane than the region's; empty for that one.
        use_fips_endpoint: the region's endpoint with FIPS 140 validated TLS.
        use_dualstack_endpoint: the region's endpoint with IPv6 as well.
        role_alias: what credentials are asked for by the thing's certificate; empty for the usual chain.
        credentials_endpoint: host or host:port of the credentials provider.
        ca_file: the authorities of the control plane; empty for those that the system trusts.
        credentials_ca_file: the same of the credentials provider.
        certificate_file: the thing's certificate; empty for the usual chain, as the next one.
        private_key_file: the key of that certificate.
    """

    thing: str
    region: str
    endpoint_url: str = ""
    use_fips_endpoint: bool = False
    use_dualstack_endpoint: bool = False
    role_alias: str = ""
    credentials_endpoint: str = ""
    ca_file: str = ""
    credentials_ca_file: str = ""
    certificate_file: str = ""
    private_key_file: str = ""

    def identity(self) -> str:
        """Return what makes known facts of the account valid: with another one they are of another account.

        The credentials provider's host is the account's own, so a device that moves to another account in the same
        region shows it.
        """
        return json.dumps([self.region, self.endpoint_url, self.credentials_endpoint], separators=(",", ":"))

    def version(self, environment: Mapping[str, str] = os.environ) -> str:
        """Return a digest of what proves who we are, and of whom we trust.

        It is another one after a certificate, key, profile or authority was replaced. What lies in environment
        variables cannot change while we run.
        """
        proofs = [self.thing, self.role_alias, self.credentials_endpoint]
        proofs += [digest_of(path) for path in self._credential_files(environment)]
        proofs += [digest_of(path) for path in (self.ca_file, self.credentials_ca_file) if path]
        return hashlib.sha256("\n".join(proofs).encode()).hexdigest()

    def _credential_files(self, environment: Mapping[str, str]) -> tuple[Path, ...]:
        if self.role_alias:
            return Path(self.certificate_file), Path(self.private_key_file)
        return profile_files(environment)


def account_of(config: Config) -> Account | None:
    """Return where to register the custom metrics; None where there is nothing to do.

    That is without custom metrics, without the table [aws], and with registration switched off.
    """
    aws, defender = config.aws, config.defender
    if aws is None or defender is None or defender.registration == "off" or not defender.custom_metric:
        return None
    tls = config.mqtt.tls if config.mqtt is not None and aws.role_alias else None
    return Account(
        thing=config.thing.name,
        region=aws.region,
        endpoint_url=aws.endpoint_url,
        use_fips_endpoint=aws.use_fips_endpoint,
        use_dualstack_endpoint=aws.use_dualstack_endpoint,
        role_alias=aws.role_alias,
        credentials_endpoint=aws.credentials_endpoint,
        ca_file=aws.ca_file,
        credentials_ca_file=aws.ca_file,
        certificate_file=tls.certificate_file if tls else "",
        private_key_file=tls.private_key_file if tls else "",
    )
