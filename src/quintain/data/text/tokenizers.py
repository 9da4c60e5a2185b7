"""Turn texts into tokens: words, characters or subwords, learned from the train split."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from quintain.contracts import Lexicon
from quintain.data.files.problems import abbreviate
from quintain.data.text.scripts import unspaced_script
from quintain.data.text.vocabulary import UNKNOWN, Vocabulary
from quintain.data.text.words import (
    Characters,
    SpacedCharacters,
    SpacedWords,
    Splitter,
    Words,
    WordsWithBlanks,
    merge_blanks,
)

TokenUnit = Literal["words", "characters", "subwords"]
SymbolUnit = Literal["words", "characters"]

_DEFAULT_MAX_BYTES = 4192  # longest text of sentencepiece by default


@dataclass(frozen=True)
class TokenizerSettings:
    """How texts are split into tokens.

    Attributes:
        unit: "words" (see `quintain.data.text.words`), "characters" or "subwords" (see `Subwords`).
        size: number of tokens including the unknown one; the most frequent are kept.
        min_count: words and characters that occur less often in train are unknown (token 0).
        lower: convert texts to lower case first.

    Raises:
        ValueError: a setting is invalid.
    """

    unit: TokenUnit
    size: int
    min_count: int
    lower: bool

    def __post_init__(self) -> None:
        if self.unit not in get_args(TokenUnit):
            raise ValueError(f"tokens must be {', '.join(get_args(TokenUnit))}; got {self.unit!r}")
        if self.size < 2 or self.min_count < 1:
            raise ValueError(
                "vocabulary must be 2 or more and min_count 1 or more; got "
                f"{self.size} and {self.min_count}"
            )

    def fit(
        self, train: Sequence[str], *, restores: bool = False
    ) -> VocabularyTokenizer | Subwords:
        """Return a tokenizer learned from the texts of the train split.

        Args:
            train: texts.
            restores: decoding restores the blanks of a text too, which the texts that a model
                writes need; else words are joined by blanks.

        Raises:
            ValueError: sentencepiece is missing, or the texts have more characters than `size`.
        """
        if self.unit == "subwords":
            return _fit_subwords(train, self.size, self.lower)
        splitter: Splitter = Characters()
        if self.unit == "words":
            splitter = WordsWithBlanks(train) if restores else Words()
        return VocabularyTokenizer(
            train, splitter, self.size, lower=self.lower, min_count=self.min_count
        )


class VocabularyTokenizer:
    """Encode words or characters by their frequency in the train split; token 0 is unknown.

    Args:
        train: texts of the train split.
        splitter: splits a text into words or characters.
        size: number of tokens including the unknown one.
        lower: convert texts to lower case first.
        min_count: words or characters that occur less often are unknown.
    """

    def __init__(
        self,
        train: Iterable[str],
        splitter: Splitter,
        size: int,
        *,
        lower: bool,
        min_count: int = 1,
    ) -> None:
        self.separator = splitter.separator
        self._splitter, self._lower = splitter, lower
        self._vocabulary = Vocabulary(
            map(self._split_text, train), size, splitter.unknown, min_count
        )

    def __len__(self) -> int:
        return len(self._vocabulary)

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._vocabulary.encode(self._split_text(text)))

    def decode(self, tokens: Sequence[int]) -> str:
        return self._splitter.join(self._vocabulary.decode(tokens))

    def normalize(self, text: str) -> str:
        """Return the text that decoding restores if no token is unknown."""
        return self._splitter.normalize(text.lower() if self._lower else text)

    def _split_text(self, text: str) -> list[str]:
        return self._splitter.split(text.lower() if self._lower else text)


class SymbolCodec(VocabularyTokenizer):
    """Encode target texts as symbols; white space is normalised to single spaces.

    Args:
        train: texts of the train split.
        unit: "words" (separated by white space) or "characters".
        lower: convert texts to lower case first.
        size: number of symbols including the unknown one; the most frequent are kept.

    Raises:
        ValueError: `unit` is neither.
    """

    def __init__(
        self, train: Iterable[str], unit: SymbolUnit, *, lower: bool = True, size: int = 10_000
    ) -> None:
        if unit not in ("words", "characters"):
            raise ValueError(f"symbols must be words or characters, got {unit!r}")
        self._unit = unit
        splitter = SpacedWords() if unit == "words" else SpacedCharacters()
        super().__init__(train, splitter, size, lower=lower)

    def lexicon(self, train: Iterable[str]) -> Lexicon | None:
        """Return the words of the train split as symbols; None if the symbols are words."""
        if self._unit == "words":
            return None
        encoded = {self.encode(word) for text in train for word in text.split()}
        known = sorted(word for word in encoded if UNKNOWN not in word)
        space = self.encode("a b")[1]
        return Lexicon(words=tuple(known), between=None if space == UNKNOWN else space)

    def longest(self, texts: Iterable[str]) -> int:
        """Return the largest number of symbols of a text."""
        return max(len(self.encode(text)) for text in texts)

    def notes(self, train: Sequence[str], held_out: Iterable[str]) -> list[str]:
        """Return notes on the symbols, on unknown ones in val and test, and on the script."""
        case = ", in lower case" if self._lower else ""
        unknown = unknown_note(map(self.encode, held_out))
        notes = [f"{len(self) - 1:,} {self._unit} from train{case}{unknown}"]
        symbols = sorted(self._vocabulary.words[1:])
        if marked := [symbol for symbol in symbols if any(map(_is_punctuation, symbol))]:
            notes.append(
                f"punctuation among the symbols, in {len(marked):,} of {len(symbols):,}: "
                f"{' '.join(abbreviate(marked))}; it counts in every score"
            )
        known = set(symbols)
        if both := [text for text in symbols if text != text.lower() and text.lower() in known]:
            notes.append(
                f"symbols in upper and lower case: {' '.join(abbreviate(both))}; "
                "dataset.lower=true makes them one"
            )
        if script := unspaced_script(train):
            notes.append(
                f"{script} has no blanks between words, so the word error rate counts whole "
                "phrases: head.rank_by=cer ranks by characters"
            )
        return notes


class Subwords:
    """Byte-pair encoding (Sennrich et al. 2016) by sentencepiece (Kudo & Richardson 2018).

    Only words with unknown characters have unknown tokens. Decoding restores the text, except for
    runs of spaces and unknown characters, which become " ⁇ ". Nothing is normalised. The subwords
    are learned by one thread and without sampling, so they are the same on every machine.

    Args:
        texts: texts of the train split.
        size: number of tokens including all characters that occur and the unknown one.
        lower: convert texts to lower case first.

    Raises:
        ValueError: sentencepiece is not installed, or the texts have more characters than `size`
            or too few words for it.
    """

    separator = ""

    def __init__(self, texts: Iterable[str], size: int, *, lower: bool = False) -> None:
        try:
            from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
        except ImportError as error:
            raise ValueError("subwords need sentencepiece: pip install 'quintain[text]'") from error
        self._lower = lower
        model, lines = io.BytesIO(), [self._convert(text) for text in texts]
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
                max_sentence_length=max(_DEFAULT_MAX_BYTES, longest),  # longer ones are skipped
                minloglevel=2,  # do not log the training
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
        tokens: list[int] = self._model.encode(self._convert(text))
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        text: str = self._model.decode(list(tokens))
        return text

    def normalize(self, text: str) -> str:
        """Return the text that decoding restores if no token is unknown."""
        return merge_blanks(self._convert(text))

    def _convert(self, text: str) -> str:
        return text.lower() if self._lower else text


Tokenizer = VocabularyTokenizer | Subwords


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character).startswith("P")


def token_notes(
    subject: str,
    tokenizer: Tokenizer,
    unit: TokenUnit,
    train: Sequence[str],
    held_out: Iterable[Sequence[int]],
) -> list[str]:
    """Return notes on the number of tokens, on unknown ones in val and test, and on the script.

    Args:
        subject: what the texts are.
        tokenizer: learned from train.
        unit: of the tokens.
        train: texts of the train split.
        held_out: tokens of val and test.
    """
    count = f"{subject}: {len(tokenizer):,} {unit} from train (inferred)"
    notes = [count + unknown_note(held_out)]
    if unit == "words" and (script := unspaced_script(train)):
        notes.append(
            f"{subject}: {script} has no blanks between words, so most tokens are single "
            "characters; dataset.tokens=subwords finds longer ones"
        )
    return notes


def unknown_note(tokens: Iterable[Sequence[int]]) -> str:
    """Return the end of a note on unknown tokens in val and test; empty if there are none."""
    total = unknown = 0
    for row in tokens:
        total += len(row)
        unknown += sum(token == UNKNOWN for token in row)
    return f"; {unknown:,} of {total:,} in val and test are unknown" if unknown else ""


def _fit_subwords(train: Sequence[str], size: int, lower: bool) -> Subwords:
    """Return subwords, fewer than `size` if the texts do not contain that many."""
    try:
        return Subwords(train, size, lower=lower)
    except ValueError as error:
        limit = re.search(r"value <= (\d+)", str(error))  # in the message of sentencepiece
        if not limit:
            raise
        return Subwords(train, int(limit[1]), lower=lower)
