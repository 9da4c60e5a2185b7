"""Words by UAX 29, in scripts of all kinds, and tokenizers that restore a text."""

from __future__ import annotations

import unicodedata

import pytest

from quintain.data.text.scripts import choose_bleu_tokens, unspaced_script
from quintain.data.text.tokenizers import UNKNOWN, SymbolCodec, TokenizerSettings
from quintain.data.text.words import UNKNOWN_TEXT, split_words

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"

WORDS = {
    "Hindi": ("अच्छी किताब।", ["अच्छी", "किताब", "।"]),
    "Tamil": ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
    "Arabic with vowels": ("مُحَمَّدٌ رَسُولٌ", ["مُحَمَّدٌ", "رَسُولٌ"]),
    "Persian with a non-joiner": ("می\u200cخواهم بروم", ["می\u200cخواهم", "بروم"]),
    "Hebrew": ('צה"ל בא', ['צה"ל', "בא"]),
    "Thai, without a dictionary": ("ดีครับ", ["ดี", "ค", "รั", "บ"]),
    "Chinese": ("号码是三。", ["号", "码", "是", "三", "。"]),
    "Japanese": ("カタカナのせ", ["カタカナ", "の", "せ"]),
    "Korean": ("안녕하세요 세계", ["안녕하세요", "세계"]),
    "decomposed accents": ("cafe\u0301 the\u0301", ["cafe\u0301", "the\u0301"]),
    "emoji": (f"{FAMILY}ok 🇩🇪🇫🇷 👍🏽", [FAMILY, "ok", "🇩🇪", "🇫🇷", "👍🏽"]),
    "numbers and apostrophes": (
        "can't don’t 3.14, 1,000! e.g. x_1 $5",
        ["can't", "don’t", "3.14", ",", "1,000", "!", "e.g", ".", "x_1", "$", "5"],
    ),
    "a soft hyphen": ("co\u00adop", ["co\u00adop"]),
    "invisible characters alone": ("\u200b \ufeffa \u2060\u200d \u3164\u180e", ["a"]),
    "white space": (" a\t\n\u00a0b  ", ["a", "b"]),
}


@pytest.mark.parametrize("name", WORDS)
def test_words_are_those_of_uax_29(name: str) -> None:
    text, expected = WORDS[name]
    assert split_words(text) == expected


TEXTS = (
    'He said: "it\'s co-op (3.14)!" … twice',
    "号码是一二三。",
    "अच्छी किताब, है।",
    f"{FAMILY} می\u200cخواهم \ufeffa\u200bb",
    "  two   blanks\t",
)


@pytest.mark.parametrize("unit", ["words", "characters", "subwords"])
def test_predicted_texts_are_restored_with_their_blanks(unit: str) -> None:
    settings = TokenizerSettings(unit, 10_000, min_count=1, lower=False)  # type: ignore[arg-type]
    tokenizer = settings.fit(TEXTS, restores=True)
    for text in TEXTS:
        restored = tokenizer.decode(tokenizer.encode(text))
        assert restored == tokenizer.normalize(text)
        assert restored.split() == text.split() and (unit != "words" or "  " not in restored)


def test_an_unknown_word_equals_no_word_of_a_true_text() -> None:
    settings = TokenizerSettings("words", 100, min_count=1, lower=True)
    tokenizer = settings.fit(["My name is Anna."] * 2, restores=True)
    tokens = tokenizer.encode("my name is Bob.")
    assert tokens.count(UNKNOWN) == 1
    assert tokenizer.decode(tokens) == f"my name is {UNKNOWN_TEXT}."
    assert tokenizer.normalize("My  name is Bob.") == "my name is bob."


def test_the_first_word_has_a_blank_only_where_words_are_separated_by_blanks() -> None:
    settings = TokenizerSettings("words", 100, min_count=1, lower=False)
    assert len(settings.fit(["go go", "go"], restores=True)) == 2
    assert len(settings.fit(["一一", "一"], restores=True)) == 2


def test_bleu_gets_the_tokenizer_that_suits_the_script() -> None:
    expected = {
        "hello world": "13a",
        "अच्छी किताब": "13a",
        "مُحَمَّدٌ": "13a",
        "号码是一二三。": "zh",
        "the word 号码 in an English text": "zh",
        "これは漢字です": "char",
        "안녕하세요 세계": "char",
        "สวัสดีครับ": "char",
    }
    assert {text: choose_bleu_tokens([text]) for text in expected} == expected
    assert unspaced_script(["号码是", "ok"]) == "Han" and unspaced_script(["สวัสดี"]) == "Thai"
    assert unspaced_script(["안녕하세요 세계"]) == "" == unspaced_script(["hello 号", "12", ""])


def test_notes_on_symbols_name_punctuation_case_and_scripts_without_blanks() -> None:
    texts = ["Yes! no", "yes NO"]
    codec = SymbolCodec(texts, "words", lower=False)
    notes = codec.notes(texts, [])
    assert any("in 1 of 4: Yes!; it counts in every score" in note for note in notes)
    assert any("upper and lower case: NO; dataset.lower=true" in note for note in notes)
    assert len(SymbolCodec(["yes no"], "characters").notes(["yes no"], [])) == 1
    chinese = ["号码是"]
    assert any("head.rank_by=cer" in n for n in SymbolCodec(chinese, "words").notes(chinese, []))


def test_marks_stay_on_their_letters_in_both_unicode_forms() -> None:
    for text in ("crème brûlée", "Việt Nam", "한국어", "Ελλάδα ή"):
        for form in ("NFC", "NFD"):
            assert split_words(unicodedata.normalize(form, text)) == [
                unicodedata.normalize(form, word) for word in text.split()
            ]
