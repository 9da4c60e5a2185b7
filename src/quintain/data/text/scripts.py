"""Which scripts texts are written in: some have no blanks between words, which scores must know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import regex

_SCRIPTS = ("Han", "Hiragana", "Katakana", "Hangul", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")
_KANA = ("Hiragana", "Katakana")
_LETTER = regex.compile(
    "|".join(rf"(?P<{name}>\p{{Script={name}}})" for name in _SCRIPTS) + r"|(?P<other>\p{L})"
)
_MOST = 0.5  # share of letters from which a script decides
_SOME = 0.05


def count_scripts(texts: Iterable[str]) -> dict[str, float]:
    """Return the share of the letters in each script of `_SCRIPTS`, those that occur only."""
    counts: Counter[str] = Counter()
    for text in texts:
        if text.isascii():
            counts["other"] += len(text)  # letters are most of it
        else:
            counts.update(str(match.lastgroup) for match in _LETTER.finditer(text))
    total = counts.total()
    return {name: counts[name] / total for name in _SCRIPTS if counts[name]}


def choose_bleu_tokens(texts: Iterable[str]) -> str:
    """Return the tokenizer of sacrebleu that suits texts: "13a", "zh" or "char".

    Chinese gets sacrebleu's own tokenizer, which splits other scripts like 13a; texts that are
    mostly Japanese, Korean, or of another script without blanks are compared by character.
    """
    shares = count_scripts(texts)
    kana = sum(shares.get(name, 0.0) for name in _KANA)
    if shares.get("Han", 0.0) >= _SOME and kana < _SOME and shares.get("Hangul", 0.0) < _SOME:
        return "zh"
    return "char" if sum(shares.values()) >= _MOST else "13a"


def unspaced_script(texts: Iterable[str]) -> str:
    """Return the names of the scripts without blanks that have most letters; "" if none have."""
    shares = count_scripts(texts)
    shares.pop("Hangul", None)
    is_most = sum(shares.values()) >= _MOST
    names = sorted(shares, key=lambda name: -shares[name])
    return " and ".join(name for name in names if shares[name] >= _SOME) if is_most else ""
