from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thingmeter.collectors import BUILT_IN
from thingmeter.collectors.host import HostCollector
from thingmeter.collectors.plugins import GROUP, LoadedCollector, load
from thingmeter.config import load as read
from thingmeter.errors import ConfigError
from thingmeter.health import Health
from thingmeter.testing import ManualClock, check_collector

EXAMPLE = Path(__file__).parents[1] / "fixtures" / "example_plugin"

Load = Callable[[str], tuple[LoadedCollector, ...]]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """Return what loads the collectors of a configuration with these tables."""

    def load_these(tables: str) -> tuple[LoadedCollector, ...]:
        file = tmp_path / "thingmeter.toml"
        file.write_text(f'[thing]\nname = "pump-7"\n{tables}')
        return load(read(file, environment={"HOME": str(tmp_path)}), provided={"health": Health()})

    return load_these


@pytest.fixture
def problems(loaded: Load) -> Callable[[str], list[str]]:
    """Return what loads such a configuration and gives its problems, without the path."""

    def problems_of(tables: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            loaded(tables)
        return [str(problem).partition("thingmeter.toml:")[2] for problem in caught.value.problems]

    return problems_of


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Return what puts a package with one module and its entry points where Python finds it, as pip would."""
    site = tmp_path / "site-packages"
    site.mkdir()
    modules = set(sys.modules)

    def install(package: str, module: str, entry_points: dict[str, str]) -> None:
        (site / f"{package}_module.py").write_text(module)
        metadata = site / f"{package}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {value}" for name, value in entry_points.items()]
        (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))

    monkeypatch.syspath_prepend(str(site))
    yield install
    for name in set(sys.modules) - modules:
        if name.endswith("_module") or name == "pump":
            del sys.modules[name]


SOUND = """
from thingmeter import Metric
LITRES = Metric("litres", unit="l")
class Pump:
    metrics = (LITRES,)
    def __init__(self, *, gpio: int, health=None):
        self.gpio, self.health = gpio, health
    def collect(self):
        yield LITRES.sample(3)
"""


def test_without_any_table_every_built_in_collector_is_loaded(loaded: Load) -> None:
    assert [collector.name for collector in loaded("")] == list(BUILT_IN)


def test_with_a_table_only_the_collectors_named_are_loaded(loaded: Load) -> None:
    collectors = loaded("[collectors.memory]\n[collectors.cpu]\n")

    assert [collector.name for collector in collectors] == ["memory", "cpu"]


def test_a_loaded_collector_has_its_tables_times(loaded: Load) -> None:
    (collector,) = loaded("[collectors.cpu]\ninterval_s = 60\ntimeout_s = 2\n")

    assert (collector.interval_s, collector.timeout_s) == (60, 2)


def test_the_keys_of_a_table_are_the_collectors_options(loaded: Load, tmp_path: Path) -> None:
    (collector,) = loaded(f'[collectors.host]\nrun = "{tmp_path}"\n')

    assert isinstance(collector.collector, HostCollector)
    assert collector.collector._run == tmp_path


def test_an_object_of_the_agent_is_no_option_of_a_built_in_collector(problems: Callable[[str], list[str]]) -> None:
    assert problems('[collectors.agent]\nhealth = "fine"\n') == [
        '4: [collectors.agent] health = "fine": unknown key; this collector has no options'
    ]


def test_problems_name_the_line_of_their_key(problems: Callable[[str], list[str]]) -> None:
    tables = "[collectors.cpu]\ninterval_s = 10\nper_core = 3\nper_cores = true\n"

    assert problems(tables) == [
        "5: [collectors.cpu] per_core = 3: is an integer, must be a boolean",
        "6: [collectors.cpu] per_cores = true: unknown key; did you mean per_core?",
    ]


def test_the_problems_of_all_tables_are_found(problems: Callable[[str], list[str]]) -> None:
    found = problems("[collectors.cpu]\nx = 1\n[collectors.memory]\ny = 1\n")

    assert [problem.partition(":")[0] for problem in found] == ["4", "6"]


def test_an_unknown_name_has_the_nearest_one_that_is_known(problems: Callable[[str], list[str]]) -> None:
    assert problems("[collectors.memroy]\n") == [
        "3: [collectors.memroy]: no collector of this name; did you mean memory?"
    ]


def test_an_unknown_name_near_nothing_has_all_that_are_known(problems: Callable[[str], list[str]]) -> None:
    assert "built in are cpu, memory, disk" in problems("[collectors.zzzzzz]\n")[0]


def test_a_value_that_a_constructor_refuses_is_a_problem(problems: Callable[[str], list[str]]) -> None:
    assert problems("[collectors.processes]\ntop = 99\n") == ["3: [collectors.processes]: top = 99: must be 0 to 20"]


def test_a_plugin_is_loaded_by_its_entry_point(loaded: Load, installed: Callable[..., None]) -> None:
    installed("acme", SOUND, {"acme-pump": "acme_module:Pump"})

    (pump,) = loaded('[collectors.pump]\nuse = "acme-pump"\ngpio = 17\n')

    assert (pump.name, [sample.value for sample in pump.collector.collect()]) == ("pump", [3])


def test_a_plugin_of_the_tables_name_needs_no_use(loaded: Load, installed: Callable[..., None]) -> None:
    installed("acme", SOUND, {"pump": "acme_module:Pump"})

    (pump,) = loaded("[collectors.pump]\ngpio = 17\n")

    assert pump.name == "pump"


def test_two_tables_may_use_one_plugin(loaded: Load, installed: Callable[..., None]) -> None:
    installed("acme", SOUND, {"acme-pump": "acme_module:Pump"})
    table = '[collectors.{}]\nuse = "acme-pump"\ngpio = 17\n'

    pumps = loaded(table.format("north") + table.format("south"))

    assert [pump.name for pump in pumps] == ["north", "south"]


def test_a_plugin_gets_nothing_of_the_agent(loaded: Load, installed: Callable[..., None]) -> None:
    installed("acme", SOUND, {"acme-pump": "acme_module:Pump"})

    (pump,) = loaded('[collectors.pump]\nuse = "acme-pump"\ngpio = 17\n')

    assert pump.collector.health is None  # type: ignore[attr-defined]


def test_an_option_that_a_plugin_needs_is_a_problem_of_its_table(
    problems: Callable[[str], list[str]], installed: Callable[..., None]
) -> None:
    installed("acme", SOUND, {"acme-pump": "acme_module:Pump"})

    assert problems('[collectors.pump]\nuse = "acme-pump"\n') == ["3: [collectors.pump]: gpio is missing: an integer"]


def test_an_unknown_entry_point_has_the_nearest_one(
    problems: Callable[[str], list[str]], installed: Callable[..., None]
) -> None:
    installed("acme", SOUND, {"acme-pump": "acme_module:Pump"})

    assert problems('[collectors.pump]\nuse = "acme-pmup"\n') == [
        '4: [collectors.pump] use = "acme-pmup": no plugin has this entry point; did you mean "acme-pump"?'
    ]


def test_two_packages_with_the_same_entry_point_are_told_apart_by_a_person(
    problems: Callable[[str], list[str]], installed: Callable[..., None]
) -> None:
    installed("acme", SOUND, {"pump": "acme_module:Pump"})
    installed("zenith", SOUND, {"pump": "zenith_module:Pump"})

    (problem,) = problems('[collectors.pump]\nuse = "pump"\n')

    assert "several plugins have an entry point pump" in problem
    assert "acme (acme_module:Pump)" in problem


@pytest.mark.parametrize(
    ("module", "problem"),
    [
        pytest.param("import gpiod_missing", "ModuleNotFoundError: No module named 'gpiod_missing'", id="import"),
        pytest.param("x = 1", "has no attribute 'Pump'", id="missing name"),
        pytest.param("Pump = 3", "must name a class or a function", id="not callable"),
        pytest.param("def Pump(): raise OSError('no bus')", "OSError: no bus (acme_module.py:1)", id="raises"),
        pytest.param("def Pump(): raise SystemExit(2)", "SystemExit: 2 (acme_module.py:1)", id="exits"),
        pytest.param("def Pump(): return 3", "a int is no collector: it has no method collect()", id="no collect"),
        pytest.param("class Pump:\n  def collect(self): ...", "it has no metrics", id="no metrics"),
        pytest.param(
            "class Pump:\n  metrics = []\n  def collect(self): ...", "must be a tuple of Metric, not list", id="a list"
        ),
        pytest.param(
            "class Pump:\n  metrics = property(lambda self: 1 / 0)\n  def collect(self): ...",
            "ZeroDivisionError: division by zero (acme_module.py:2)",
            id="metrics raise",
        ),
    ],
)
def test_a_broken_plugin_is_a_problem_of_its_table(
    problems: Callable[[str], list[str]], installed: Callable[..., None], module: str, problem: str
) -> None:
    installed("acme", module, {"acme-pump": "acme_module:Pump"})

    (found,) = problems('[collectors.pump]\nuse = "acme-pump"\n')

    assert found.startswith("3: [collectors.pump]")
    assert problem in found


def example_entry_points() -> dict[str, str]:
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    points: dict[str, str] = project["entry-points"][GROUP]
    return points


def test_the_example_plugin_loads_and_is_sound(loaded: Load, installed: Callable[..., None], tmp_path: Path) -> None:
    installed("acme_pump", "", example_entry_points())
    shutil.copy(EXAMPLE / "pump.py", tmp_path / "site-packages")
    (tmp_path / "pump").write_text("12 on\n")

    (pump,) = loaded(f'[collectors.pump]\nuse = "acme-pump"\npath = "{tmp_path / "pump"}"\n')

    assert [sample.value for sample in check_collector(pump.collector)] == [6.0, True]


def test_a_clock_that_is_provided_reaches_the_collector(tmp_path: Path) -> None:
    file = tmp_path / "thingmeter.toml"
    file.write_text('[thing]\nname = "pump-7"\n[collectors.host]\n')
    clock = ManualClock()

    (host,) = load(read(file, environment={"HOME": str(tmp_path)}), provided={"clock": clock})

    assert isinstance(host.collector, HostCollector)
    assert host.collector._clock is clock
