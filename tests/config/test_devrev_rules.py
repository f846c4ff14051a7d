from __future__ import annotations

import pytest

from config.device import THING, Device, told_without_privilege
from thingmeter.config.settings import DevRev, Unit, Uom
from thingmeter.config.sources import sources

DEVREV = THING + '[devrev]\ntoken_file = "devrev-token"\n'  # the table stands on line 3
JWT = "eyJhbGciOiJSUzI1NiIsImlzcyI6Imh0dHBzOi8vYXV0aC5kZXZyZXYuYWkvIn0.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
OPAQUE = "Zk3vQ9pTr7Lw2Xy8Nb4Mc6Jd1Hf5Gs0A"
TYPES = ["sum", "minimum", "maximum", "latest", "oldest", "unique_count", "running_total", "duration"]
LINES = {
    "metric_name": '"pumped_litres"',
    "name": '"Litres pumped"',
    "product_id": '"PROD-1"',
    "unit": '{ name = "litre", type = "number" }',
    "aggregation_type": '"sum"',
}


def uom(**changed: str | None) -> str:
    """Return a UOM; ``changed`` are its keys with values as TOML writes them, None to leave one out."""
    lines = {**LINES, **changed}
    return "[[devrev.uom]]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None)


def reason_of(device: Device, text: str) -> str:
    """Return what is wrong with the one setting that is, with the table and key before it."""
    (problem,) = device.problems(text)
    return problem.partition(": ")[2]


def devrev_of(device: Device, text: str) -> DevRev:
    devrev = device.load(text).devrev
    assert devrev is not None
    return devrev


def test_without_the_table_there_are_no_uoms(device: Device) -> None:
    assert device.load(THING).devrev is None


def test_what_is_not_given_has_its_default(device: Device) -> None:
    assert devrev_of(device, DEVREV) == DevRev(
        registration="auto",
        endpoint_url="https://api.devrev.ai",
        token_file=str(device.folder / "devrev-token"),
        scheme="Bearer",
        uom=(),
    )


def test_a_uom_is_read_whole(device: Device) -> None:
    text = DEVREV + uom(
        part_id='"CAPL-1"', description='"Water"', unique_dimension='"line"', dimensions='["site", "line"]'
    )

    assert devrev_of(device, text).uom == (
        Uom(
            metric_name="pumped_litres",
            name="Litres pumped",
            product_id="PROD-1",
            part_id="CAPL-1",
            description="Water",
            unit=Unit(name="litre", type="number"),
            aggregation_type="sum",
            unique_dimension="line",
            dimensions=("site", "line"),
        ),
    )


def test_a_unit_may_have_a_header_of_its_own(device: Device) -> None:
    text = DEVREV + uom(unit=None) + '[devrev.uom.unit]\nname = "litre"\ntype = "number"\n'

    assert devrev_of(device, text).uom[0].unit == Unit(name="litre", type="number")


def test_a_slash_at_the_end_of_the_address_is_dropped(device: Device) -> None:
    assert devrev_of(device, DEVREV + 'endpoint_url = "https://localhost:1/"\n').endpoint_url == "https://localhost:1"


@pytest.mark.parametrize("url", ["http://api.devrev.ai", "api.devrev.ai", "https://api.devrev.ai/uoms.create", ""])
def test_an_address_that_is_none_is_refused(device: Device, url: str) -> None:
    reason = reason_of(device, DEVREV + f'endpoint_url = "{url}"\n')

    assert f'[devrev] endpoint_url = "{url}": must be https://HOST or https://HOST:PORT' in reason


def test_an_authority_that_is_missing_is_refused(device: Device) -> None:
    reason = reason_of(device, DEVREV + 'ca_file = "missing.pem"\n')

    assert reason.endswith("cannot be read: no such file or directory (missing.pem)")


@pytest.mark.parametrize("scheme", ["Bearer", ""])
def test_the_scheme_may_be_bearer_or_nothing(device: Device, scheme: str) -> None:
    assert devrev_of(device, DEVREV + f'scheme = "{scheme}"\n').scheme == scheme


@pytest.mark.parametrize("scheme", ["bearer", "Basic", "Bearer ", " "])
def test_another_scheme_is_refused(device: Device, scheme: str) -> None:
    reason = reason_of(device, DEVREV + f'scheme = "{scheme}"\n')

    assert reason == f'[devrev] scheme = "{scheme}": must be "Bearer" or ""'


def test_registration_needs_the_token(device: Device) -> None:
    (problem,) = device.problems(THING + "[devrev]\n")

    assert problem == (
        "thingmeter.toml:3: [devrev]: token_file is missing: the path of a file with DevRev's token; "
        'or set registration = "off"'
    )


def test_without_registration_there_need_be_no_token(device: Device) -> None:
    assert device.problems(THING + '[devrev]\nregistration = "off"\n' + uom()) == []


def test_a_misspelt_registration_does_not_make_the_token_missing(device: Device) -> None:
    reason = reason_of(device, THING + '[devrev]\nregistration = "of"\n')

    assert reason == '[devrev] registration = "of": must be "auto" or "off"; did you mean "off"?'


@pytest.mark.parametrize("registration", ["auto", "off"])
def test_a_token_that_is_named_must_be_there(device: Device, registration: str) -> None:
    reason = reason_of(device, THING + f'[devrev]\nregistration = "{registration}"\ntoken_file = "missing"\n')

    assert reason == '[devrev] token_file = "missing": cannot be read: no such file or directory (missing)'


def test_a_token_that_may_not_be_read_is_refused(device: Device) -> None:
    device.write("devrev-token", "token", mode=0)
    device.write(device.file.name, DEVREV)

    told = told_without_privilege(device.file)

    assert told.endswith(f"cannot be read: permission denied ({device.folder}/devrev-token)\n")


def test_an_empty_token_is_refused(device: Device) -> None:
    device.write("devrev-token", "")

    assert reason_of(device, DEVREV) == '[devrev] token_file = "devrev-token": is empty (devrev-token)'


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_token_open_to_others_is_refused_with_its_mode(device: Device, mode: int) -> None:
    device.write("devrev-token", "token", mode=mode)

    assert f"is open to group or others (mode {mode:04o})" in reason_of(device, DEVREV)


def test_a_token_of_systemd_may_have_any_mode(device: Device) -> None:
    device.write("credentials/devrev-token", "token", mode=0o440)
    text = DEVREV.replace('"devrev-token"', '"${CREDENTIALS_DIRECTORY}/devrev-token"')

    assert device.problems(text, CREDENTIALS_DIRECTORY=str(device.folder / "credentials")) == []


@pytest.mark.parametrize("token", [JWT, f"Bearer {JWT}", OPAQUE, f"Bearer {OPAQUE}", JWT * 20])
def test_a_token_pasted_for_its_path_is_refused_and_never_shown(device: Device, token: str) -> None:
    reason = reason_of(device, DEVREV.replace("devrev-token", token))

    assert reason == '[devrev] token_file = "***": must be the path of a file, not its content'


@pytest.mark.parametrize("name", ["devrev-token-of-the-production-fleet-2026", "tokens/" + OPAQUE, "short1A"])
def test_the_name_of_a_missing_file_is_not_taken_for_a_token(device: Device, name: str) -> None:
    assert "cannot be read: no such file or directory" in reason_of(device, DEVREV.replace("devrev-token", name))


def test_a_file_that_is_named_like_a_token_is_a_file(device: Device) -> None:
    device.write(OPAQUE, "token")

    assert devrev_of(device, DEVREV.replace("devrev-token", OPAQUE)).token_file == str(device.folder / OPAQUE)


def test_a_token_under_another_key_is_never_shown(device: Device) -> None:
    problems = device.problems(DEVREV + f'bearer = "{JWT}"\nscheme = "{JWT}"\n' + uom(product_id=f'"Bearer {JWT}"'))

    assert (len(problems), JWT[:12] in "".join(problems)) == (3, False)


def test_the_path_of_the_token_is_no_secret(device: Device) -> None:
    shown = {source.key: source.value for source in sources(device.load(DEVREV))}

    assert device.folder.name[:10] in shown["token_file"]


@pytest.mark.parametrize("name", ["a", "_", "A1_b", "x" * 64])
def test_a_metric_name_may_be_any_that_devrev_takes(device: Device, name: str) -> None:
    assert device.problems(DEVREV + uom(metric_name=f'"{name}"')) == []


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a.b", "a b", "ä", "x" * 65])
def test_a_metric_name_that_devrev_would_not_take_is_refused(device: Device, name: str) -> None:
    reason = reason_of(device, DEVREV + uom(metric_name=f'"{name}"'))

    assert reason.endswith("must be 1 to 64 (the limit of DevRev) of the characters a-z A-Z 0-9 _, the first no digit")


def test_a_metric_name_that_stands_twice_is_refused(device: Device) -> None:
    (problem,) = device.problems(DEVREV + uom() + uom())

    assert problem == (
        'thingmeter.toml:12: [[devrev.uom]] metric_name = "pumped_litres": '
        "stands twice; the first is at thingmeter.toml:6"
    )


def test_a_metric_name_that_differs_only_in_case_is_refused(device: Device) -> None:
    (problem,) = device.problems(DEVREV + uom() + uom(metric_name='"Pumped_Litres"'))

    assert problem.endswith(
        'differs only in case from "pumped_litres" at thingmeter.toml:6, must differ in more than case'
    )


def test_a_metric_name_of_a_drop_in_counts_as_well(device: Device) -> None:
    device.write("conf.d/10.toml", uom())

    (problem,) = device.problems(DEVREV + uom())

    assert problem.startswith('conf.d/10.toml:2: [[devrev.uom]] metric_name = "pumped_litres": stands twice')


@pytest.mark.parametrize("key", LINES)
def test_what_devrev_needs_is_needed(device: Device, key: str) -> None:
    reason = reason_of(device, DEVREV + uom(**{key: None}))

    assert reason.startswith(f"[[devrev.uom]]: {key} is missing: ")


@pytest.mark.parametrize("key", ["name", "product_id", "part_id"])
@pytest.mark.parametrize("written", ['""', '" "', "7"])
def test_a_name_or_an_id_that_says_nothing_is_refused(device: Device, key: str, written: str) -> None:
    reason = reason_of(device, DEVREV + uom(**{key: written}))

    assert reason.startswith(f"[[devrev.uom]] {key} = {written}: ")


@pytest.mark.parametrize(("key", "written"), [("product_id", '"PROD 1"'), ("part_id", '"ENH\\t1"')])
def test_an_id_is_one_word(device: Device, key: str, written: str) -> None:
    reason = reason_of(device, DEVREV + uom(**{key: written}))

    assert "must be an id of DevRev such as" in reason


def test_an_id_may_be_a_don(device: Device) -> None:
    assert device.problems(DEVREV + uom(product_id='"don:core:dvrv-us-1:devo/0:product/1"')) == []


@pytest.mark.parametrize("name", ["Litres pumped", "Gepumpte Liter (m³)", "x" * 1000])
def test_a_name_is_for_people(device: Device, name: str) -> None:
    assert device.problems(DEVREV + uom(name=f'"{name}"')) == []


@pytest.mark.parametrize("aggregation", TYPES)
@pytest.mark.parametrize("unit", ["number", "boolean"])
def test_every_aggregation_type_goes_with_every_unit(device: Device, aggregation: str, unit: str) -> None:
    text = DEVREV + uom(
        aggregation_type=f'"{aggregation}"',
        unit=f'{{ name = "pump", type = "{unit}" }}',
        dimensions='["pump"]',
        unique_dimension='"pump"',
    )

    assert device.problems(text) == []


@pytest.mark.parametrize(("written", "hint"), [("Sum", "sum"), ("unique-count", "unique_count"), ("max", "maximum")])
def test_an_aggregation_type_that_devrev_lacks_names_the_nearest(device: Device, written: str, hint: str) -> None:
    reason = reason_of(device, DEVREV + uom(aggregation_type=f'"{written}"'))

    assert '"unique_count", "running_total" or "duration"' in reason
    assert hint == "maximum" or reason.endswith(f'; did you mean "{hint}"?')


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        ('"litre"', 'is a string, must be a table such as { name = "litre", type = "number" }'),
        ('{ type = "number" }', "name is missing: a string that is not blank"),
        ('{ name = "", type = "number" }', "must be a string that is not blank"),
        ('{ name = "x" }', 'type is missing: "number" or "boolean"'),
        ('{ name = "x", type = "bool" }', 'must be "number" or "boolean"; did you mean "boolean"?'),
        ('{ name = "x", type = "number", scale = 1 }', "unknown key; known here: name, type"),
    ],
)
def test_a_unit_that_devrev_would_not_take_is_refused(device: Device, unit: str, reason: str) -> None:
    assert reason_of(device, DEVREV + uom(unit=unit)).endswith(reason)


def test_twelve_dimensions_are_allowed(device: Device) -> None:
    names = [f"d{n}" for n in range(12)]

    assert device.problems(DEVREV + uom(dimensions=str(names))) == []


def test_a_thirteenth_dimension_is_refused(device: Device) -> None:
    names = [f"d{n}" for n in range(13)]

    assert "13 of them, must be an array of at most 12 names (the limit of DevRev)" in reason_of(
        device, DEVREV + uom(dimensions=str(names))
    )


@pytest.mark.parametrize("name", ["", "1a", "a-b", "x" * 65, "ä"])
def test_a_dimension_that_devrev_would_not_take_is_refused(device: Device, name: str) -> None:
    reason = reason_of(device, DEVREV + uom(dimensions=f'["site", "{name}"]'))

    assert reason.startswith("[[devrev.uom]] dimensions[1] = ")
    assert "1 to 64 (the limit of DevRev)" in reason


def test_a_dimension_that_stands_twice_is_refused(device: Device) -> None:
    reason = reason_of(device, DEVREV + uom(dimensions='["site", "site"]'))

    assert reason.startswith('[[devrev.uom]] dimensions[1] = "site": stands twice')


def test_a_dimension_that_differs_only_in_case_is_refused(device: Device) -> None:
    reason = reason_of(device, DEVREV + uom(dimensions='["site", "Site"]'))

    assert reason.startswith('[[devrev.uom]] dimensions[1] = "Site": differs only in case from "site"')


def test_uoms_may_have_the_same_dimensions(device: Device) -> None:
    text = DEVREV + uom(dimensions='["site"]') + uom(metric_name='"other"', dimensions='["site"]')

    assert device.problems(text) == []


@pytest.mark.parametrize(
    ("dimensions", "reason"),
    [
        ("[]", 'must be one of dimensions, of which there are none: add dimensions = ["line"]'),
        ('["site"]', 'must be one of dimensions: "site"'),
        ('["site", "Line"]', 'must be one of dimensions: "site" or "Line"; did you mean "Line"?'),
    ],
)
def test_a_unique_dimension_is_one_of_the_dimensions(device: Device, dimensions: str, reason: str) -> None:
    text = DEVREV + uom(unique_dimension='"line"', dimensions=dimensions)

    assert reason_of(device, text) == f'[[devrev.uom]] unique_dimension = "line": {reason}'


def test_wrong_dimensions_do_not_make_the_unique_one_wrong(device: Device) -> None:
    reason = reason_of(device, DEVREV + uom(unique_dimension='"line"', dimensions='["li ne"]'))

    assert reason.startswith("[[devrev.uom]] dimensions[0]")


@pytest.mark.parametrize("aggregation", ["unique_count", "running_total"])
def test_what_counts_distinct_values_needs_to_know_of_what(device: Device, aggregation: str) -> None:
    reason = reason_of(device, DEVREV + uom(aggregation_type=f'"{aggregation}"', dimensions='["line"]'))

    assert reason == (
        f'[[devrev.uom]] aggregation_type = "{aggregation}": counts the distinct values of one dimension: '
        "give unique_dimension, one of dimensions"
    )


@pytest.mark.parametrize("aggregation", sorted({*TYPES} - {"unique_count", "running_total"}))
def test_what_counts_no_distinct_values_needs_no_unique_dimension(device: Device, aggregation: str) -> None:
    assert device.problems(DEVREV + uom(aggregation_type=f'"{aggregation}"')) == []


def test_each_uom_is_listed_with_its_unit(device: Device) -> None:
    config = device.load(DEVREV + uom() + uom(metric_name='"other"'))

    shown = {(source.table, source.key): source.value for source in sources(config)}

    assert (shown["devrev.uom.1", "metric_name"], shown["devrev.uom.1.unit", "name"]) == ('"other"', '"litre"')


def test_devrev_needs_no_broker(device: Device) -> None:
    assert device.problems(DEVREV + uom()) == []
