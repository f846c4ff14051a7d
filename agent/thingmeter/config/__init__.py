"""TOML to frozen structs: ``load()`` gives a whole, checked configuration or every mistake in it."""

from thingmeter.config.load import default_path, load
from thingmeter.config.settings import Config

__all__ = ["Config", "default_path", "load"]
