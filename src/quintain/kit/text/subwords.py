"""Subwords: pieces of words learnt from text, so that no word is unknown whose letters are known.

Byte-pair encoding (Sennrich et al. 2016) by sentencepiece (Kudo & Richardson 2018), which the
dataset that uses it names in its card's `needs`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

USUAL = 4192  # bytes of a text at most, unless sentencepiece is told otherwise

UNKNOWN = 0
"""The token of a character that the train split lacks; it reads " ⁇ "."""


class Subwords:
    """Text ↔ tokens 0 … size - 1. The text comes back as it was, but for runs of spaces.

    Case and accents stay; nothing is normalised. The same texts give the same subwords on every
    machine, by one thread and without sampling.

    Args:
        texts: of the train split.
        size: number of tokens, all characters that occur and the unknown one included.

    Raises:
        ValueError: the texts have more characters than `size`, or too few words for it.
    """

    separator = ""

    def __init__(self, texts: Iterable[str], size: int) -> None:
        model, lines = io.BytesIO(), list(texts)
        longest = max((len(line.encode()) for line in lines), default=0)
        try:
            SentencePieceTrainer.train(
                sentence_iterator=iter(lines),
                model_writer=model,
                vocab_size=size,
                model_type="bpe",
                character_coverage=1.0,
                normalization_rule_name="identity",
                unk_id=UNKNOWN,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                num_threads=1,
                max_sentence_length=max(USUAL, longest),  # it passes over longer ones silently
                minloglevel=2,  # it prints a page about its training otherwise
            )
        except RuntimeError as error:
            raise ValueError(
                f"cannot learn {size:,} subwords from these texts: {error}; try another size"
            ) from error
        self._model = SentencePieceProcessor(model_proto=model.getvalue())

    def __len__(self) -> int:
        size: int = self._model.get_piece_size()
        return size

    def encode(self, text: str) -> list[int]:
        """Text → tokens."""
        tokens: list[int] = self._model.encode(text)
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        """Tokens → text."""
        text: str = self._model.decode(list(tokens))
        return text
