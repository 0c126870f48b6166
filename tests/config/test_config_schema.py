"""The JSON Schema says what the models say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from pydantic import SkipValidation

from mribench.cli.installed import schema as command
from mribench.config import BenchmarkConfig
from mribench.config.schema import DRAFT, make_schema
from mribench.errors import PluginError, StoreError
from mribench.interfaces.entry import Entry
from mribench.interfaces.options import Options
from mribench.plugins import load_registry
from mribench.registry import Registered, Registry

Apply = Callable[..., str]


@pytest.fixture
def schema(registry: Registry) -> dict[str, Any]:
    return make_schema(registry)


@pytest.fixture
def verdict(schema: dict[str, Any], base: str) -> Apply:
    """Return the message of the first error after ``old`` became ``new`` in the file, or nothing."""

    def _verdict(old: str = "", new: str = "") -> str:
        assert old in base
        text = base.replace(old, new, 1).replace("1e-3", "0.001")
        errors = list(jsonschema.Draft202012Validator(schema).iter_errors(yaml.safe_load(text)))
        return errors[0].message if errors else ""

    return _verdict


def test_is_a_schema(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == DRAFT
    assert json.loads(json.dumps(schema)) == schema


def test_every_top_level_key_is_described(schema: dict[str, Any]) -> None:
    assert set(schema["properties"]) == {*BenchmarkConfig.model_fields, "sizes"}
    assert [name for name, item in schema["properties"].items() if not item.get("description")] == []


def test_every_reference_has_a_definition(schema: dict[str, Any]) -> None:
    text = json.dumps(schema)
    for name in schema["$defs"]:
        assert f'"#/$defs/{name}"' in text
    assert text.count('"$ref"') == sum(text.count(f'"#/$defs/{name}"') for name in schema["$defs"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        (
            "{views: blur, objective: pull}",
            "{views: theirs, objective: {name: theirs, anything: [1, {a: b}]}}",
        ),
        ("{views: blur, objective: pull}", "{views: blur, objective: pull, encoder: net, pretrain: {lr: 1}}"),
        ("{views: blur, ", "{views: {name: blur, sequences: [echo, {name: theirs, x: 1}]}, "),
        ("scans: cohort", "scans: {name: cohort, root: null}"),
        ("{by: place, train: 2}", "{by: theirs, odd: 2}"),
        ("{by: place, train: 2}", "place"),
        ("[T1w]", "[T1w]\n    test_sequences: all"),
        ("[T1w]", "[T1w]\n    test_sequences: [T2w]"),
        ("seeds:", "size: small\nsizes: {small: {seeds: [1], methods: {a: {views: blur}}}}\nseeds:"),
    ],
)
def test_accepts(verdict: Apply, old: str, new: str) -> None:
    assert verdict(old, new) == ""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seeds:", "seds:"),
        ("seeds: [0, 1]", "seeds: [x]"),
        ("seeds: [0, 1]", "seeds: []"),
        ("benchmark: tiny", "benchmark: ../tiny"),
        ("benchmark: tiny\n", ""),
        ("  plain:", "  pl/ain:"),
        ("{views: blur, objective: pull}", "{views: blur}"),
        ("{views: blur, objective: pull}", "{views: blur, objective: pull, lr: 3}"),
        ("temperature: 0.5", "temprature: 0.5"),
        ("temperature: 0.5", "temperature: 0"),
        ("width: 2", "width: wide"),
        ("features: [4, 8]", "features: [0]"),
        ("metrics: [count]", "metrics: [{name: count, abov: 1}]"),
        ("metrics: [count]", "metrics: count"),
        ("{by: place, train: 2}", "{by: place}"),
        ("{train: 3, validation: 1, test: 0}", "{train: 3, validate: 1}"),
        ("lr: 0.01", "lr: -1"),
        ("lr: 0.01", "lr: 1, select: lst"),
        ("seeds:", "sizes: {small: {sed: 3}}\nseeds:"),
        ("seeds:", "sizes: {small: {size: a}}\nseeds:"),
        ("seeds:", "profile: papper\nseeds:"),
    ],
)
def test_refuses(verdict: Apply, old: str, new: str) -> None:
    assert verdict(old, new) != ""


def test_entries_of_other_distributions_can_be_left_out(registry: Registry) -> None:
    text = json.dumps(make_schema(registry, "another"))
    assert '"const": "blur"' in json.dumps(make_schema(registry, "fake-distribution"))
    assert '"const": "blur"' not in text


def test_options_that_cannot_be_described_are_named(registry: Registry) -> None:
    class Odd(Options):
        call: Annotated[Callable[[], int] | None, SkipValidation] = None

    registry.add(Registered(Entry("task", "odd", object, Odd), "theirs", "their-distribution", "1"))
    with pytest.raises(
        PluginError, match="task 'odd' of their-distribution: its options have no JSON schema"
    ):
        make_schema(registry)


def test_equal_class_names_do_not_clash(registry: Registry, base: str) -> None:
    def _options(kind: type) -> type[Options]:
        return type("SameOptions", (Options,), {"__annotations__": {"x": kind}, "x": kind()})

    for name, kind in (("one", int), ("two", str)):
        registry.add(Registered(Entry("views", name, object, _options(kind)), "p", "d", "1"))
    validator = jsonschema.Draft202012Validator(make_schema(registry))
    tree = yaml.safe_load(base.replace("1e-3", "0.001"))
    for name, good, bad in (("one", 3, "a"), ("two", "a", 3)):
        tree["methods"]["plain"]["views"] = {"name": name, "x": good}
        assert validator.is_valid(tree)
        tree["methods"]["plain"]["views"]["x"] = bad
        assert not validator.is_valid(tree)


def test_command_prints_and_writes(tmp_path: Path) -> None:
    printed = CliRunner().invoke(command, ["--distribution", "mribench"], standalone_mode=False)
    assert printed.return_value == 0
    target = tmp_path / "new" / "schema.json"
    CliRunner().invoke(
        command, ["--distribution", "mribench", "--output", str(target)], standalone_mode=False
    )
    assert json.loads(target.read_text(encoding="utf-8")) == json.loads(printed.stdout)
    with pytest.raises(StoreError, match="cannot write"):
        command.callback(tmp_path / "new" / "schema.json" / "x.json", None)  # type: ignore[misc]


def test_command_help_has_an_example() -> None:
    assert "Example: mribench schema" in CliRunner().invoke(command, ["--help"]).output


def test_committed_schema_is_up_to_date(repository: Path) -> None:
    """Again: mribench schema --distribution mribench --output benchmarks/schema/benchmark.json."""
    registry = load_registry()
    assert registry.problems == []
    committed = json.loads((repository / "benchmarks/schema/benchmark.json").read_text(encoding="utf-8"))
    assert committed == json.loads(json.dumps(make_schema(registry, "mribench")))
