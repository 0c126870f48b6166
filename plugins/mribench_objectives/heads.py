"""Heads that pretraining adds to an encoder, and throws away."""

from __future__ import annotations

from typing import Literal

from torch import nn

from mribench.interfaces import Encoder
from mribench.networks import list_prime_factors

ProjectorNorm = Literal["none", "batch"]


def projector(width: int, hidden: int, out: int, norm: ProjectorNorm) -> nn.Sequential:
    """Return an MLP with one hidden layer, ``(B, width) -> (B, out)`` (Chen et al. 2020).

    Args:
        width: dimension of the embedding.
        hidden: width of the hidden layer.
        out: dimension of the projection.
        norm: ``batch`` normalises the hidden layer over the batch before its ReLU.
    """
    normalisation = [nn.BatchNorm1d(hidden)] if norm == "batch" else []
    return nn.Sequential(nn.Linear(width, hidden), *normalisation, nn.ReLU(), nn.Linear(hidden, out))


def reconstructor(encoder: Encoder) -> nn.Sequential:
    """Return a linear decoder of the coarsest feature map, ``(B, C, i, j, k) -> (B, 1, I, J, K)``.

    One transposed convolution for each prime factor of the largest stride, each halving the channels, and
    a 1x1x1 convolution: 768 to 48 channels in four steps for the seed paper's encoder (its table 6).
    """
    channels, layers = encoder.channels[-1], []
    for factor in list_prime_factors(encoder.strides[-1]):
        halved = max(1, channels // 2)
        layers.append(nn.ConvTranspose3d(channels, halved, factor, stride=factor))
        channels = halved
    return nn.Sequential(*layers, nn.Conv3d(channels, 1, 1))
