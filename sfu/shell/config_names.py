"""The names in the configuration: which are unknown, which was meant, what a key may be."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec


def _struct_in(annotation: Any) -> type[msgspec.Struct] | None:
    """The struct type inside `Section`, `list[Section]` or a union of them."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return annotation
    if typing.get_origin(annotation) in (list, typing.Union, types.UnionType, typing.Annotated):
        inner = (_struct_in(argument) for argument in typing.get_args(annotation))
        return next((found for found in inner if found is not None), None)
    return None


def key_paths(section: type[msgspec.Struct], prefix: str = "") -> Iterator[str]:
    """Every dotted key that `section` knows, tables themselves included."""
    for field in msgspec.structs.fields(section):
        path = prefix + field.encode_name
        yield path
        nested = _struct_in(field.type)
        if nested is not None:
            yield from key_paths(nested, path + ".")


def choices(section: type[msgspec.Struct], path: str) -> tuple[str, ...]:
    """The values that the key at dotted `path` may have; empty when they are not listed."""
    for name in path.split("."):
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(section)}
        annotation = fields.get(name)
        nested = _struct_in(annotation)
        if nested is None:
            return typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()
        section = nested
    return ()


def _suggestion(path: str, root: type[msgspec.Struct]) -> str:
    """The known key nearest to `path`, by its whole path or by its last part alone."""
    known = list(key_paths(root))
    near = difflib.get_close_matches(path, known, n=1, cutoff=0.75)
    if not near:
        last = path.rpartition(".")[2]
        by_last = {name.rpartition(".")[2]: name for name in reversed(known)}
        near = [by_last[hit] for hit in difflib.get_close_matches(last, by_last, n=1, cutoff=0.7)]
    return f"; did you mean {near[0]}?" if near else ""


def unknown_key(
    raw: Mapping[str, Any],
    section: type[msgspec.Struct],
    root: type[msgspec.Struct] | None = None,
    prefix: str = "",
) -> str | None:
    """What to say about the first key of `raw` that `section` does not know; None: knows all."""
    root = root or section
    fields = {field.encode_name: field for field in msgspec.structs.fields(section)}
    for name, value in raw.items():
        path = prefix + name
        if name not in fields:
            return f"{path}: no such key{_suggestion(path, root)}"
        nested = _struct_in(fields[name].type)
        if nested is None:
            continue
        for table in value if isinstance(value, list) else [value]:
            if isinstance(table, dict):
                found = unknown_key(table, nested, root, path + ".")
                if found is not None:
                    return found
    return None
