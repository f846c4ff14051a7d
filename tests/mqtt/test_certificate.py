from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.mqtt.certificate import Validity, first_der, validity
from thingmeter.sandbox.authority import Authority


@pytest.mark.parametrize("year", [1999, 2026, 2049, 2050, 2120])  # UTCTime ends with 2049
def test_the_dates_are_those_in_the_certificate(tmp_path: Path, year: int) -> None:
    start, end = datetime(year, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC)
    issued = Authority.open(tmp_path).issue("pump-7", tmp_path, not_before=start, not_after=end)

    dates = validity(first_der(issued.certificate_file.read_text()))

    assert dates == Validity(start, end)


def test_text_before_the_certificate_is_passed_over(tmp_path: Path) -> None:
    issued = Authority.open(tmp_path).issue("pump-7", tmp_path)
    pem = issued.certificate_file.read_text()
    shown = subprocess.run(
        ["openssl", "x509", "-text", "-in", issued.certificate_file], capture_output=True, text=True, check=True
    )

    assert first_der(shown.stdout) == first_der(pem)


def test_a_file_without_a_certificate_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="no certificate in it"):
        first_der("-----BEGIN PRIVATE KEY-----\n")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_certificate_are_a_value_error(der: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a certificate|too early"):
        validity(der)


def test_a_certificate_cut_anywhere_before_its_dates_is_a_value_error(tmp_path: Path) -> None:
    der = first_der(Authority.open(tmp_path).ca_file.read_text())
    dates_end = der.index(b"Z", der.index(b"Z") + 1)

    for length in range(dates_end):
        with pytest.raises(ValueError, match=r"not a certificate|too early"):
            validity(der[:length])
