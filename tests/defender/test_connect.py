"""A registrar as the child process gets it: from JSON, over real HTTPS, with and without the extra ``aws``."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from defender.aws_account import ACCESS_DENIED, AwsAccount, answer
from defender.https_server import HttpsServer
from defender.registering import A, B, short
from thingmeter.clock import SystemClock
from thingmeter.destinations.defender.account import Account
from thingmeter.destinations.defender.registrar import connect, definitions
from thingmeter.destinations.https import Answer, Request
from thingmeter.sandbox.authority import Authority


def test_definitions_come_back_from_json() -> None:
    written = json.loads(json.dumps([asdict(definition) for definition in (A, B)]))

    assert definitions(written) == (A, B)


@pytest.mark.needs_aws
def test_all_of_it_works_over_https(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path)
    thing = authority.issue("pump-7", tmp_path)
    aws = AwsAccount()
    with HttpsServer(authority, tmp_path, lambda request: service(aws, request)) as server:
        account = Account(
            thing="pump-7",
            region="eu-west-1",
            endpoint_url=f"https://{server.place}",
            role_alias="thingmeter",
            credentials_endpoint=server.place,
            ca_file=str(authority.ca_file),
            credentials_ca_file=str(authority.ca_file),
            certificate_file=str(thing.certificate_file),
            private_key_file=str(thing.private_key_file),
        )
        one = connect(asdict(account), gap_s=0)

        outcomes = list(one.apply(one.plan([A, B], ())))

    assert short(outcomes) == ["a create registered", "b create registered"]
    assert [asked.client for asked in server.asked] == ["pump-7", "", "", ""]


def service(aws: AwsAccount, request: Request) -> Answer:
    """The credentials provider, and a control plane that wants its credentials."""
    if "/role-aliases/" in request.url:
        end = SystemClock().now().replace(microsecond=0, year=SystemClock().now().year + 1)
        secrets = {"accessKeyId": "ASIAEXAMPLE", "secretAccessKey": "secret", "sessionToken": "token"}
        return answer(200, {"credentials": {**secrets, "expiration": end.isoformat()}})
    if "Credential=ASIAEXAMPLE/" not in request.headers.get("authorization", ""):
        return ACCESS_DENIED
    return aws(request)


def test_without_the_extra_the_message_says_how_to_install_it() -> None:
    script = (
        "import sys; sys.modules['awscrt'] = None\n"
        "from thingmeter.destinations.defender.registrar import connect\n"
        "from thingmeter.errors import Denied\n"
        "try: connect({'thing': 'pump-7', 'region': 'eu-west-1'}, gap_s=0)\n"
        "except Denied as denied: print(denied)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONPATH": "agent"}
    )

    assert "needs the extra aws: pip install 'thingmeter[aws]'" in done.stdout


def test_the_daemons_part_loads_nothing_of_the_control_plane() -> None:
    script = (
        "import sys, thingmeter.destinations.defender.account, thingmeter.destinations.defender.definition\n"
        "print(sorted(sys.modules.keys() & {'awscrt', 'urllib3', 'thingmeter.destinations.https', 'email', 'http'}))"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONPATH": "agent"}
    )

    assert done.stdout == "[]\n"
