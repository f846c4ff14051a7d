from __future__ import annotations

from metering.device import Device, MakeDevice, uom


def ids(device: Device) -> list[list[str]]:
    """Return the records' ids, each as thing, installation, start and sequence."""
    return [record.id.split(".") for record in device.records("litres")]


def run(device: Device) -> None:
    """Let a window pass."""
    device.sample(1)
    device.pass_s(60)


def test_an_id_is_thing_installation_start_and_sequence(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))

    run(device)

    [[thing, installation, start, sequence]] = ids(device)
    assert (thing, len(installation), len(start), sequence) == ("pump-7", 16, 16, "1")


def test_no_id_comes_twice(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))

    for _ in range(3):
        run(device)
        run(device)
        device.restart()

    found = [tuple(each) for each in ids(device)]
    assert len(found) == len(set(found)) == 6


def test_the_installation_stays_over_restarts(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))

    run(device)
    device.restart()
    run(device)

    assert len({installation for _, installation, _, _ in ids(device)}) == 1


def test_every_start_has_its_own_part(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))

    run(device)
    device.restart()
    run(device)

    assert len({start for _, _, start, _ in ids(device)}) == 2


def test_an_outbox_from_another_machine_has_a_new_installation(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))
    run(device)

    device.machine_id = "machine-2"
    device.restart()
    run(device)

    assert len({installation for _, installation, _, _ in ids(device)}) == 2


def test_the_machine_id_itself_is_stored_nowhere(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))

    run(device)

    assert b"machine-1" not in (device.outbox.state("usage.installation") or b"machine-1")


def test_a_key_in_the_outbox_is_the_records_id(make_device: MakeDevice) -> None:
    device = make_device(uom("litres", "sum"))

    run(device)

    keys = [message.key for message in device.outbox.waiting("devrev.litres", 10)]
    assert keys == [record.id for record in device.records("litres")]
