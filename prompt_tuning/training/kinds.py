"""Whether the values of a configuration are of the kinds that its fields are declared with."""

import dataclasses
import functools
import json
import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from prompt_tuning.errors import UserError


@functools.cache
def kinds_of(cls: type) -> dict[str, Any]:
    """What the fields of a dataclass are declared with."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def settle_floats(config: Any) -> None:
    """Make whole numbers floats in fields declared so: equal configurations are written alike."""
    for name, kind in kinds_of(type(config)).items():
        value = getattr(config, name)
        if type(value) is int and fits(0.5, kind):
            object.__setattr__(config, name, float(value))  # frozen, but only being made


def check_kind(name: str, value: Any, kind: Any, example: Any = None) -> None:
    """Raise UserError, in the words of JSON, unless the field's value fits.

    name: of the field; example: a value that it may have. Which of a choice of words there are is
    for the configuration itself to check.
    """
    words = [w for part in (kind, *get_args(kind)) for w in get_args(part) if isinstance(w, str)]
    if fits(value, kind) or (words and isinstance(value, str)):
        return
    given = json.dumps(value, default=repr)
    such = f" such as {example}" if example else ""
    if words or fits("", kind):
        raise UserError(f"{name} is a word such as {example or 'text'!r}, not {given}")
    if fits(True, kind):
        raise UserError(f"{name} is true or false, not {given}")
    if fits(1, kind):
        number = "a number" if fits(0.5, kind) else "a whole number"
        raise UserError(f"{name} is {number}{such}, not {given}")
    if any(dataclasses.is_dataclass(part) for part in (kind, *get_args(kind))):
        raise UserError(f"{name} has fields of its own ({name}.FIELD), not {given}")
    shapes = {"an object of texts": {"": ""}, "a list of texts": [""]}
    fitting = " or ".join(shape for shape, such in shapes.items() if fits(such, kind))
    raise UserError(f"{name} is {fitting}, not {given}")


def fits(value: Any, kind: Any) -> bool:
    """Whether a value, of JSON or of Python, is of the kind that a field is declared with."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return value in parts
    if isinstance(kind, types.UnionType) or origin is Union:
        return any(fits(value, part) for part in parts)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if dataclasses.is_dataclass(kind):
        return isinstance(value, (Mapping, kind))
    if origin is Mapping:
        return isinstance(value, Mapping) and all(fits(x, parts[1]) for x in value.values())
    if origin is tuple:
        return isinstance(value, list | tuple) and all(fits(x, parts[0]) for x in value)
    return kind is Any or type(value) is (type(None) if kind is None else kind)
