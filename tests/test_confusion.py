"""Which class was taken for which: counted as scikit-learn counts, and no part of a cell's key."""

import pytest
import torch
from cells_factory import cell as reference_cell
from records_factory import plain, quality
from sklearn.metrics import confusion_matrix
from words import QUIET, cell

from quintain.contracts import Batch, DataSpec
from quintain.records.schema import Record
from quintain.run.confusion import MOST, Confusion
from quintain.run.execute import execute


def spec(classes=3, task="classify"):
    names = tuple(f"c{i}" for i in range(classes))
    return DataSpec(name="toy", modality="image", task=task, shape=(1, 2, 2), classes=names)


def test_counts_are_scikit_learns_over_several_batches():
    counted, generator = Confusion(spec()), torch.Generator().manual_seed(0)
    logits, truth = torch.randn(50, 3, generator=generator), torch.arange(50) % 3
    for part in (slice(0, 20), slice(20, 50)):
        counted.add(logits[part], Batch(torch.zeros(1), truth[part]))
    found = counted.plain()
    assert found["classes"] == ["c0", "c1", "c2"]
    assert found["counts"] == confusion_matrix(truth, logits.argmax(1)).tolist()


@pytest.mark.parametrize(("classes", "task"), [(MOST + 1, "classify"), (3, "forecast")])
def test_many_classes_and_other_tasks_have_none(classes, task):
    counted = Confusion(spec(classes, task))
    counted.add(torch.zeros(2, classes), Batch(torch.zeros(1), torch.tensor([0, 1])))
    assert counted.plain() is None


def test_an_answer_that_is_no_logits_is_left_out():
    counted = Confusion(spec())
    counted.add(torch.zeros(2, 5), Batch(torch.zeros(1), torch.tensor([0, 1])))
    assert counted.plain() is None


def test_a_matrix_that_is_not_square_is_refused():
    bad = quality() | {"confusion": {"classes": ["a", "b"], "counts": [[1, 2], [3]]}}
    with pytest.raises(ValueError, match="expected counts of 2 × 2"):
        Record.model_validate(plain(quality=bad))


def check_diagonal(quality):
    counts = torch.tensor(quality.confusion.counts)
    right = counts.diagonal().sum() / counts.sum()
    assert right.item() == pytest.approx(quality.scores["accuracy"].test)


def test_a_run_keeps_its_matrix_whose_diagonal_is_the_accuracy():
    check_diagonal(execute(cell("dataset=digits", "model=mlp", "hardware=cpu", *QUIET)).quality)


def test_so_does_a_reference_row():
    check_diagonal(execute(reference_cell("digits", reference="linear", seed=0)).quality)
