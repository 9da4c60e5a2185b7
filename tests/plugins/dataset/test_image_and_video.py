"""Image and video datasets: roads, captions and lips."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.dataset_reading import SPLITS, decode_targets, load_once, load_split
from helpers.paths import ROOT
from helpers.video_files import moving_bar, write_video
from PIL import Image
from sklearn.linear_model import Ridge

from quintain.compose.config import compose_job, hydra_session
from quintain.compose.instantiate import instantiate
from quintain.errors import DataError
from quintain.plugins.dataset import grid_lips
from quintain.plugins.dataset.driving import Driving, _drive, _steering_angle
from quintain.plugins.dataset.emoji_captions import EmojiCaptions, assign_splits
from quintain.plugins.dataset.grid_lips import GridLips
from quintain.plugins.dataset.shape_captions import ShapeCaptions, _describe, _Shape
from quintain.testing import DATASET_CHECKS, Case

REAL = {
    "grid_lips": "grid_s1/video",
    "emoji_captions": "emoji/images",
    "mnist": "MNIST/raw",
}


@pytest.mark.parametrize("name", ["driving", "shape_captions", *REAL])
def test_dataset_passes_all_checks_and_has_the_fingerprint_of_its_card(name):
    folder = Path(os.environ.get("QUINTAIN_DATA", ROOT.parent / "shared" / "data"))
    if name in REAL and not (folder / REAL[name]).is_dir():
        pytest.skip(f"{name} needs files: set QUINTAIN_DATA to a folder that has them")
    with hydra_session():
        config = compose_job([f"dataset={name}", f"data_dir={folder}"]).config["dataset"]
    case = Case.load(lambda **settings: instantiate(config, **settings), config["card"])
    assert case.card["counts"] and case.dataset.fingerprint() == case.card["fingerprint"]
    for check_name, check in DATASET_CHECKS:
        if check_name != "fingerprint":  # it would load the data again
            check(case)


def test_steering_angle_is_the_sum_of_the_terms_of_the_controller():
    """It is 0 in the middle of a straight road; each term is tested separately."""
    zeros = {name: np.zeros(1) for name in ("aside", "heading", "wind", "bend")}
    car = {**zeros, "speed": np.array([10.0])}
    assert _steering_angle(car) == 0
    degree = 180 / np.pi
    for settings, expected in (
        ({"bend": 0.02}, 2.7 * 0.02 * 1.25 * degree),
        ({"aside": 0.5}, -0.05 * degree),
        ({"wind": 1.0}, -0.08 * degree),
        ({"heading": 0.05}, -(0.05 + 0.08 * 0.5) * degree),
    ):
        moved = car | {name: np.array([value]) for name, value in settings.items()}
        assert _steering_angle(moved) == pytest.approx(expected, abs=1e-3)


def test_drive_ends_at_the_drawn_position_and_follows_its_speeds():
    random = np.random.default_rng(0)
    names = ("aside", "heading", "turning", "wind", "bend", "bending")
    car = {name: random.uniform(-0.1, 0.1, 5) for name in names} | {"speed": np.full(5, 12.0)}
    view = _drive(car)
    assert np.allclose(view.aside[:, -1], car["aside"]) and (view.travelled[:, -1] == 0).all()
    assert np.allclose(np.diff(view.travelled), 1.2)
    sideways = np.diff(view.aside) / 0.1
    mean_heading = (view.heading[:, 1:] + view.heading[:, :-1]) / 2
    assert np.allclose(sideways, 12 * mean_heading + car["wind"][:, None])


def test_inverse_transform_returns_degrees():
    data = load_once(Driving)
    batch = load_split(data, "train")
    assert abs(batch.y.mean()) < 1e-4 and abs(batch.y.std(correction=0) - 1) < 1e-4
    degrees = data.inverse_transform(batch.y)
    assert 5 < degrees.abs().mean() < 10 and degrees.abs().max() < 40
    with pytest.raises(RuntimeError, match="not loaded"):
        Driving().inverse_transform(batch.y)


def test_last_frame_predicts_the_angle_worse_than_the_clip():
    """The features of the linear model are the position and brightness of paint in each row."""
    data = load_once(Driving)

    def paint_features(batch, frames):
        clip = batch.x[:, frames, 0, 9:].float()
        centred = clip - clip.mean(3, keepdim=True)
        weight = centred.clamp(min=20) - 20
        column = (weight * torch.arange(32)).sum(3) / weight.sum(3).clamp(min=1)
        return torch.cat([column, weight.amax(3) / 100], 2).flatten(1).numpy()

    errors = []
    for frames in ([9], list(range(10))):
        train, test = load_split(data, "train"), load_split(data, "test")
        model = Ridge(10.0).fit(paint_features(train, frames), train.y[:, 0])
        errors.append(
            np.abs(model.predict(paint_features(test, frames)) - test.y[:, 0].numpy()).mean()
        )
    assert errors[1] < 0.8 * errors[0]


@pytest.mark.parametrize(
    ("scene", "caption"),
    [
        (
            [_Shape(0, 1, False, "red", "circle"), _Shape(1, 1, True, "blue", "square")],
            "a red circle above a small blue square",
        ),
        (
            [
                _Shape(0, 0, True, "green", "cross"),
                _Shape(0, 2, False, "red", "diamond"),
                _Shape(2, 1, False, "red", "circle"),
            ],
            "a small green cross left of a red diamond above and right of a red circle",
        ),
    ],
)
def test_captions_describe_positions(scene, caption):
    assert _describe(scene) == caption


def colour_shape_pairs(text):
    words = text.split()
    shapes = ("circle", "square", "triangle", "cross", "diamond")
    return {(words[k - 1], word) for k, word in enumerate(words) if word in shapes}


def test_held_out_pairs_occur_in_one_split_and_their_words_in_train():
    data = load_once(ShapeCaptions)
    pairs = {
        split: [colour_shape_pairs(text) for text in decode_targets(data, split)]
        for split in SPLITS
    }
    known = set().union(*pairs["train"])
    assert len(known) == 15
    new = {split: set().union(*pairs[split]) - known for split in ("val", "test")}
    assert len(new["val"]) == len(new["test"]) == 5 and not new["val"] & new["test"]
    for split in ("val", "test"):
        assert all(scene_pairs & new[split] for scene_pairs in pairs[split])
    assert {word for pair in known for word in pair} >= {w for p in new["test"] for w in p}


def test_colour_in_a_caption_is_in_its_image():
    data = load_once(ShapeCaptions)
    x, captions = load_split(data, "test").x.float(), decode_targets(data, "test")
    red = (x[:, 0] > 90) & (x[:, 1] < 90) & (x[:, 2] < 90)
    names_red = torch.tensor(["red" in text for text in captions])
    assert ((red.sum((1, 2)) > 6) == names_red).float().mean() > 0.99


def test_tones_of_a_role_are_held_out_for_all_genders():
    heads = ["artist", "man artist", "woman artist", "hand", "couple: man, man"]
    tones = [f"{k} skin tone" for k in "abcde"]
    captions = [*(f"{head.split(':')[0]}: {tone}" for head in heads for tone in tones), "lemon"]
    splits = assign_splits(captions)
    assert splits["lemon"] == "train"
    for tone in tones:  # of any gender
        assert len({splits[f"{head}: {tone}"] for head in heads[:3]}) == 1
    for head in heads[:4]:
        role_splits = [splits[f"{head}: {tone}"] for tone in tones]
        assert (role_splits.count("test"), role_splits.count("val")) == (1, 1)
    assert splits["artist: a skin tone"] != splits["hand: a skin tone"]  # in turn


def write_emoji(folder, captions, side=40):
    (folder / "emoji" / "images").mkdir(parents=True)
    rows = [f"{k}.png,{text!r}".replace("'", '"') for k, text in enumerate(captions)]
    (folder / "emoji" / "captions.csv").write_text("\n".join(["filename,caption", *rows]))
    for k in range(len(captions)):
        pixels = np.full((side, side, 3), k, np.uint8)
        Image.fromarray(pixels).save(folder / "emoji" / "images" / f"{k}.png")


def test_emoji_captions_reads_its_files(tmp_path):
    tones = ["dark", "light", "medium", "medium-dark", "medium-light"]
    captions = [f"{role}: {tone} skin tone" for role in ("cook", "guard") for tone in tones]
    write_emoji(tmp_path, [*captions, "kiss woman, man", "lemon"])
    data = EmojiCaptions(str(tmp_path))
    with pytest.raises(DataError, match=r"captions\.csv has .*images/\*\.png has .*verify=false"):
        data.prepare_data()
    data = EmojiCaptions(str(tmp_path), verify=False)
    data.prepare_data()
    data.setup()
    assert [data.size(split) for split in SPLITS] == [8, 2, 2]
    assert decode_targets(data, "test") == ["cook: dark skin tone", "guard: light skin tone"]
    assert decode_targets(data, "train")[-2:] == ["kiss woman, man", "lemon"]
    assert load_split(data, "test").x[:, 0, 0, 0].tolist() == [0, 6]
    (tmp_path / "emoji" / "images" / "11.png").unlink()
    with pytest.raises(DataError, match=r"1 images or captions are unpaired, such as 11\.png"):
        EmojiCaptions(str(tmp_path), verify=False).setup()
    with pytest.raises(DataError, match=r"missing or incomplete: expected images/\*\.png"):
        EmojiCaptions(str(tmp_path / "absent")).prepare_data()


WORDS = ["bin", "blue", "at", "f", "two", "now"]


def write_grid(folder, ids, words=WORDS, frames=75):
    lines = ["id\tword\tstart_frame\tend_frame"]
    for number, name in enumerate(ids):
        write_video(
            folder / "grid_s1" / "video" / f"{name}.mp4", moving_bar([number % 40] * frames), "h264"
        )
        starts = [0.0, 30.0, 36.0, 40.0, 50.0, 60.0, 70.0]
        lines += [f"{name}\t{word}\t{starts[k]}\t{starts[k + 1]}" for k, word in enumerate(words)]
    (folder / "grid_s1" / "alignments.tsv").write_text("\n".join(lines) + "\n")


def test_grid_lips_windows_splits_and_sentences(tmp_path):
    ids = [f"id{k:02}" for k in range(12)]
    write_grid(tmp_path, ids)
    datasets = {
        word: GridLips(str(tmp_path), word=word, verify=False) for word in ("digit", "letter")
    }
    for data in datasets.values():
        data.prepare_data()
        data.setup()
        assert [data.size(split) for split in SPLITS] == [8, 2, 2]
    assert datasets["digit"].spec.classes[load_split(datasets["digit"], "test").y[0]] == "two"
    assert datasets["letter"].spec.classes[load_split(datasets["letter"], "test").y[0]] == "f"
    items = datasets["digit"].items()
    assert [item.path.stem for item in items["test"]] == ["id00", "id10"]
    assert [item.path.stem for item in items["val"]] == ["id01", "id11"]
    assert items["test"][0].part == (47,)  # 16 frames around the middle of 50 to 60
    command = GridLips(str(tmp_path), word="command", verify=False).items()["test"][0]
    assert command.part == (7,)
    sentence = GridLips(str(tmp_path), word="sentence", verify=False)
    sentence.setup()
    assert sentence.spec.task == "transcribe" and load_split(sentence, "test").x.shape[1] == 75
    assert decode_targets(sentence, "test") == [" ".join(WORDS)] * 2
    assert sentence.fingerprint() != datasets["digit"].fingerprint()


def test_grid_lips_with_wrong_files_raises(tmp_path):
    write_grid(tmp_path / "short", ["a", "b", "c"], frames=70)
    with pytest.raises(DataError, match="has 70 frames, expected 75"):
        GridLips(str(tmp_path / "short"), verify=False).setup()
    write_grid(tmp_path / "words", ["a", "b", "c"], ["bin", "blue", "at", "w", "two", "now"])
    with pytest.raises(DataError, match=r"3 ids .* not a sentence of the corpus, such as a"):
        GridLips(str(tmp_path / "words"), verify=False).setup()
    with pytest.raises(DataError, match=r"video/\*\.mp4 has .*verify=false"):
        GridLips(str(tmp_path / "words")).prepare_data()
    with pytest.raises(DataError, match=r"incomplete: expected video/<id>\.mp4"):
        GridLips(str(tmp_path)).prepare_data()
    with pytest.raises(ValueError, match="one of command, colour, digit, letter, sentence"):
        GridLips(word="adverb")


def test_grid_grammar_has_51_words():
    assert [len(slot) for slot in grid_lips.SLOTS] == [4, 4, 4, 25, 10, 4]
    assert len(set(grid_lips.WORDS)) == 51
