"""Which organisation UOMs are registered in, and who asks: plain data, light enough for the daemon.

The token stands here by the path of its file only, never by its content.
"""

from __future__ import annotations

from dataclasses import dataclass

from thingmeter.config.settings import Config
from thingmeter.destinations.files import digest_of


@dataclass(frozen=True, slots=True)
class Account:
    """What a registrar of UOMs needs; every member can be written as JSON.

    Attributes:
        endpoint_url: without a slash at its end.
        token_file: holds the organisation's token.
        scheme: what stands before the token in the header Authorization; empty for nothing.
        ca_file: the authorities of the endpoint; empty for those that the system trusts.
    """

    endpoint_url: str
    token_file: str
    scheme: str = "Bearer"
    ca_file: str = ""

    def identity(self) -> str:
        """Return what makes known facts of the organisation valid.

        Tokens are replaced all the time, mostly by others of the same organisation, so they are no part of it. Which
        organisation a token is of shows only in what it gets to see: look again when ``version()`` has changed.
        """
        return self.endpoint_url

    def version(self) -> str:
        """Return another text after the token, or the authority we trust, was replaced on the disk."""
        return ", ".join(digest_of(path) for path in (self.token_file, self.ca_file) if path)


def account_of(config: Config) -> Account | None:
    """Return where to register the UOMs; None where there is nothing to do.

    That is without the table [devrev], without UOMs in it, and with registration switched off.
    """
    devrev = config.devrev
    if devrev is None or devrev.registration == "off" or not devrev.uom:
        return None
    return Account(devrev.endpoint_url.rstrip("/"), devrev.token_file, devrev.scheme, devrev.ca_file)
