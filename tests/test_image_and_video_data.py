"""Pictures and films as data: roads, captions and lips."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from films import bar, write_film
from PIL import Image
from sklearn.linear_model import Ridge
from taken import SPLITS, loaded, texts, whole
from words import ROOT

from quintain.compose.bind import instantiate
from quintain.compose.config import compose_one, composer
from quintain.kit.files.download import DataError
from quintain.plugins.dataset import grid_lips
from quintain.plugins.dataset.driving import Driving, _angle, _drive
from quintain.plugins.dataset.emoji_captions import EmojiCaptions, split_of
from quintain.plugins.dataset.grid_lips import GridLips
from quintain.plugins.dataset.shape_captions import ShapeCaptions, _caption, _Thing
from quintain.testing import DATASET_CHECKS, Case

REAL = {
    "grid_lips": "grid_s1/video",
    "emoji_captions": "emoji/images",
    "mnist": "MNIST/raw",
}


@pytest.mark.parametrize("name", ["driving", "shape_captions", *REAL])
def test_datasets_keep_the_contract_and_their_cards(name):
    folder = Path(os.environ.get("QUINTAIN_DATA", ROOT.parent / "shared" / "data"))
    if name in REAL and not (folder / REAL[name]).is_dir():
        pytest.skip(f"{name} needs files: set QUINTAIN_DATA to a folder that has them")
    with composer():
        config = compose_one([f"dataset={name}", f"data_dir={folder}"]).config["dataset"]
    case = Case.load(lambda **other: instantiate(config, **other), config["card"])
    assert case.card["counts"] and case.dataset.fingerprint() == case.card["fingerprint"]
    for check_name, check in DATASET_CHECKS:
        if check_name != "fingerprint":  # it would load the data again
            check(case)


def test_the_angle_is_the_controllers():
    """Straight on in the middle of a straight road: nothing to do; else term by term."""
    zeros = {name: np.zeros(1) for name in ("aside", "heading", "wind", "bend")}
    car = {**zeros, "speed": np.array([10.0])}
    assert _angle(car) == 0
    degree = 180 / np.pi
    for changed, expected in (
        ({"bend": 0.02}, 2.7 * 0.02 * 1.25 * degree),
        ({"aside": 0.5}, -0.05 * degree),
        ({"wind": 1.0}, -0.08 * degree),
        ({"heading": 0.05}, -(0.05 + 0.08 * 0.5) * degree),
    ):
        moved = car | {name: np.array([value]) for name, value in changed.items()}
        assert _angle(moved) == pytest.approx(expected, abs=1e-3)


def test_a_drive_ends_where_it_was_drawn_and_goes_as_its_speeds_say():
    random = np.random.default_rng(0)
    names = ("aside", "heading", "turning", "wind", "bend", "bending")
    car = {name: random.uniform(-0.1, 0.1, 5) for name in names} | {"speed": np.full(5, 12.0)}
    seen = _drive(car)
    assert np.allclose(seen.aside[:, -1], car["aside"]) and (seen.way[:, -1] == 0).all()
    assert np.allclose(np.diff(seen.way), 1.2)
    sideways = np.diff(seen.aside) / 0.1
    halfway = (seen.heading[:, 1:] + seen.heading[:, :-1]) / 2
    assert np.allclose(sideways, 12 * halfway + car["wind"][:, None])


def test_angles_are_degrees_again():
    data = loaded(Driving)
    batch = whole(data, "train")
    assert abs(batch.y.mean()) < 1e-4 and abs(batch.y.std(correction=0) - 1) < 1e-4
    degrees = data.restore(batch.y)
    assert 5 < degrees.abs().mean() < 10 and degrees.abs().max() < 40
    with pytest.raises(RuntimeError, match="not loaded"):
        Driving().restore(batch.y)


def test_the_last_frame_alone_tells_less_than_the_clip():
    """A linear model of the brightest column of each row: where the paint is, and where it was."""
    data = loaded(Driving)

    def paint(batch, frames):
        film = batch.x[:, frames, 0, 9:].float()
        centred = film - film.mean(3, keepdim=True)
        weight = centred.clamp(min=20) - 20
        place = (weight * torch.arange(32)).sum(3) / weight.sum(3).clamp(min=1)
        return torch.cat([place, weight.amax(3) / 100], 2).flatten(1).numpy()

    errors = []
    for frames in ([9], list(range(10))):
        train, test = whole(data, "train"), whole(data, "test")
        model = Ridge(10.0).fit(paint(train, frames), train.y[:, 0])
        errors.append(np.abs(model.predict(paint(test, frames)) - test.y[:, 0].numpy()).mean())
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize(
    ("things", "says"),
    [
        (
            [_Thing(0, 1, False, "red", "circle"), _Thing(1, 1, True, "blue", "square")],
            "a red circle above a small blue square",
        ),
        (
            [
                _Thing(0, 0, True, "green", "cross"),
                _Thing(0, 2, False, "red", "diamond"),
                _Thing(2, 1, False, "red", "circle"),
            ],
            "a small green cross left of a red diamond above and right of a red circle",
        ),
    ],
)
def test_captions_say_what_stands_where(things, says):
    assert _caption(things) == says


def pairs(text):
    words = text.split()
    shapes = ("circle", "square", "triangle", "cross", "diamond")
    return {(words[k - 1], word) for k, word in enumerate(words) if word in shapes}


def test_held_out_pairs_are_in_their_split_alone_and_their_words_in_train():
    data = loaded(ShapeCaptions)
    said = {split: [pairs(text) for text in texts(data, split)] for split in SPLITS}
    known = set().union(*said["train"])
    assert len(known) == 15
    new = {split: set().union(*said[split]) - known for split in ("val", "test")}
    assert len(new["val"]) == len(new["test"]) == 5 and not new["val"] & new["test"]
    for split in ("val", "test"):
        assert all(found & new[split] for found in said[split])
    assert {word for pair in known for word in pair} >= {w for p in new["test"] for w in p}


def test_a_colour_that_is_said_is_seen():
    data = loaded(ShapeCaptions)
    x, says = whole(data, "test").x.float(), texts(data, "test")
    red = (x[:, 0] > 90) & (x[:, 1] < 90) & (x[:, 2] < 90)
    said = torch.tensor(["red" in text for text in says])
    assert ((red.sum((1, 2)) > 6) == said).float().mean() > 0.99


def test_roles_in_tones_are_held_out_whole():
    heads = ["artist", "man artist", "woman artist", "hand", "couple: man, man"]
    tones = [f"{k} skin tone" for k in "abcde"]
    captions = [*(f"{head.split(':')[0]}: {tone}" for head in heads for tone in tones), "lemon"]
    splits = split_of(captions)
    assert splits["lemon"] == "train"
    for tone in tones:  # whatever the gender
        assert len({splits[f"{head}: {tone}"] for head in heads[:3]}) == 1
    for head in heads[:4]:
        found = [splits[f"{head}: {tone}"] for tone in tones]
        assert (found.count("test"), found.count("val")) == (1, 1)
    assert splits["artist: a skin tone"] != splits["hand: a skin tone"]  # by turns


def emoji(folder, captions, side=40):
    (folder / "emoji" / "images").mkdir(parents=True)
    rows = [f"{k}.png,{text!r}".replace("'", '"') for k, text in enumerate(captions)]
    (folder / "emoji" / "captions.csv").write_text("\n".join(["filename,caption", *rows]))
    for k in range(len(captions)):
        pixels = np.full((side, side, 3), k, np.uint8)
        Image.fromarray(pixels).save(folder / "emoji" / "images" / f"{k}.png")


def test_emoji_from_files(tmp_path):
    tones = ["dark", "light", "medium", "medium-dark", "medium-light"]
    captions = [f"{role}: {tone} skin tone" for role in ("cook", "guard") for tone in tones]
    emoji(tmp_path, [*captions, "kiss woman, man", "lemon"])
    data = EmojiCaptions(str(tmp_path))
    with pytest.raises(DataError, match=r"captions\.csv has .*images/\*\.png has .*verify=false"):
        data.prepare_data()
    data = EmojiCaptions(str(tmp_path), verify=False)
    data.prepare_data()
    data.setup()
    assert [data.size(split) for split in SPLITS] == [8, 2, 2]
    assert texts(data, "test") == ["cook: dark skin tone", "guard: light skin tone"]
    assert texts(data, "train")[-2:] == ["kiss woman, man", "lemon"]
    assert whole(data, "test").x[:, 0, 0, 0].tolist() == [0, 6]
    (tmp_path / "emoji" / "images" / "11.png").unlink()
    with pytest.raises(DataError, match=r"1 pictures or captions stand alone, such as 11\.png"):
        EmojiCaptions(str(tmp_path), verify=False).setup()
    with pytest.raises(DataError, match=r"missing or incomplete: expected images/\*\.png"):
        EmojiCaptions(str(tmp_path / "absent")).prepare_data()


WORDS = ["bin", "blue", "at", "f", "two", "now"]


def grid(folder, ids, words=WORDS, frames=75):
    lines = ["id\tword\tstart_frame\tend_frame"]
    for k, name in enumerate(ids):
        write_film(folder / "grid_s1" / "video" / f"{name}.mp4", bar([k % 40] * frames), "h264")
        starts = [0.0, 30.0, 36.0, 40.0, 50.0, 60.0, 70.0]
        lines += [
            f"{name}\t{word}\t{starts[at]}\t{starts[at + 1]}" for at, word in enumerate(words)
        ]
    (folder / "grid_s1" / "alignments.tsv").write_text("\n".join(lines) + "\n")


def test_lips_windows_splits_and_sentences(tmp_path):
    ids = [f"id{k:02}" for k in range(12)]
    grid(tmp_path, ids)
    made = {word: GridLips(str(tmp_path), word=word, verify=False) for word in ("digit", "letter")}
    for data in made.values():
        data.prepare_data()
        data.setup()
        assert [data.size(split) for split in SPLITS] == [8, 2, 2]
    assert made["digit"].spec.classes[whole(made["digit"], "test").y[0]] == "two"
    assert made["letter"].spec.classes[whole(made["letter"], "test").y[0]] == "f"
    items = made["digit"].items()
    assert [item.path.stem for item in items["test"]] == ["id00", "id10"]
    assert [item.path.stem for item in items["val"]] == ["id01", "id11"]
    assert items["test"][0].part == (47,)  # 16 frames around the middle of 50 to 60
    command = GridLips(str(tmp_path), word="command", verify=False).items()["test"][0]
    assert command.part == (7,)
    sentence = GridLips(str(tmp_path), word="sentence", verify=False)
    sentence.setup()
    assert sentence.spec.task == "transcribe" and whole(sentence, "test").x.shape[1] == 75
    assert texts(sentence, "test") == [" ".join(WORDS)] * 2
    assert sentence.fingerprint() != made["digit"].fingerprint()


def test_lips_that_do_not_fit_are_refused(tmp_path):
    grid(tmp_path / "short", ["a", "b", "c"], frames=70)
    with pytest.raises(DataError, match="has 70 frames, expected 75"):
        GridLips(str(tmp_path / "short"), verify=False).setup()
    grid(tmp_path / "words", ["a", "b", "c"], ["bin", "blue", "at", "w", "two", "now"])
    with pytest.raises(DataError, match=r"3 ids .* no sentence of the corpus, such as a"):
        GridLips(str(tmp_path / "words"), verify=False).setup()
    with pytest.raises(DataError, match=r"video/\*\.mp4 has .*verify=false"):
        GridLips(str(tmp_path / "words")).prepare_data()
    with pytest.raises(DataError, match=r"incomplete: expected video/<id>\.mp4"):
        GridLips(str(tmp_path)).prepare_data()
    with pytest.raises(ValueError, match="one of command, colour, digit, letter, sentence"):
        GridLips(word="adverb")


def test_the_words_of_the_grammar():
    assert [len(slot) for slot in grid_lips.SLOTS] == [4, 4, 4, 25, 10, 4]
    assert len(set(grid_lips.WORDS)) == 51
