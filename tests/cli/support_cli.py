"""What the tests of the command line share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from command_line import Said

BENCHMARK = """\
benchmark: bad
data:
  maps: {{name: mpm, root: "{mpm}"}}
  scans: {{name: ixi, root: "{ixi}"}}
splits:
  maps: {{train: 2, validation: 1, test: 0}}
  scans: {{train: 2, validation: 0, test: 1}}
defaults:
  encoder: {{name: cnn, features: [4, 8], dropout: 0}}
  pretrain: {{data: maps, patch_vox: 16, spacing_mm: 8, steps: 1, batch_size: 2, lr: 1.0e-3}}
methods:
  seqinv: {{views: seqinv, objective: simclr-recon}}
reference_arms: [identity]
tasks:
  denoise:
    task: {{name: denoising, decoder: {{name: unet, features: [4], dropout: 0}}}}
    data: scans
    train_sequences: [T1w]
    adapt: {{steps: 1, batch_size: 2, lr: 1.0e-3, patch_vox: 16, spacing_mm: 8}}
"""


Mribench = Callable[..., Said]


def contents(folder: Path) -> dict[str, str]:
    """Return a digest of every file below a folder, plans apart: they are written anew."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "plans" not in path.parts
    }


def refused(said: Said, message: str, hint: str | None = "") -> None:
    """Check a refusal: the parts of its message and its hint (None: whatever it is)."""
    assert said.code == 2, said
    assert "Traceback" not in said.out + said.err
    assert "defect" not in said.err
    assert message in said.message
    words = [word for word in said.message.split() if "/" not in word]
    assert len(" ".join(words)) < 250, "a sentence"
    assert "{'" not in said.message, "a dump of options is no sentence"
    if hint:
        assert hint in said.hint
    elif hint == "":
        assert said.hint == ""
