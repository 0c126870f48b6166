"""Components of a config are found, validated and made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mribench.config import BenchmarkConfig, resolve
from mribench.errors import ConfigError
from mribench.registry import Registry

Load = Callable[..., BenchmarkConfig]


def _options(resolved: object) -> dict[str, object]:
    return resolved.options.model_dump()  # type: ignore[attr-defined]


def test_everything_is_resolved(load: Load, registry: Registry) -> None:
    config = load()
    found = resolve(config, registry)
    assert found.config is config
    assert list(found.methods) == ["plain", "sharp"]
    assert {name: r.name for name, r in found.datasets.items()} == {"maps": "cohort", "scans": "cohort"}
    assert {name: r.name for name, r in found.splits.items()} == {"maps": "subject", "scans": "place"}
    assert _options(found.splits["scans"]) == {"train": 2, "validation": 0, "test": 0}
    assert _options(found.reference_encoder) == {"features": [4, 8]}
    assert found.tasks["find"].spec is config.tasks["find"]
    assert found.pretrained()["plain"].options == config.pretrain_of("plain")
    assert found.pretrained()["sharp"].objective.options.model_dump() == {"temperature": 0.5, "floor": 0.0}


def test_nested_components_can_be_made(load: Load, registry: Registry) -> None:
    task = resolve(load(), registry).tasks["find"].task
    assert sorted(task.parts) == ["decoder", "metrics.0"]
    options = task.options
    (metric,) = options.metrics  # type: ignore[attr-defined]
    kind, name, made = metric.make()
    assert (kind, name, made.above) == ("metric", "count", 0.5)
    assert options.decoder.make("encoder", 3)[1:] == ("up", options.decoder.make()[2], "encoder", 3)  # type: ignore[attr-defined]


def test_profile_reaches_options_that_have_one(load: Load, base: str, registry: Registry) -> None:
    views = resolve(load(base, "profile=paper"), registry).pretrained()["plain"].views
    assert views.options.profile == "paper"  # type: ignore[attr-defined]
    own = resolve(load(base, "profile=paper", "methods.plain.views.profile=as-released"), registry)
    assert own.pretrained()["plain"].views.options.profile == "as-released"  # type: ignore[attr-defined]


def test_augment_comes_from_defaults_method_and_views(load: Load, base: str, registry: Registry) -> None:
    found = resolve(
        load(base, "methods.sharp.augment.noise=0.3", "methods.plain.views.augment.rotation_deg=1"), registry
    )
    assert _options(found.pretrained()["sharp"].views)["augment"] == {"rotation_deg": 10.0, "noise": 0.3}
    assert _options(found.pretrained()["plain"].views)["augment"] == {"rotation_deg": 1.0, "noise": 0.1}
    assert found.methods["sharp"].overrides == ["augment"]
    assert found.methods["plain"].overrides == ["augment"]


def test_views_without_augment_are_left_alone(load: Load, base: str, registry: Registry) -> None:
    resolved = resolve(load(base, "methods.plain.views=bare"), registry)
    assert _options(resolved.pretrained()["plain"].views) == {}
    assert resolved.methods["plain"].overrides == []
    with pytest.raises(ConfigError, match=r"methods\.plain\.augment: the views 'bare' take no augmentation"):
        resolve(load(base, "methods.plain.views=bare", "methods.plain.augment.noise=1"), registry)


@pytest.mark.parametrize(
    ("sets", "overrides"),
    [
        ([], []),
        (["methods.plain.encoder={name: net, features: [16]}"], ["encoder"]),
        (["methods.plain.encoder={name: net, features: [4, 8]}"], []),
        (["methods.plain.pretrain.lr=0.1"], ["pretrain"]),
        (["methods.plain.pretrain.lr=0.001"], []),
        (["methods.plain.pretrain.clip_norm=12"], []),
        (["methods.plain.pretrain.clip_norm=1"], ["pretrain"]),
        (["methods.plain.pretrain.spacing_mm=null"], []),
        (["methods.plain.seed_offset=0"], []),
        (["methods.plain.seed_offset=100"], ["seed_offset"]),
        (["methods.plain.augment.noise=0.1"], []),
        (["methods.plain.augment.noise=0.2"], ["augment"]),
        (["methods.plain.objective.temperature=9", "methods.plain.views.width=7"], []),
        (
            [
                "methods.plain.pretrain.steps=1",
                "methods.plain.augment.noise=0",
                "methods.plain.encoder.name=net",
            ],
            ["encoder", "augment", "pretrain"],
        ),
    ],
)
def test_overrides_are_what_differs_from_the_defaults(
    load: Load, base: str, registry: Registry, sets: list[str], overrides: list[str]
) -> None:
    assert resolve(load(base, *sets), registry).methods["plain"].overrides == overrides


def test_encoder_is_inherited_unless_named(load: Load, base: str, registry: Registry) -> None:
    found = resolve(load(base, "methods.plain.encoder={name: net, features: [2]}"), registry)
    assert _options(found.methods["plain"].encoder) == {"features": [2]}
    assert found.methods["sharp"].encoder is found.reference_encoder


def test_without_a_default_encoder_that_of_the_first_method_takes_its_place(
    load: Load, base: str, registry: Registry
) -> None:
    own = [
        "methods.plain.encoder={name: net, features: [2]}",
        "methods.plain.input={spacing_mm: 2}",
        "methods.sharp.encoder={name: net, features: [3]}",
    ]
    found = resolve(load(base, "defaults.encoder=null", *own), registry)
    assert _options(found.reference_encoder) == {"features": [2]}
    assert found.reference_wanted.spacing_mm == 2
    assert (found.methods["plain"].overrides, found.methods["sharp"].overrides) == ([], ["encoder"])
    assert resolve(load(base, *own), registry).reference_wanted.spacing_mm is None


INT = "expected an integer"


@pytest.mark.parametrize(
    ("setting", "message", "hint"),
    [
        ("data.maps.name=cohrt", "data.maps: unknown dataset 'cohrt'", "did you mean 'cohort'?"),
        ("data.maps.rot=x", "data.maps.rot: unknown key", "did you mean 'root'?"),
        ("splits.maps.by=plac", "splits.maps: unknown split 'plac'", "did you mean 'place'?"),
        ("splits.maps.train=x", f"splits.maps.train: {INT}, got 'x'", ""),
        ("splits.maps={by: place}", "splits.maps.train: required, and not given", ""),
        ("defaults.encoder=nett", "defaults.encoder: unknown encoder 'nett'", "did you mean 'net'?"),
        ("defaults.encoder.features=[0]",
         "defaults.encoder.features.0: expected a number greater than 0, got 0", ""),
        ("defaults.encoder.features=4", "defaults.encoder.features: expected a list, got 4", "write [4]"),
        ("defaults.augment.nois=1", "defaults.augment.nois: unknown key", "did you mean 'noise'?"),
        ("defaults.augment.noise=-1",
         "defaults.augment.noise: expected a number greater than or equal to 0, got -1", ""),
        ("methods.plain.augment.nois=1", "methods.plain.augment.nois: unknown key", "did you mean 'noise'?"),
        ("methods.plain.views.augment.nois=1",
         "methods.plain.views.augment.nois: unknown key", "did you mean 'noise'?"),
        ("methods.plain.views.augment=3", "methods.plain.views.augment: expected a mapping, got 3", ""),
        ("methods.plain.views=blurr", "methods.plain.views: unknown views 'blurr'", "did you mean 'blur'?"),
        ("methods.plain.views.widht=3", "methods.plain.views.widht: unknown key", "did you mean 'width'?"),
        ("methods.plain.views.sequences=[eco]",
         "methods.plain.views.sequences.0: unknown sequence 'eco'", "did you mean 'echo'?"),
        ("methods.sharp.objective.temprature=1",
         "methods.sharp.objective.temprature: unknown key", "did you mean 'temperature'?"),
        ("methods.plain.encoder={name: net, feature: [1]}",
         "methods.plain.encoder.feature: unknown key", "did you mean 'features'?"),
        ("tasks.find.task=serch", "tasks.find.task: unknown task 'serch'", "did you mean 'search'?"),
        ("tasks.find.task.metrics=[cont]",
         "tasks.find.task.metrics.0: unknown metric 'cont'", "did you mean 'count'?"),
        ("tasks.find.task.metrics=[{name: count, abov: 1}]",
         "tasks.find.task.metrics.0.abov: unknown key", "did you mean 'above'?"),
        ("tasks.find.task.decoder=upp",
         "tasks.find.task.decoder: unknown decoder 'upp'", "did you mean 'up'?"),
    ],
)  # fmt: skip
def test_refused_with_the_place_it_was_written(
    load: Load, base: str, registry: Registry, setting: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(load(base, setting), registry)
    assert caught.value.message == f"tiny.yaml with --set {setting}: {message}"
    assert caught.value.hint == hint
