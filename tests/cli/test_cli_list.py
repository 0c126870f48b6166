"""``mribench list``, and the known defects in it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from mribench.cli.installed import list_entries as command
from mribench.defects import HARNESS, at, check_defects, known_defects, only_reported
from mribench.errors import ConfigError, PluginError
from mribench.plugins import load_registry
from mribench.registry import Registry


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load_registry()


def listed(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, env={"COLUMNS": "200"})
    assert result.exception is None
    return result.output


def test_entries_of_one_kind_come_with_their_plugin() -> None:
    text = listed("objective")
    assert "simclr-recon" in text
    assert "seqinv" not in text


def first_cells(text: str) -> set[str]:
    return {line.strip("│").split("│")[0].strip() for line in text.splitlines() if line.startswith("│")}


def test_an_entry_is_listed_with_its_options() -> None:
    text = listed("encoder", "vit")
    assert "a 3D vision transformer" in text
    (line,) = [line for line in text.splitlines() if "token_vox" in line]
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells == ["token_vox", "integer > 0", "16", "edge of a token in voxels"]
    (line,) = [line for line in listed("task", "segmentation").splitlines() if line.startswith("│ classes ")]
    assert "│ required" in line
    assert "It has no options." in listed("metric", "dice")
    assert {"augment.rotation_deg", "augment.gibbs_kept"} <= first_cells(listed("views", "augment"))


def test_options_of_every_entry_can_be_listed(registry: Registry) -> None:
    for found in registry:
        text = listed(found.entry.kind, found.entry.name)
        assert first_cells(text) >= set(found.entry.options.model_fields), found.entry.name


def test_an_entry_that_there_is_not_names_the_closest() -> None:
    result = CliRunner().invoke(command, ["encoder", "vitt"])
    assert isinstance(result.exception, PluginError)
    assert result.exception.hint == "did you mean 'vit'?"


def test_one_defect_is_listed_alone() -> None:
    assert first_cells(listed("defects", "signed-flair")) - {""} == {"signed-flair"}


def test_every_known_defect_is_listed_with_where_it_is_switched_on(registry: Registry) -> None:
    text = listed("defects")
    for name in known_defects(registry.defects()):
        assert name in text
    assert "views seqinv" in text
    assert "pretrain, adapt (mribench)" in text


def test_defects_of_the_audit_have_a_switch(registry: Registry) -> None:
    assert known_defects(registry.defects()).keys() >= {
        "test-in-training", "frozen-augmentation", "radian-rotation", "active-dropout", "dropped-failures",
        "fixed-penalty", "unit-peak", "sorted-prefix-splits", "pooled-rows", "encoder-clipping",
        "unpaired-noise", "signed-flair", "r2star-as-r2", "impossible-parameters", "repeated-sequence",
        "fixed-mprage", "other-window", "histogram-equalisation", "summed-reconstruction",
    }  # fmt: skip


def test_every_defect_is_one_sentence_with_its_source(registry: Registry) -> None:
    for name, defect in known_defects(registry.defects()).items():
        assert defect.name == name
        assert defect.source
        assert 20 < len(defect.summary) < 160
        assert not defect.summary.endswith(".")


def test_what_changes_no_job(registry: Registry) -> None:
    known = known_defects(registry.defects())
    reported = {name for name, defect in known.items() if only_reported(defect)}
    assert reported == {"dropped-failures", "fixed-penalty", "pooled-rows", "unit-peak"}


def test_stages_of_the_harness() -> None:
    assert at("adapt", HARNESS) == ["active-dropout", "encoder-clipping", "frozen-augmentation"]
    assert at("evaluate", ["unpaired-noise", "signed-flair"]) == ["unpaired-noise"]
    assert at("embed", HARNESS) == []


def test_an_unknown_defect_names_the_closest(registry: Registry) -> None:
    with pytest.raises(ConfigError) as caught:
        check_defects(["frozen-augmentations"], known_defects(registry.defects()), "x.yaml: defects")
    assert caught.value.message == "x.yaml: defects: there is no defect 'frozen-augmentations'"
    assert "frozen-augmentation" in caught.value.hint


@pytest.mark.parametrize("columns", ["40", "80", "119", "120", "200"])
def test_names_that_one_must_type_are_never_cut(registry: Registry, columns: str) -> None:
    from mribench.cli.installed import DEFECTS

    for arguments, names in (
        ([DEFECTS], set(known_defects(registry.defects()))),
        ([], {found.entry.name for found in registry}),
        (["metric"], {found.entry.name for found in registry if found.entry.kind == "metric"}),
    ):
        result = CliRunner().invoke(command, arguments, env={"COLUMNS": columns})
        assert result.exception is None
        cells = {cell.strip() for line in result.output.splitlines() for cell in line.split("│")}
        assert names <= cells
        assert "…" not in result.output


def test_sources_of_defects_have_a_column_where_there_is_room() -> None:
    narrow = CliRunner().invoke(command, ["defects"], env={"COLUMNS": "119"}).output
    wide = CliRunner().invoke(command, ["defects"], env={"COLUMNS": "120"}).output
    assert "found in: " in narrow
    assert "found in: " not in wide
    assert "found in" in wide.splitlines()[1]
