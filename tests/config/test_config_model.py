"""What a benchmark file may say, and how it is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings, strategies as st
from pydantic import BaseModel, ValidationError

from mribench.config import (
    AdaptOptions,
    BenchmarkConfig,
    PretrainOptions,
    SplitSpec,
    digest_config,
    digest_settings,
    load_benchmark,
)
from mribench.errors import ConfigError
from mribench.interfaces.channels import Channels
from mribench.interfaces.options import Component

Load = Callable[..., BenchmarkConfig]
Complaint = Callable[..., tuple[str, str]]


def test_defaults(load: Load, base: str) -> None:
    config = load(base)
    assert (config.profile, config.size, config.subset_seeds) == ("corrected", None, None)
    assert config.reference_arms == ["scratch", "random-frozen", "identity", "no-image"]
    assert config.arms == ["frozen"]
    assert config.report.tables == ["leaderboard"]
    assert config.splits["maps"].name == "subject"
    assert config.source == "tiny.yaml"
    task = config.tasks["find"]
    assert (task.test_sequences, task.fractions) == ("same", [1.0])
    assert task.adapt == AdaptOptions(
        patch_vox=96, spacing_mm=None, steps=5, batch_size=2, lr=0.01, finetune_lr=None, weight_decay=0.01,
        warmup_fraction=0.05, decay_power=0.9, clip_norm=12.0, precision="fp32", select="last",
        window_vox=None, overlap=0.25,
    )  # fmt: skip


def test_pretrain_is_the_methods_over_the_defaults(load: Load, base: str) -> None:
    config = load(
        base, "methods.sharp.pretrain={lr: 0.5, spacing_mm: null}", "defaults.pretrain.spacing_mm=2"
    )
    assert config.pretrain_of("plain") == PretrainOptions(
        data="maps", patch_vox=8, spacing_mm=2.0, steps=10, batch_size=2, lr=0.001, repeat_subjects=False
    )
    assert config.pretrain_of("sharp").lr == 0.5
    assert config.pretrain_of("sharp").spacing_mm is None
    assert config.pretrain_of("sharp").steps == 10


def test_a_method_may_complete_the_defaults(load: Load, base: str, complaint: Complaint) -> None:
    bare = base.replace(", lr: 1e-3}", "}")
    assert complaint(bare) == ("tiny.yaml: defaults.pretrain.lr: required, and not given", "")
    both = ["methods.plain.pretrain.lr=0.1", "methods.sharp.pretrain.lr=0.2"]
    assert load(bare, *both).pretrain_of("sharp").lr == 0.2


@pytest.mark.parametrize(
    ("given", "tested"),
    [("same", ["T2w"]), ("all", ["T1w", "T2w", "FLAIR", "PDw"]), ("[T1w, FLAIR]", ["T1w", "FLAIR"])],
)
def test_test_sequences(load: Load, base: str, given: str, tested: list[str]) -> None:
    config = load(base, "tasks.find.train_sequences=[T1w, T2w]", f"tasks.find.test_sequences={given}")
    found = config.tasks["find"].tested_on(Channels(("T2w",)), ("PDw", "FLAIR", "T2w"))
    assert [channels.name for channels in found] == tested


def test_reference_arms_alone_are_a_benchmark(load: Load, base: str, complaint: Complaint) -> None:
    assert load(base, "methods={}").methods == {}
    assert complaint(base, "methods={}", "reference_arms=[]") == (
        "tiny.yaml with --set methods={}: methods: no method and no reference arm: nothing to run",
        "add a method",
    )


SLUG = "{}: expected at most 64 letters, digits, '-' and '_', the first a letter or digit, got '{}'"
KEPT = "this name is kept for a reference arm"
LEAST = "expected a number greater than or equal to"
TOP = f"known: {', '.join(sorted(BenchmarkConfig.model_fields))}"
KNOWN = "known: augment, encoder, input, objective, pretrain, seed_offset, views, weights"


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        # unknown keys
        ("seeds:", "seds:", "seds: unknown key", "did you mean 'seeds'?"),
        ("objective: pull}", "objectiv: pull}",
         "methods.plain.objectiv: unknown key", "did you mean 'objective'?"),
        (", objective: pull}", "}", "methods.plain.objective: required, and not given", ""),
        (", objective: pull}", ", pull: 3}", "methods.plain.pull: unknown key",
         KNOWN),
        ("{views: blur, objective: pull}", "{views: blur, objective: pull, enkoder: net}",
         "methods.plain.enkoder: unknown key", "did you mean 'encoder'?"),
        ("{views: blur, objective: pull}", "{views: blur, objective: pull, qqq: 1}",
         "methods.plain.qqq: unknown key", KNOWN),
        ("lr: 0.01}", "lr: 0.01, stepz: 2}", "tasks.find.adapt.stepz: unknown key", "did you mean 'steps'?"),
        ("steps: 10,", "stepz: 10,", "defaults.pretrain.stepz: unknown key", "did you mean 'steps'?"),
        ("seeds:", "'[key]': 3\nseeds:", "[key]: unknown key", TOP),
        ("seeds:", "subset_seeds: per-sed\nseeds:",
         "subset_seeds: expected 'per-seed' or a list, got 'per-sed'", "did you mean 'per-seed'?"),
        ("seeds:", "subset_seeds: [1, 1]\nseeds:",
         "subset_seeds: expected no value twice, got 1 more than once", ""),
        # names
        ("benchmark: tiny", "benchmark: ../x", SLUG.format("benchmark", "../x"), ""),
        ("benchmark: tiny", "benchmark: '..'", SLUG.format("benchmark", ".."), ""),
        ("benchmark: tiny", "benchmark: [a]", "benchmark: expected a string, got ['a']", ""),
        ("benchmark: tiny\n", "", "benchmark: required, and not given", ""),
        ("  plain:", "  pl/ain:", SLUG.format("methods.pl/ain", "pl/ain"), ""),
        ("  plain:", "  scratch:", f"methods.scratch: {KEPT}", "choose another name"),
        ("  plain:", "  random-frozen:", f"methods.random-frozen: {KEPT}",
         "choose another name"),
        ("  plain:", "  identity:", f"methods.identity: {KEPT}",
         "choose another name"),
        # cross references
        ("data: maps", "data: map",
         "defaults.pretrain.data: no cohort 'map' under 'data'", "did you mean 'maps'?"),
        ("data: scans", "data: scan",
         "tasks.find.data: no cohort 'scan' under 'data'", "did you mean 'scans'?"),
        ("  scans: {by", "  scan: {by", "splits.scan: no such cohort under 'data'", "did you mean 'scans'?"),
        ("  scans: {by: place, train: 2}\n", "",
         "tasks.find.data: cohort 'scans' has no split", "add splits.scans"),
        ("tasks:", "invariance: {scans: {sequences: [T1w]}}\ntasks:",
         "invariance.scans.sequences: needs two or more to compare, got T1w alone",
         "add the sequences that the embeddings should not depend on"),
        ("tasks:", "invariance: {scan: {sequences: [T1w, T2w]}}\ntasks:",
         "invariance.scan: no cohort of this name has a split", "did you mean 'scans'?"),
        ("tasks:", "report: {layouts: {m: {rows: [method], columns: [task], methods: [plan]}}}\ntasks:",
         "report.layouts.m.methods: the benchmark has no 'plan'", "did you mean 'plain'?"),
        ("tasks:", "report: {layouts: {m: {rows: [method], columns: [task], tasks: [fins]}}}\ntasks:",
         "report.layouts.m.tasks: the benchmark has no 'fins'", "did you mean 'find'?"),
        # values
        ("seeds: [0, 1]", "seeds: []", "seeds: expected at least 1 item, got 0", ""),
        ("seeds: [0, 1]", "seeds: [1, 0, 1]", "seeds: expected no value twice, got 1 more than once", ""),
        ("seeds: [0, 1]", "seeds: [true]", "seeds.0: expected an integer, got True", ""),
        ("seeds: [0, 1]", "seeds: ['1']", "seeds.0: expected an integer, got '1'", ""),
        ("seeds: [0, 1]", "seeds: [1.5]", "seeds.0: expected an integer, got 1.5", ""),
        ("seeds: [0, 1]", "seeds: [-1]", f"seeds.0: {LEAST} 0, got -1", ""),
        ("seeds: [0, 1]", "seeds: 3", "seeds: expected a list, got 3",
         "write [0, 1, 2] for 3 seeds, or [3] for the seed 3 alone"),
        ("steps: 10", "steps: 0", f"defaults.pretrain.steps: {LEAST} 1, got 0", ""),
        ("steps: 10", "steps: ten", "defaults.pretrain.steps: expected an integer, got 'ten'", ""),
        ("steps: 10", "steps: null", "defaults.pretrain.steps: expected an integer, got None", ""),
        ("lr: 0.01}", "lr: '0.01'}", "tasks.find.adapt.lr: expected a number, got '0.01'", ""),
        ("lr: 0.01}", "lr: 1, select: lst}", "tasks.find.adapt.select: expected 'last', got 'lst'",
         "did you mean 'last'?"),
        ("lr: 0.01}", "lr: 1, overlap: 1}",
         "tasks.find.adapt.overlap: expected a number less than 1, got 1", ""),
        ("lr: 0.01}", "lr: 1, window_vox: [8, 8]}",
         "tasks.find.adapt.window_vox: expected at least 3 items, got 2", ""),
        ("lr: 0.01}", "lr: 1, window_vox: [8, 8, 0]}",
         f"tasks.find.adapt.window_vox.2: {LEAST} 1, got 0", ""),
        ("lr: 0.01}", "lr: 1, window_vox: x}",
         "tasks.find.adapt.window_vox: expected an integer or a list, got 'x'", ""),
        ("lr: 0.01}", "lr: 1, precision: fp61}",
         "tasks.find.adapt.precision: expected 'fp32', 'bf16' or 'fp16', got 'fp61'", "did you mean 'fp16'?"),
        ("adapt: {steps: 5, lr: 0.01}", "adapt: {steps: 5}",
         "tasks.find.adapt.lr: required, and not given", ""),
        ("adapt: {steps: 5, lr: 0.01}", "adapt: 3", "tasks.find.adapt: expected a mapping, got 3", ""),
        ("[T1w]", "T1w", "tasks.find.train_sequences: expected a list, got 'T1w'", "write [T1w]"),
        ("[T1w]", "[]", "tasks.find.train_sequences: expected at least 1 item, got 0", ""),
        ("[T1w]", "[T1w, T1w]",
         "tasks.find.train_sequences: expected no value twice, got T1w more than once", ""),
        ("[T1w]", "['']",
         "tasks.find.train_sequences.0.0: string should have at least 1 character, got ''", ""),
        ("[T1w]", "[T1w]\n    test_sequences: sme",
         "tasks.find.test_sequences: expected 'same' or 'all' or a list, got 'sme'", "did you mean 'same'?"),
        ("[T1w]", "[T1w]\n    test_sequences: [T2w, 3]",
         "tasks.find.test_sequences.1: expected a string, or a list of strings, got 3", ""),
        ("[T1w]", "[T1w]\n    fractions: [1.0, 0.1]",
         "tasks.find.fractions: expected ascending numbers without repeats, got [1.0, 0.1]", ""),
        ("[T1w]", "[T1w]\n    fractions: [0.1, 0.1]",
         "tasks.find.fractions: expected ascending numbers without repeats, got [0.1, 0.1]", ""),
        ("[T1w]", "[T1w]\n    fractions: [0.0]",
         "tasks.find.fractions.0: expected a number greater than 0, got 0.0", ""),
        ("[T1w]", "[T1w]\n    fractions: [100]",
         "tasks.find.fractions.0: expected a number less than or equal to 1, got 100", ""),
        # components
        ("{views: blur, objective: pull}", "{views: 3, objective: pull}",
         "methods.plain.views: expected a name, or {name: …}, of kind 'views', got 3", ""),
        ("{views: blur, objective: pull}", "{views: {width: 3}, objective: pull}",
         "methods.plain.views: expected a name, or {name: …}, of kind 'views', got no name", ""),
        ("{views: blur, objective: pull}", "{views: {name: 3}, objective: pull}",
         "methods.plain.views.name: expected a string, got 3", ""),
        ("{views: blur, objective: pull}", "blur", "methods.plain: expected a mapping, got 'blur'", ""),
        ("{by: place, train: 2}", "{name: place}", "splits.scans.name: unknown key",
         "the split rule is named by 'by'"),
        ("{by: place, train: 2}", "3",
         "splits.scans: expected a mapping such as {train: 0.7, validation: 0.1, test: 0.2}, got 3", ""),
        ("{by: place, train: 2}", "{by: 3}", "splits.scans.by: expected a string, got 3", ""),
    ],
)  # fmt: skip
def test_refused_with_key_and_hint(
    complaint: Complaint, base: str, old: str, new: str, message: str, hint: str
) -> None:
    assert base.count(old) >= 1
    assert complaint(base.replace(old, new, 1)) == (f"tiny.yaml: {message}", hint)


@pytest.mark.parametrize("written", ["", " null", " []", " # - all-of-them"])
def test_a_list_of_defects_may_be_left_empty(load: Load, base: str, written: str) -> None:
    config = load(f"{base}measure_defects:{written}\n")
    assert config.measure_defects == []
    assert digest_config(config) == digest_config(load(base))


def test_an_encoder_that_nobody_names(complaint: Complaint, base: str) -> None:
    message, hint = complaint(base, "defaults.encoder=null")
    assert message == "tiny.yaml: methods.plain.encoder: required, as there is no defaults.encoder"
    assert hint == "name one here, or one for every method under defaults"
    tree = yaml.safe_load(base)
    del tree["defaults"]
    tree["methods"] = {}
    message, hint = complaint(yaml.safe_dump(tree))
    assert message == "tiny.yaml: defaults.encoder: required, as no method brings one"
    assert hint == "name the encoder"


@pytest.mark.parametrize("key", ["benchmark", "data", "tasks"])
def test_required_keys(complaint: Complaint, base: str, key: str) -> None:
    tree = yaml.safe_load(base)
    del tree[key]
    assert complaint(yaml.safe_dump(tree)) == (f"tiny.yaml: {key}: required, and not given", "")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("arms=[]", "arms: expected at least 1 item, got 0"),
        ("arms=[frozen, frozen]", "arms: expected no value twice, got frozen more than once"),
        ("tasks={}", "tasks: expected at least 1 item, got 0"),
        ("data={}", "data: expected at least 1 item, got 0"),
        ("report.tables=[]", "report.tables: expected at least 1 item, got 0"),
        ("methods=[1]", "methods: expected a mapping, got [1]"),
        ("defaults.augment=3", "defaults.augment: expected a mapping, got 3"),
        (
            "defaults.encoder=[net]",
            "defaults.encoder: expected a name, or {name: …}, of kind 'encoder', got ['net']",
        ),
    ],
)
def test_refused_settings(complaint: Complaint, base: str, setting: str, message: str) -> None:
    assert complaint(base, setting)[0] == f"tiny.yaml with --set {setting}: {message}"


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("seeds=5", "write [0, 1, 2, 3, 4] for 5 seeds, or [5] for the seed 5 alone"),
        ("subset_seeds=2", "write [0, 1] for 2 seeds, or [2] for the seed 2 alone"),
        ("seeds=1", "write [1] for the seed 1"),
        ("seeds=0", "write [0] for the seed 0"),
        ("seeds=20261129", "write [20261129] for the seed 20261129"),
        ("tasks.find.fractions=0.5", "write [0.5]"),
    ],
)
def test_a_number_where_a_list_belongs(complaint: Complaint, base: str, setting: str, hint: str) -> None:
    assert complaint(base, setting)[1] == hint


@pytest.mark.parametrize(
    ("setting", "message", "hint"),
    [
        ("tasks.fid.adapt.lr=1", "tasks.fid.task: required, and not given", "did you mean 'find'?"),
        (
            "methods.plane.pretrain.lr=1",
            "methods.plane.views: required, and not given",
            "did you mean 'plain'?",
        ),
        ("data.map.root=/x", "data.map: expected a name, or {name: …}", "did you mean 'maps'?"),
        ("tasks.qqq.adapt.lr=1", "tasks.qqq.task: required, and not given", ""),
        ("tasks.find.adapt.stepz=1", "tasks.find.adapt.stepz: unknown key", "did you mean 'steps'?"),
    ],
)
def test_a_setting_that_makes_what_it_was_to_change_is_named(
    complaint: Complaint, base: str, setting: str, message: str, hint: str
) -> None:
    found = complaint(base, setting)
    assert found[0].startswith(f"tiny.yaml with --set {setting}: {message}")
    assert found[1] == hint


def test_a_file_that_is_wrong_by_itself_is_not_blamed_on_a_setting(complaint: Complaint, base: str) -> None:
    wrong = base.replace("lr: 0.01}", "learning_rate: 0.01}")
    message, hint = complaint(wrong, "seeds=[3]")
    assert message == "tiny.yaml: tasks.find.adapt.learning_rate: unknown key"
    assert hint.startswith("lr is required, and not given; known: accumulate, batch_size, ")


def test_split_spec_round_trip() -> None:
    for value in ({"train": 1}, {"by": "site", "train": 1}, "site"):
        spec = SplitSpec.model_validate(value)
        assert SplitSpec.model_validate(spec.model_dump()) == spec
        assert SplitSpec.model_validate(spec) == spec
        assert "name" not in spec.model_dump()


def test_config_round_trip(load: Load, base: str) -> None:
    config = load(base)
    again = BenchmarkConfig.model_validate(config.model_dump())
    assert again.model_dump() == config.model_dump()
    assert digest_config(BenchmarkConfig.model_validate_json(config.model_dump_json())) == digest_config(
        config
    )


def test_frozen(load: Load, base: str) -> None:
    with pytest.raises(ValidationError):
        load(base).seeds = [3]  # type: ignore[misc]


def test_digest_ignores_layout_and_knows_content(load: Load, base: str) -> None:
    digest = digest_config(load(base))
    assert len(digest) == 16
    assert set(digest) <= set("0123456789abcdef")
    tree = yaml.safe_load(base)
    tree["defaults"]["pretrain"]["lr"] = 0.001  # 1e-3 is text to YAML 1.1
    shuffled = yaml.safe_dump(dict(sorted(tree.items(), reverse=True)), default_flow_style=False)
    assert digest_config(load("# comment\n" + shuffled)) == digest
    assert digest_config(load(base, "profile=corrected", "methods.plain.views={name: blur}")) == digest
    changes = ("seeds=[0]", "profile=paper", "methods.sharp.views.width=3", "tasks.find.adapt.lr=0.02",
               "methods.plain.pretrain.spacing_mm=null", "benchmark=other")  # fmt: skip
    digests = {digest_config(load(base, change)) for change in changes}
    assert len(digests | {digest}) == len(changes) + 1


def test_digest_ignores_what_is_only_shown(load: Load, base: str) -> None:
    config = load(base)
    shown = load(base, "report.tables=[transfer]", "report.layouts.mine={rows: [method], columns: [site]}")
    assert shown.report != config.report
    assert digest_config(shown) == digest_config(config)


def test_digest_of_a_stored_config(load: Load, base: str) -> None:
    """As it lies in a manifest, also in those of before layouts, or of before a report part."""
    config = load(base)
    stored = json.loads(json.dumps(config.model_dump(mode="json"), indent=1, sort_keys=True))
    assert digest_settings(stored) == digest_config(config)
    assert digest_settings(stored | {"report": {"tables": ["budget"]}}) == digest_config(config)
    assert digest_settings({name: value for name, value in stored.items() if name != "report"}) == (
        digest_config(config)
    )
    assert digest_settings(stored | {"seeds": [77]}) != digest_config(config)
    assert stored["report"]["tables"] == ["leaderboard"], "it is not changed"


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_digest_is_that_of_any_process(load: Load, base: str, tmp_path: Path, hash_seed: str) -> None:
    here = digest_config(load(base, "data.maps.root=x"))
    code = (
        "import sys; from pathlib import Path; from mribench.config import load_benchmark, digest_config;"
        "print(digest_config(load_benchmark(Path(sys.argv[1]), ['data.maps.root=x'])))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "tiny.yaml")],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    assert done.stdout.strip() == here


def test_every_key_is_documented() -> None:
    missing: list[str] = []
    waiting: list[Any] = [BenchmarkConfig]
    seen: set[type] = set()
    while waiting:
        annotation = waiting.pop()
        waiting.extend(getattr(annotation, "__args__", ()))
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)) or annotation in seen:
            continue
        seen.add(annotation)
        if issubclass(annotation, Component):
            continue
        for name, field in annotation.model_fields.items():
            waiting.append(field.annotation)
            if not field.description:
                missing.append(f"{annotation.__name__}.{name}")
    assert len(seen) > 10
    assert missing == []


def test_loading_imports_neither_torch_nor_plugins(repository: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from mribench.config import load_benchmark, digest_config;"
        "digest_config(load_benchmark(Path(sys.argv[1])));"
        "print([m for m in sys.modules if m.partition('.')[0] in ('torch', 'monai', 'pandas') "
        "or m.startswith('mribench_')])"
    )
    file = str(repository / "benchmarks" / "quickstart.yaml")
    done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


_KEYS = st.sampled_from(
    [*BenchmarkConfig.model_fields, "sizes", "a", "name", "by", "views", "objective", "encoder", "pretrain",
     "adapt", "augment", "lr", "fractions", "train_sequences", "test_sequences", "window_vox", "0", "[key]",
     "list[str]", "scratch", "", "é"]
)  # fmt: skip
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["${A}", "${", "maps"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)
_PATHS = st.lists(_KEYS | st.sampled_from(["find", "plain", "maps", "scans"]), min_size=1, max_size=4)


def _place(tree: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    below = tree if isinstance(tree, dict) else {}
    return {**below, path[0]: _place(below.get(path[0]), path[1:], value)}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(path=_PATHS, value=_VALUES, alone=st.booleans())
def test_any_structure_is_a_config_or_a_config_error(
    path: list[str], value: Any, alone: bool, base: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tree = _place({} if alone else yaml.safe_load(base), path, value)
    file = tmp_path_factory.getbasetemp() / "fuzz.yaml"
    file.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    with suppress(ConfigError):
        load_benchmark(file)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    texts=st.lists(
        st.text(max_size=15) | st.builds("{}={}".format, _PATHS.map(".".join), st.text(max_size=8))
    )
)
def test_any_set_is_a_config_or_a_config_error(
    texts: list[str], base: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.getbasetemp() / "fuzz-set.yaml"
    file.write_text(base, encoding="utf-8")
    with suppress(ConfigError):
        load_benchmark(file, texts)
