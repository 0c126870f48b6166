"""Masks: what is hidden, how many cells, and where they lie in voxels, maps and tokens."""

from __future__ import annotations

import pytest
import torch

from mribench.errors import PluginError
from mribench.interfaces import Mask


def image(*edges: int, batch: int = 3) -> torch.Tensor:
    return torch.zeros(batch, 1, *edges)


def draw(*edges: int, share: float = 0.5, block_vox: int = 4, cell_vox: int = 2, seed: int = 0) -> Mask:
    return Mask.draw(image(*edges), share, block_vox, cell_vox, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("share", "blocks"), [(0.5, 6), (0.75, 9), (0.01, 1), (0.99, 11)])
def test_every_sample_hides_as_many_cells(share: float, blocks: int) -> None:
    mask = draw(8, 12, 8, share=share)  # 2 x 3 x 2 blocks of 2 x 2 x 2 cells
    assert mask.hidden.shape == (3, 4, 6, 4)
    assert mask.n_hidden == 8 * blocks
    assert mask.hidden.flatten(1).sum(1).tolist() == [8 * blocks] * 3
    assert mask.shown_tokens().shape == (3, 96 - 8 * blocks)


def test_blocks_are_hidden_whole_and_samples_differ() -> None:
    mask = draw(16, 16, 16)
    blocks = mask.hidden.unfold(1, 2, 2).unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert torch.equal(blocks.any(-1), blocks.all(-1))
    assert not torch.equal(mask.hidden[0], mask.hidden[1])


def test_each_block_is_as_likely_as_any_other() -> None:
    mask = Mask.draw(image(8, 8, 8, batch=4000), 0.25, 4, 4, torch.Generator().manual_seed(1))
    share = mask.hidden.float().mean(0)
    assert torch.allclose(share, torch.full_like(share, 0.25), atol=0.03)  # 4 SE of 4000 draws


def test_torchs_own_seed_decides_where_no_generator_is_given() -> None:
    masks = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        masks.append(Mask.draw(image(16, 16, 16), 0.5, 4, 4).hidden)
    assert torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], masks[2])


def test_voxels_maps_and_tokens_agree() -> None:
    hidden = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    hidden[0, 0, 0, 1] = hidden[0, 1] = True
    mask = Mask.of(hidden, cell_vox=4)
    voxels = mask.voxels()
    assert voxels.shape == (1, 1, 8, 8, 8)
    assert voxels.sum() == 5 * 64
    assert voxels[0, 0, :4, :4, 4:].all()
    assert not voxels[0, 0, :4, 4:].any()
    assert torch.equal(mask.at_stride(1), voxels)
    assert torch.equal(mask.at_stride(4)[:, 0], hidden)
    assert torch.equal(mask.at_stride(2), voxels[..., ::2, ::2, ::2])
    assert not mask.at_stride(8).any(), "a cell of 8 voxels is hidden where all of its parts are"
    assert mask.shown_tokens().tolist() == [[0, 2, 3]]


def test_a_coarser_map_hides_what_sees_hidden_voxels_only() -> None:
    hidden = torch.zeros(1, 4, 2, 2, dtype=torch.bool)
    hidden[0, :2] = True
    assert Mask.of(hidden, 4).at_stride(8)[0, 0, :, 0, 0].tolist() == [True, False]


def test_uneven_masks_are_refused() -> None:
    hidden = torch.zeros(2, 2, 2, 2, dtype=torch.bool)
    hidden[0, 0] = True
    with pytest.raises(PluginError, match=r"as many hidden cells in every sample.* got \[4, 0\] of 8"):
        Mask.of(hidden, 4)


@pytest.mark.parametrize("value", [True, False])
def test_all_or_nothing_is_refused(value: bool) -> None:
    with pytest.raises(PluginError, match="some hidden and some shown"):
        Mask.of(torch.full((2, 2, 2, 2), value), 4)


@pytest.mark.parametrize(
    ("edges", "block_vox", "cell_vox", "message"),
    [
        ((8, 8, 10), 4, 4, "multiples of 4 voxels"),
        ((8, 8, 8), 4, 3, "that one of 3, the encoder's mask_stride"),
        ((4, 4, 4), 4, 4, "is one block of 4: nothing would be shown"),
    ],
)
def test_blocks_that_do_not_fit(edges: tuple[int, ...], block_vox: int, cell_vox: int, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        draw(*edges, block_vox=block_vox, cell_vox=cell_vox)
