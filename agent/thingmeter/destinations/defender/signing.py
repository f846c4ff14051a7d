"""Signature version 4 and the usual chain of credentials, by the AWS Common Runtime (extra ``aws``).

The one file here that knows awscrt; it is loaded where custom metrics are registered, never in the daemon.
Source: AWS Identity and Access Management user guide, "Signing AWS API requests".
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import datetime
from urllib.parse import urlsplit

from awscrt import auth, http, io
from awscrt.exceptions import AwsCrtError

from thingmeter.destinations.answers import one_line
from thingmeter.destinations.defender.chain import links_in
from thingmeter.destinations.defender.credentials import Credentials
from thingmeter.destinations.https import Request
from thingmeter.errors import Denied, Unreachable

SERVICE = "iot"
CHAIN_TIMEOUT_S = 30.0  # the last link, a virtual machine's metadata, is no device's; it may have to time out
SIGNING_TIMEOUT_S = 10.0  # nothing but computing
NOT_IN_ENVIRONMENT = "AWS_AUTH_CREDENTIALS_PROVIDER_INVALID_ENVIRONMENT"


def signed(request: Request, credentials: Credentials, *, region: str, at: datetime) -> Request:
    """Return the request with the headers of its signature, and with ``host``, which is signed as well.

    Args:
        request: its path is signed as it goes out, percent-encoded once more, as every service but S3 expects.
        credentials: of the caller.
        region: the scope of the signature.
        at: aware; AWS tolerates five minutes of difference.
    """
    url = urlsplit(request.url)
    headers = {"host": url.netloc.removesuffix(":443"), **request.headers}
    path = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    configuration = auth.AwsSigningConfig(
        algorithm=auth.AwsSigningAlgorithm.V4,
        signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=auth.AwsCredentialsProvider.new_static(
            credentials.access_key_id, credentials.secret_access_key, credentials.session_token or None
        ),
        region=region,
        service=SERVICE,
        date=at,
        use_double_uri_encode=True,
        signed_body_value=hashlib.sha256(request.body).hexdigest(),
    )
    unsigned = http.HttpRequest(request.method, path, http.HttpHeaders(list(headers.items())))
    result = auth.aws_sign_request(unsigned, configuration).result(SIGNING_TIMEOUT_S)
    return Request(request.method, request.url, {name.lower(): value for name, value in result.headers}, request.body)


def chain_credentials(*, timeout_s: float = CHAIN_TIMEOUT_S) -> Credentials:
    """Return the first credentials of the usual chain: environment, profile, container, virtual machine.

    Raises:
        Unreachable: what is set up gave none now: a metadata service that is still starting, say, or a command of a
            profile that needs a network.
        Denied: nothing is set up that could ever give any.
    """
    loop = io.EventLoopGroup(1)  # the runtime's own default is a thread for each processor
    bootstrap = io.ClientBootstrap(loop, io.DefaultHostResolver(loop))
    try:
        found = auth.AwsCredentialsProvider.new_default_chain(bootstrap).get_credentials().result(timeout_s)
    except AwsCrtError as error:
        # The chain ends in this error whichever link before failed, so it would only mislead.
        raise _missing("" if error.name == NOT_IN_ENVIRONMENT else f"{error.name}: {error.message}") from error
    except FutureTimeoutError as error:
        raise _missing(f"no answer within {timeout_s:g} s") from error
    return Credentials(found.access_key_id, found.secret_access_key, found.session_token or "", found.expiration)


def _missing(why: str) -> Unreachable:
    links = links_in(os.environ)
    if not links:
        return Denied(
            "no AWS credentials: set role_alias and credentials_endpoint in [aws], or give them by the environment or "
            "a profile"
        )
    cause = f" ({one_line(why)})" if why else ""
    return Unreachable(
        f"no AWS credentials from {', '.join(links)}{cause}; or set role_alias and credentials_endpoint in [aws], for "
        "those of the thing's certificate"
    )
