"""What ``mribench list`` does: says what a benchmark file can name, and what it may say of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click
from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import PydanticUndefined, to_jsonable_python
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mribench.commands.plugins import load_plugins
from mribench.commands.terminal import print_table
from mribench.defects import HARNESS, check_defects, known_defects
from mribench.errors import PluginError
from mribench.interfaces.kinds import DEFECTS
from mribench.registry import Registered, Registry

WIDE = 120
"""Columns of a terminal from which the sources of defects have a column of their own."""
_REFERENCE = {"name", "options"}
"""What a reference to another entry is made of."""
_WORDS = {"string": "text", "boolean": "true or false", "object": "mapping"}
"""What the types of JSON are called where they have another name for people."""
_BOUNDS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}

Schema = Mapping[str, Any]


def show_entries(kind: str | None, name: str | None) -> int:
    """List what a benchmark file can name and from which plugin it is, or the options of one entry.

    Raises:
        PluginError: when there is no such entry, or its options cannot be described.
        ConfigError: when there is no such defect.
    """
    registry = load_plugins()
    console = Console()
    if kind == DEFECTS:
        print_table(console, _tabulate_defects(registry, name, wide=console.width >= WIDE))
    elif kind is None or name is None:
        print_table(console, _tabulate_entries(registry, kind), 1)
    else:
        _show_entry(console, registry.get(kind, name))
    return 0


def _tabulate_entries(registry: Registry, kind: str | None) -> Table:
    table = Table()
    table.add_column("kind", no_wrap=True)
    table.add_column("name", no_wrap=True)
    table.add_column("what", overflow="fold")
    table.add_column("from", overflow="fold")
    for registered in registry:
        if kind in (None, registered.entry.kind):
            entry = registered.entry
            table.add_row(*map(escape, (entry.kind, entry.name, entry.summary, _origin(registered))))
    return table


def _origin(registered: Registered) -> str:
    return f"{registered.plugin} ({registered.distribution} {registered.version})"


def _tabulate_defects(registry: Registry, only: str | None, *, wide: bool) -> Table:
    """Return the known defects; their sources stand below what goes wrong unless there is room."""
    shown_by: dict[str, list[str]] = {
        name: [f"{', '.join(stages)} (mribench)"] for name, (_, stages) in HARNESS.items()
    }
    for registered in registry:
        for defect in registered.entry.defects:
            shown_by.setdefault(defect.name, []).append(f"{registered.entry.kind} {registered.entry.name}")
    known = known_defects(registry.defects())
    if only is not None:
        check_defects([only], known, f"list {DEFECTS} {only}")
        known = {only: known[only]}
    table = Table()
    table.add_column("defect", no_wrap=True)
    for column in ("what goes wrong", *(("found in",) if wide else ()), "switched on in"):
        table.add_column(column, overflow="fold")
    for name, defect in known.items():
        summary, source, places = map(escape, (defect.summary, defect.source, ", ".join(shown_by[name])))
        told = (summary, source) if wide else (f"{summary}\n[dim]found in: {source}[/]",)
        table.add_row(escape(name), *told, places)
    return table


def _show_entry(console: Console, registered: Registered) -> None:
    entry = registered.entry
    click.echo(f"{entry.kind} {entry.name}: {entry.summary}")
    click.echo(f"from {_origin(registered)}")
    if entry.input.asks:
        click.echo(f"wants to see: {entry.input.sentence()}")
    try:
        schema = entry.options.model_json_schema()
    except PydanticInvalidForJsonSchema as error:
        said = error.message.splitlines()[0]
        raise PluginError(
            f"the options of {entry.kind} '{entry.name}' cannot be described: {said}",
            f"tell the author of {registered.distribution}",
        ) from error
    if not schema.get("properties"):
        click.echo("It has no options.")
        return
    print_table(console, _tabulate_options(entry.options, schema))


def _tabulate_options(options: type[BaseModel], schema: Schema) -> Table:
    table = Table()
    table.add_column("option", no_wrap=True)
    for column in ("type", "default", "what"):
        table.add_column(column, overflow="fold")
    definitions = schema.get("$defs", {})
    for cells in _list_options(schema["properties"], _find_defaults(options), definitions, ""):
        table.add_row(*map(escape, cells))
    return table


def _find_defaults(options: type[BaseModel]) -> dict[str, Any]:
    """Return the defaults of the options that have one of their own, by name."""
    return {
        name: field.get_default(call_default_factory=True, validated_data={})
        for name, field in options.model_fields.items()
        if not field.is_required()
    }


def _list_options(
    properties: Schema, defaults: Mapping[str, Any], definitions: Schema, before: str
) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, type, default and description of each option; those of a group below it, ``group.key``."""
    for name, field in properties.items():
        place, default = f"{before}{name}", defaults.get(name, PydanticUndefined)
        group = _find_group(field, definitions)
        if group and isinstance(default, BaseModel):
            yield place, "mapping", "as below", field.get("description", "")
            yield from _list_options(group, dict(default), definitions, f"{place}.")
            continue
        yield place, _name_type(field, definitions), _write(default), field.get("description", "")


def _write(default: object) -> str:
    """Return a default as a benchmark file may have it."""
    if default is PydanticUndefined:
        return "required"
    return json.dumps(to_jsonable_python(default), ensure_ascii=False)


def _find_group(field: Schema, definitions: Schema) -> Schema:
    """Return the options of a group of them; nothing where a field is none, or names an entry."""
    definition = definitions.get(field.get("$ref", "").rpartition("/")[2], {})
    properties: Schema = definition.get("properties", {})
    return {} if properties.keys() == _REFERENCE else properties


def _name_type(field: Schema, definitions: Schema) -> str:
    """Return a type of JSON Schema for people: ``list of number ≥ 0``, ``"mean" or "class"``."""
    if "$ref" in field:
        return _name_definition(field["$ref"].rpartition("/")[2], definitions)
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_name_type(one, definitions) for one in field["anyOf"]))
    if "enum" in field or "const" in field:
        return " or ".join(json.dumps(value) for value in field.get("enum", [field.get("const")]))
    if field.get("type") == "array":
        return _name_list(field, definitions)
    kind = str(field.get("type", "anything"))
    word = _WORDS.get(kind, kind)
    if kind == "object" and isinstance(field.get("additionalProperties"), Mapping):
        return f"mapping to {_name_type(field['additionalProperties'], definitions)}"
    bounds = [f"{sign} {field[key]}" for key, sign in _BOUNDS.items() if key in field]
    return " ".join([word, ", ".join(bounds)]).strip()


def _name_list(field: Schema, definitions: Schema) -> str:
    places = field.get("prefixItems")
    if places is not None:
        return f"list of {', '.join(_name_type(one, definitions) for one in places)}"
    return f"list of {_name_type(field.get('items', {}), definitions)}"


def _name_definition(name: str, definitions: Schema) -> str:
    """Return the keys of a group of options, or which kind of entry is named."""
    definition = definitions[name]
    properties = definition.get("properties")
    if properties is None:
        return _name_type(definition, definitions)
    if properties.keys() == _REFERENCE:
        return f"{name.removesuffix('Ref').lower()}, by name or {{name: …, options…}}"
    return f"mapping of {', '.join(properties)}"
