"""JSON Schema (draft 2020-12) of the benchmark file, for editors and for checks without mribench."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import models_json_schema

from mribench.config.model import BenchmarkConfig
from mribench.config.parts import DEFAULT_SPLIT_RULE, SplitSpec
from mribench.errors import PluginError
from mribench.interfaces import options
from mribench.interfaces.options import Component
from mribench.registry import Registered, Registry

DRAFT = "https://json-schema.org/draft/2020-12/schema"
"""The dialect of the schema."""

_REFERENCES: tuple[type[Component], ...] = (
    options.DatasetRef,
    SplitSpec,
    options.SplitRef,
    options.SequenceRef,
    options.ViewsRef,
    options.ObjectiveRef,
    options.EncoderRef,
    options.DecoderRef,
    options.TaskRef,
    options.MetricRef,
    options.ExecutorRef,
)

Schema = dict[str, Any]


def make_schema(registry: Registry, distribution: str | None = None) -> Schema:
    """Return the JSON Schema of the benchmark file with the entries of a registry.

    A component is the name of an entry, or ``{name: …, options…}``. Names that the registry lacks are
    allowed, with any options, because other plugins may bring them.

    Args:
        registry: the entries whose options are spelled out.
        distribution: only the entries of this distribution; all when None.

    Raises:
        PluginError: when an entry's options cannot be described.
    """
    entries = [item for item in registry if distribution in (None, item.distribution)]
    for item in entries:
        _check_describable(item)
    models: list[type[BaseModel]] = [BenchmarkConfig, *_REFERENCES, *(item.entry.options for item in entries)]
    places, full = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)], by_alias=True
    )
    definitions: dict[str, Schema] = full["$defs"]
    names = {model: places[model, "validation"]["$ref"].rpartition("/")[2] for model in dict.fromkeys(models)}
    plain = copy.deepcopy(definitions)
    for reference in _REFERENCES:
        known = {
            item.entry.name: plain[names[item.entry.options]]
            for item in entries
            if item.entry.kind == reference.kind
        }
        summaries = {
            item.entry.name: item.entry.summary for item in entries if item.entry.kind == reference.kind
        }
        definitions[names[reference]] = _describe_component(reference, known, summaries)
    root = definitions.pop(names[BenchmarkConfig])
    for item in root["properties"].values():
        if "patternProperties" in item:  # pydantic leaves keys of other forms open
            item["additionalProperties"] = False
    root["properties"]["sizes"] = _describe_sizes(root["properties"])
    used = _list_used(root, definitions)
    return {
        "$schema": DRAFT,
        **root,
        "title": "mribench benchmark file",
        "$defs": {name: definitions[name] for name in sorted(used)},
    }


def _check_describable(item: Registered) -> None:
    try:
        item.entry.options.model_json_schema()
    except PydanticInvalidForJsonSchema as error:
        owner = f"{item.entry.kind} '{item.entry.name}' of {item.distribution}"
        raise PluginError(
            f"{owner}: its options have no JSON schema: {error}",
            "annotate the field with pydantic's WithJsonSchema",
        ) from None


def _describe_component(
    reference: type[Component], known: dict[str, Schema], summaries: dict[str, str]
) -> Schema:
    """Return the schema of a reference: a name, an entry with its options, or an entry of another plugin."""
    key = "by" if issubclass(reference, SplitSpec) else "name"
    word: Schema = {"type": "string", "minLength": 1}
    names = sorted(known)
    branches: list[Schema] = [_spell_out(key, name, known[name], summaries[name]) for name in names]
    other = {
        "type": "object",
        "properties": {key: {**word, "not": {"enum": names}} if names else word},
        "required": [key],
        "description": f"A {reference.kind} of another plugin, with its options.",
    }
    name_only = {"anyOf": [{"enum": names}, word]} if names else word
    return {
        "title": reference.__name__,
        "description": f"A {reference.kind}: its name, or its name and options.",
        "anyOf": [name_only, *branches, other],
    }


def _spell_out(key: str, name: str, model: Schema, summary: str) -> Schema:
    fields = {field: item for field, item in model.get("properties", {}).items() if field != key}
    required = [field for field in model.get("required", []) if field != key]
    if (key, name) != ("by", DEFAULT_SPLIT_RULE):
        required = [key, *required]
    return {
        "type": "object",
        "title": name,
        "description": summary or model.get("description", name),
        "properties": {key: {"const": name}, **fields},
        "required": required,
        "additionalProperties": False,
    }


def _describe_sizes(properties: dict[str, Schema]) -> Schema:
    return {
        "type": "object",
        "title": "Sizes",
        "description": "Named changes to this file; `size` chooses one. Mappings are merged, a component of "
        "another name and everything else is replaced.",
        "additionalProperties": {
            "type": "object",
            "propertyNames": {"enum": sorted(set(properties) - {"size", "sizes"})},
        },
    }


def _list_used(root: Schema, definitions: dict[str, Schema]) -> set[str]:
    """Return the definitions that the root needs, directly or not."""
    used: set[str] = set()
    waiting = list(_list_references(root))
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting.extend(_list_references(definitions[name]))
    return used


def _list_references(schema: Any) -> list[str]:
    if isinstance(schema, list):
        return [name for item in schema for name in _list_references(item)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"].rpartition("/")[2]] if isinstance(schema.get("$ref"), str) else []
    return own + [name for item in schema.values() for name in _list_references(item)]
