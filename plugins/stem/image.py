"""The stem of images: a grid of pixels, or a sequence of rows, patches or pixels.

Legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from quintain.contracts import DataSpec, Features, InputLayout, Unsupported
from quintain.data.image.pixels import augment, check_augmentation, normalize_pixels
from quintain.nn.checks import check_modality

SequenceOf = Literal["rows", "patches", "pixels"]


class Image(nn.Module):
    """Turns images into a grid (B, H, W, C), or into a sequence.

    Args:
        sequence: the steps of a sequence. "rows": H steps of W · C features. "patches": row by row,
            with patch² · C features. "pixels": H · W steps of C features (sequential MNIST).
        patch: side of a patch in pixels; it must divide H and W.
        mean, std: constants that normalise pixels as (x - mean) / std. The defaults suit bright
            drawings on black (`digits` has 0.31 ± 0.38, `fashion_mnist` 0.29 ± 0.35); photographs
            have about 0.5 ± 0.25.
        flip: probability that an image is mirrored left to right in training.
        shift: largest random shift in training, in pixels and in all directions; the gap is filled
            with the pixels at the border.

    Raises:
        ValueError: the dataset has no images, or a setting is invalid.
        Unsupported: `patch` does not divide H and W.
    """

    def __init__(
        self,
        spec: DataSpec,
        *,
        input_layout: InputLayout,
        sequence: SequenceOf = "rows",
        patch: int = 4,
        mean: float = 0.3,
        std: float = 0.35,
        flip: float = 0.0,
        shift: int = 0,
    ) -> None:
        super().__init__()
        check_modality(spec, "image")
        check_augmentation(spec, flip, shift)
        self.flip, self.shift = flip, shift
        self.mean, self.std = mean, std
        channels, height, width = spec.shape
        step_sizes = {"rows": (1, width), "patches": (patch, patch), "pixels": (1, 1)}
        is_grid = input_layout == "grid"
        if not is_grid and sequence not in step_sizes:
            choices = ", ".join(step_sizes)
            raise ValueError(f"stem.sequence must be one of {choices}; got {sequence!r}")
        self.step_size = step_height, step_width = (1, 1) if is_grid else step_sizes[sequence]
        if height % step_height or width % step_width:
            raise Unsupported(
                f"patches of {patch}×{patch} do not divide the images of {spec.name} "
                f"({height}×{width})"
            )
        rows, columns = height // step_height, width // step_width
        dim = step_height * step_width * channels
        self.out = Features(dim=dim, grid=(rows, columns) if is_grid else (rows * columns,))
        sequence_layout = f"patches {patch}×{patch}" if sequence == "patches" else sequence
        self.layout = "grid" if is_grid else sequence_layout

    def forward(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, None]:
        """(B, C, H, W) → (B, *grid, dim), no mask."""
        x = augment(x, self.flip, self.shift) if self.training else x
        x = normalize_pixels(x, self.mean, self.std).permute(0, 2, 3, 1)
        step_height, step_width = self.step_size
        x = x.unflatten(2, (-1, step_width)).unflatten(1, (-1, step_height)).transpose(2, 3)
        return x.reshape(-1, *self.out.grid, self.out.dim), None
