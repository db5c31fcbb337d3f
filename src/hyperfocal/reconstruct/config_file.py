"""Configs as YAML: any nested frozen dataclass out and back in, exactly, with errors that name the key."""

import types
from dataclasses import Field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import yaml

from ..errors import BadInputError
from ..files import write_text

Config = TypeVar("Config")

KIND = "kind"  # the key that says which dataclass of a union a mapping stands for
# What files of earlier versions hold: (key, value) -> the value that means the same now.
EARLIER = {("fit.capture.exposure", True): "affine"}


class _Wrong(Exception):
    """A value does not fit its key; becomes a `BadInputError` once the file is known."""


def to_plain(value: object) -> Any:
    """Return a config as dicts, lists and scalars."""
    if is_dataclass(value):
        return {f.name: _tagged(_type_of(value, f), getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def write_config(path: Path, config: object, heading: str) -> None:
    """Write a config as YAML below a comment line."""
    body = yaml.safe_dump(to_plain(config), sort_keys=False, allow_unicode=True)
    write_text(path, f"# {heading}\n{body}")


def read_config(path: Path, default: Config) -> Config:
    """Return `default` with every key of a YAML file put in its place; keys that the file leaves out stay.

    Raises:
        BadInputError: no such file, not YAML, an unknown key, or a value of the wrong type or range.
    """
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"Could not read the config {path}: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = "" if where is None else f" (line {where.line + 1})"
        raise BadInputError(f"{path} is not YAML text{line}: {getattr(error, 'problem', None) or error}.") from error
    try:
        return merged(default, {} if plain is None else plain)
    except _Wrong as error:
        raise BadInputError(f"{path}: {error}") from error


def merged(default: Config, plain: object, key: str = "") -> Config:
    """Return the dataclass `default` with the values of the mapping `plain`."""
    if not isinstance(plain, dict):
        raise _Wrong(f"`{key or 'the file'}` should be a mapping of settings, got {_shown(plain)}.")
    known = {f.name: _type_of(default, f) for f in fields(cast(Any, default))}
    unknown = [name for name in plain if name not in known and name != KIND]
    if unknown:
        place = f"`{_below(key, unknown[0])}`"
        raise _Wrong(f"{place} is not a setting; expected one of {', '.join(known)}.")
    changes = {
        name: _value(_below(key, name), known[name], plain[name], getattr(default, name))
        for name in known
        if name in plain
    }
    try:
        return replace(cast(Any, default), **changes)
    except (ValueError, TypeError) as error:
        raise _Wrong(f"{f'`{key}`: ' if key else ''}{error}") from error


def _value(key: str, kind: Any, plain: Any, default: object) -> Any:
    """Return `plain` as a value of the annotated type `kind`."""
    if isinstance(plain, bool):
        plain = EARLIER.get((key, plain), plain)
    options = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    if plain is None and type(None) in options:
        return None
    classes = [option for option in options if is_dataclass(option)]
    if classes:
        return _dataclass_value(key, cast("list[type]", classes), plain, default)
    for option in options:
        fitted = _fitted(option, plain)
        if fitted is not None:
            return fitted[0]
        if get_origin(option) is tuple and isinstance(plain, list):
            return _tuple_value(key, option, plain)
    raise _Wrong(f"`{key}` should be {_described(options)}, got {_shown(plain)}.")


def _dataclass_value(key: str, classes: list[type], plain: Any, default: object) -> Any:
    names = {_kind_of(option): option for option in classes}
    chosen = type(default) if is_dataclass(default) else classes[0]
    if isinstance(plain, dict) and KIND in plain:
        if plain[KIND] not in names:
            raise _Wrong(f"`{_below(key, KIND)}` should be one of {', '.join(names)}, got {_shown(plain[KIND])}.")
        chosen = names[plain[KIND]]
    return merged(default if type(default) is chosen else chosen(), plain, key)


def _tuple_value(key: str, kind: Any, plain: list[Any]) -> tuple[Any, ...]:
    inner = get_args(kind)
    if len(inner) == 2 and inner[1] is Ellipsis:
        inner = (inner[0],) * len(plain)
    if len(inner) != len(plain):
        raise _Wrong(f"`{key}` should be a list of {len(inner)} values, got {len(plain)}.")
    return tuple(_value(f"{key}[{i}]", t, item, None) for i, (t, item) in enumerate(zip(inner, plain, strict=True)))


def _fitted(kind: Any, plain: object) -> tuple[object] | None:
    """Return `plain` as the scalar type `kind`, in a tuple so that a false value is still a hit; None if it is not."""
    if get_origin(kind) is Literal:
        word = "off" if plain is False else plain  # YAML 1.1 reads a bare off as false
        return (word,) if word in get_args(kind) else None
    if kind is float and isinstance(plain, int | float | str) and not isinstance(plain, bool):
        # YAML 1.1 reads 1e-3 (no dot) as text, yet everybody writes it.
        try:
            return (float(plain),)
        except ValueError:
            return None
    if kind is Path and isinstance(plain, str):
        return (Path(plain),)
    # bool is an int to Python, but `seed: true` is a slip.
    return (plain,) if isinstance(kind, type) and type(plain) is kind else None


def _tagged(kind: Any, value: object) -> Any:
    """Return a plain value; a dataclass that stands in a union also says which one it is."""
    plain = to_plain(value)
    if is_dataclass(value) and sum(is_dataclass(option) for option in get_args(kind)) > 1:
        return {KIND: _kind_of(type(value)), **plain}
    return plain


def _type_of(owner: object, member: "Field[Any]") -> Any:
    return get_type_hints(type(owner))[member.name]


def _kind_of(option: type) -> str:
    return option.__name__.removesuffix("Config").lower()


def _below(key: str, name: object) -> str:
    return f"{key}.{name}" if key else str(name)


def _described(options: tuple[Any, ...]) -> str:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path"}
    parts = []
    for option in options:
        if get_origin(option) is Literal:
            parts.extend(str(choice) for choice in get_args(option))
        elif option is type(None):
            parts.append("null")
        else:
            parts.append(words.get(option, "a list"))
    return " or ".join(parts)


def _shown(plain: object) -> str:
    text = "null" if plain is None else str(plain).lower() if isinstance(plain, bool) else repr(plain)
    return text if len(text) <= 60 else f"{text[:57]}..."
