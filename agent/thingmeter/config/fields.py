"""The fields of a settings struct, taken apart: what the loader, the schema and the README's table all read."""

from __future__ import annotations

import functools
import types
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from thingmeter.config.wording import listed, show

_UNITS = {"s": "seconds", "bytes": "bytes"}


@dataclass(frozen=True, slots=True)
class Kind:
    """The type of a setting: ``annotation`` is ``base`` (``int``, ``Literal[...]``, ``Tls``) bounded by ``meta``."""

    annotation: Any
    base: Any
    meta: Meta

    @property
    def is_table(self) -> bool:
        """Tell whether it is a table of its own."""
        return isinstance(self.base, type) and issubclass(self.base, Struct)

    @property
    def item(self) -> Kind | None:
        """Return the kind of the items of an array or the values of a table of strings; None for the rest."""
        if get_origin(self.base) is tuple:
            return unwrap(get_args(self.base)[0])
        if get_origin(self.base) is dict:
            return unwrap(get_args(self.base)[1])
        return None

    @property
    def key_annotation(self) -> Any:
        """Return the type of the keys of a table of strings."""
        return get_args(self.base)[0]

    @property
    def choices(self) -> tuple[str, ...]:
        """Return the strings that a choice may be."""
        return tuple(choice for choice in get_args(self.base) if choice) if get_origin(self.base) is Literal else ()

    def is_given(self, value: object) -> bool:
        """Tell whether ``value``, as tomllib gives it, has the right TOML type; its bounds are another matter."""
        if get_origin(self.base) is tuple:
            return isinstance(value, list)
        if get_origin(self.base) is dict or self.is_table:
            return isinstance(value, dict)
        if self.base is float:
            return isinstance(value, int | float) and not isinstance(value, bool)
        return type(value) is (str if self.choices else self.base)

    def allowed(self, unit: str = "") -> str:
        """Return in words what is allowed: ``an integer from 1 to 65535``."""
        said = extra(self.meta, "allowed")
        if said:
            return said
        if self.choices:
            return listed(map(show, self.choices))
        if self.item is not None:
            return f"an array of {self.item.allowed()}" if get_origin(self.base) is tuple else "a table of strings"
        if self.base in (int, float):
            noun = "an integer" if self.base is int else "a number"
            return f"{noun} from {self.meta.ge} to {self.meta.le}" + (f" ({unit})" if unit else "")
        if self.base is bool:
            return "true or false"
        return "a table" if self.is_table else "a string"


@dataclass(frozen=True, slots=True)
class Field:
    """One setting. ``key`` is its name in TOML, ``name`` that in Python; ``default`` is msgspec.NODEFAULT if needed."""

    key: str
    name: str
    kind: Kind
    default: Any

    @property
    def is_required(self) -> bool:
        """Tell whether a file must give it."""
        return self.default is msgspec.NODEFAULT

    @property
    def stand_in(self) -> Any:
        """Return what stands where a file gives nothing usable: the default, or nothing."""
        if self.is_required:
            return ""
        return dict(self.default) if isinstance(self.default, dict) else self.default  # one that nobody shares

    @property
    def unit(self) -> str:
        """Return the unit that the key's ending says, or nothing."""
        return _UNITS.get(self.key.rpartition("_")[2], "") if "_" in self.key else ""

    @property
    def allowed(self) -> str:
        """Return in words what is allowed."""
        return self.kind.allowed(self.unit)


@functools.cache
def fields_of(struct: type[Struct]) -> tuple[Field, ...]:
    """Return the settings of ``struct``, in the order of its definition."""
    return tuple(
        Field(
            info.encode_name,
            info.name,
            unwrap(info.type),
            info.default if info.default_factory is msgspec.NODEFAULT else info.default_factory(),
        )
        for info in msgspec.structs.fields(struct)
    )


def unwrap(annotation: Any) -> Kind:
    """Return ``annotation`` as base type and bounds; ``X | None`` counts as ``X``."""
    base, meta = annotation, Meta()
    if get_origin(base) in (Union, types.UnionType):
        base = annotation = next(option for option in get_args(base) if option is not type(None))
    if get_origin(base) is Annotated:
        base, meta = get_args(base)
    return Kind(annotation, base, meta)


def extra(meta: Meta, key: str) -> str:
    """Return what the settings say beyond msgspec's bounds: ``allowed``, ``default``, ``quota``; nothing by default."""
    return str((meta.extra or {}).get(key, ""))
