"""What datasets of speech share: sound files in 16 bits, and letters as symbols."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from quintain.kit.files.download import DataError
from quintain.kit.files.problems import reason
from quintain.kit.media.whole import check_whole


def read_sound(path: Path, rate: int) -> Tensor:
    """A WAV or FLAC file of one channel → int16 (N,).

    Raises:
        DataError: it cannot be read, is empty or cut off, or has another rate or more channels.
    """
    try:
        check_whole(path)
        sound, came = soundfile.read(path, dtype="int16")
    except DataError as error:
        raise DataError(f"{path} {error}; get it anew") from error
    except (OSError, RuntimeError) as error:  # libsndfile's errors are RuntimeErrors
        why = reason(error, path)
        raise DataError(f"{path} cannot be read as sound ({why}); get it anew") from error
    if came != rate or sound.ndim != 1:
        channels = 1 if sound.ndim == 1 else sound.shape[1]
        raise DataError(f"{path} has {came} Hz and {channels} channels, expected {rate} Hz mono")
    if not len(sound):
        raise DataError(f"{path} has no samples; get it anew")
    return torch.from_numpy(sound)


class Letters:
    """Characters ↔ symbols 0, 1, … in the order given."""

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._symbols = {character: place for place, character in enumerate(characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str, where: str) -> list[int]:
        """One symbol a character.

        Raises:
            DataError: a character that is none of them; `where` says whose text it is.
        """
        if unknown := sorted(set(text) - set(self.characters)):
            raise DataError(
                f"{where}: the transcript {text!r} has {' '.join(map(repr, unknown))}, expected "
                f"only {self.characters!r}"
            )
        return [self._symbols[character] for character in text]

    def decode(self, symbols: Sequence[int]) -> str:
        """The text of some symbols."""
        return "".join(self.characters[symbol] for symbol in symbols)
