"""The objective ``mae``: what it compares, with which encoders, and that it learns what it should."""

from __future__ import annotations

import pytest
import torch
from mribench_encoders.cnn import CnnEncoder, CnnOptions
from mribench_encoders.vit import VitEncoder, VitOptions
from mribench_objectives.mae import Mae, MaeOptions
from pydantic import ValidationError

from mribench.errors import ConfigError
from mribench.interfaces import Encoder, View
from mribench.testing import ClassTokenEncoder, PyramidEncoder

SMALL = {"decoder_width": 24, "decoder_depth": 1, "decoder_heads": 2}


@pytest.fixture(autouse=True)
def _one_thread_and_a_seed():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def vit() -> VitEncoder:
    return VitEncoder(VitOptions(token_vox=4, width=48, depth=2, heads=4, maps=2))


def cnn() -> CnnEncoder:
    return CnnEncoder(CnnOptions(features=(8, 16, 24), dropout=0))


def build(encoder: Encoder | None = None, **options) -> Mae:
    return Mae(MaeOptions(**{**SMALL, **options}), encoder or vit())


def waves(batch: int, edge: int = 16) -> torch.Tensor:
    """Images whose hidden parts follow from the shown ones: a wave of the same direction, other phases."""
    axis = torch.arange(edge) / 4
    phase = 6.3 * torch.rand(batch, 1, 1, 1, 1)
    return (axis[:, None, None] + axis[:, None] + axis + phase).sin()


def reconstruct(objective: Mae, image: torch.Tensor) -> torch.Tensor:
    return objective.loss([View(image, image)], 0, 1)["reconstruction"]


def predict(objective: Mae, values: torch.Tensor) -> None:
    """Let the decoder say the same values of every cell."""
    with torch.no_grad():
        objective.to_voxels.weight.zero_()
        objective.to_voxels.bias.copy_(values)


@pytest.mark.parametrize("masked_only", [True, False])
def test_the_error_of_a_constant_is_1_where_blocks_are_z_scored(masked_only):
    objective = build(masked_only=masked_only)
    predict(objective, torch.zeros(64))
    variance_of_64 = 63 / 64  # the mean of squares, where the blocks' own variance is over n - 1
    assert reconstruct(objective, torch.randn(3, 1, 16, 16, 16)).item() == pytest.approx(
        variance_of_64, rel=1e-4
    )


@pytest.mark.parametrize(("masked_only", "expected"), [(True, 9.0), (False, 0.75 * 9 + 0.25 * 1)])
def test_only_hidden_voxels_count(monkeypatch, masked_only, expected):
    """Voxels of 3 at hidden places and 1 at shown ones, and a decoder that says 0."""
    objective = build(masked_only=masked_only, normalise_blocks=False)
    predict(objective, torch.zeros(64))
    image = torch.randn(2, 1, 16, 16, 16)
    torch.manual_seed(5)
    drawn = objective.draw_mask(image)
    monkeypatch.setattr(objective, "draw_mask", lambda image: drawn)
    values = torch.where(drawn.voxels(), 3.0, 1.0)
    assert reconstruct(objective, values).item() == pytest.approx(expected)


def test_voxels_of_a_cell_are_cut_as_they_lie():
    image = torch.arange(2 * 8**3, dtype=torch.float32).view(2, 1, 8, 8, 8)
    cells = build()._cut(image)
    assert cells.shape == (2, 8, 64)
    assert torch.equal(cells[1, 0b101].view(4, 4, 4), image[1, 0, 4:, :4, 4:])


@pytest.mark.parametrize("make", [vit, cnn, ClassTokenEncoder, lambda: PyramidEncoder(mask_kind="zero")])
def test_gradients_reach_everything_that_is_trained(make):
    objective = build(make())
    reconstruct(objective, torch.randn(2, 1, 16, 16, 16)).backward()
    lacking = {name for name, value in objective.named_parameters() if value.grad is None}
    dropped = objective.encoder.mask_kind == "drop"
    own = {name for name in lacking if not name.startswith("encoder.")}
    assert own == (set() if dropped else {"hidden_token"})


@pytest.mark.parametrize(("make", "steps"), [(vit, 350), (cnn, 150)])
def test_hidden_parts_are_learnt_from_shown_ones(make, steps):
    """Better than the mean of each hidden block (which scores 1), on waves that were not trained on."""
    objective = build(make(), mask_share=0.5, decoder_width=48)
    optimiser = torch.optim.AdamW(objective.parameters(), lr=1e-3)
    for _ in range(steps):
        optimiser.zero_grad()
        reconstruct(objective, waves(8)).backward()
        optimiser.step()
    with torch.no_grad():
        assert reconstruct(objective, waves(32)).item() < 0.5


def test_blocks_are_the_encoders_cells_unless_given():
    assert build(cnn()).patch_multiple == 4
    assert build(cnn(), block_vox=8).patch_multiple == 8
    assert build(cnn(), block_vox=8).draw_mask(torch.zeros(1, 1, 16, 16, 16)).cell_vox == 1


def test_options_that_do_not_fit():
    with pytest.raises(
        ConfigError, match="a block_vox that is a multiple of 4, the encoder's largest stride, got 6"
    ):
        build(block_vox=6)
    with pytest.raises(ValidationError, match="a decoder_width that 5 heads divide, got 24"):
        build(decoder_heads=5)
