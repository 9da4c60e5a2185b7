"""Images as they are, or as one sequence of rows, patches or pixels."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from quintain.contracts import DataSpec, Features, Reads, Skip
from quintain.kit.media.pixels import centred, check_variation, varied
from quintain.kit.stem import require

Sequence = Literal["rows", "patches", "pixels"]


class Image(nn.Module):
    """x (B, C, H, W) → the grid (H, W) of C features, or a sequence.

    Args:
        spec: of an image dataset.
        reads: "grid" keeps the axes; "sequence" takes what `sequence` says.
        sequence: `rows`, H steps of W·C; `patches`, row by row, of patch²·C; `pixels`, H·W steps
            of C (the sequential MNIST of the literature).
        patch: side of a patch in pixels; it has to divide H and W.
        mean, std: pixels are centred as (x - mean) / std. Constants, not statistics of the data:
            nothing to fit, nothing to leak. These fit drawings and things on a dark ground
            (`digits` 0.31 ± 0.38, `fashion_mnist` 0.29 ± 0.35); a photograph has about 0.5 ± 0.25.
        flip: probability that an image is mirrored left to right, in training only.
        shift: pixels by which an image is moved at most, each way, in training only; what comes in
            is zero.

    Raises:
        ValueError: the data is no image, or `sequence` is none of the three.
        Skip: `patch` does not divide the image.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        reads: Reads,
        sequence: Sequence = "rows",
        patch: int = 4,
        mean: float = 0.3,
        std: float = 0.35,
        flip: float = 0.0,
        shift: int = 0,
    ) -> None:
        super().__init__()
        require(spec, "image")
        check_variation(spec, flip, shift)
        self.flip, self.shift = flip, shift
        self.shape = (height, width, channels) = (*spec.shape[1:], spec.shape[0])
        self.mean, self.std = mean, std
        if reads == "grid":
            self.tile = (1, 1)
            self.out = Features(dim=channels, grid=(height, width))
            self.reading = "grid"
            return
        tiles = {"rows": (1, width), "patches": (patch, patch), "pixels": (1, 1)}
        if sequence not in tiles:
            raise ValueError(f"stem.sequence is one of {', '.join(tiles)}; got {sequence!r}")
        self.tile = (down, across) = tiles[sequence]
        if height % down or width % across:
            raise Skip(f"patches of {patch}×{patch} do not tile {spec.name} ({height}×{width})")
        steps = (height // down) * (width // across)
        self.out = Features(dim=down * across * channels, grid=(steps,))
        self.reading = f"patches {patch}×{patch}" if sequence == "patches" else sequence

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, None]:
        """(B, C, H, W) → (B, *grid, dim), no mask."""
        (height, width, channels), (down, across) = self.shape, self.tile
        x = varied(x, self.flip, self.shift) if self.training else x
        x = centred(x, self.mean, self.std).permute(0, 2, 3, 1)
        if across not in (1, width) or down != 1:
            x = x.reshape(-1, height // down, down, width // across, across, channels)
            x = x.transpose(2, 3)
        return x.reshape(-1, *self.out.grid, self.out.dim), None
