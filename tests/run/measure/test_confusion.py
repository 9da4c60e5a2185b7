"""The confusion matrix equals scikit-learn's."""

import pytest
import torch
from helpers.cell_factory import build_cell as reference_cell
from helpers.commands import SHORT_RUN, compose_cell
from helpers.record_factory import quality_values, record_values
from sklearn.metrics import confusion_matrix

from quintain.contracts import Batch, DataSpec
from quintain.records.schema import Record
from quintain.run.measure.confusion import MAX_CLASSES, ConfusionMatrix
from quintain.run.session import run_cell


def spec(classes=3, task="classify"):
    names = tuple(f"c{i}" for i in range(classes))
    return DataSpec(name="toy", modality="image", task=task, shape=(1, 2, 2), classes=names)


def test_counts_over_several_batches_are_scikit_learns():
    matrix, generator = ConfusionMatrix(spec()), torch.Generator().manual_seed(0)
    logits, truth = torch.randn(50, 3, generator=generator), torch.arange(50) % 3
    for part in (slice(0, 20), slice(20, 50)):
        matrix.update(logits[part], Batch(torch.zeros(1), truth[part]))
    counted = matrix.compute()
    assert counted["classes"] == ["c0", "c1", "c2"]
    assert counted["counts"] == confusion_matrix(truth, logits.argmax(1)).tolist()


@pytest.mark.parametrize(("classes", "task"), [(MAX_CLASSES + 1, "classify"), (3, "forecast")])
def test_many_classes_and_other_tasks_have_no_matrix(classes, task):
    matrix = ConfusionMatrix(spec(classes, task))
    matrix.update(torch.zeros(2, classes), Batch(torch.zeros(1), torch.tensor([0, 1])))
    assert matrix.compute() is None


def test_predictions_that_are_not_logits_are_ignored():
    matrix = ConfusionMatrix(spec())
    matrix.update(torch.zeros(2, 5), Batch(torch.zeros(1), torch.tensor([0, 1])))
    assert matrix.compute() is None


def test_a_matrix_that_is_not_square_is_refused():
    bad = quality_values() | {"confusion": {"classes": ["a", "b"], "counts": [[1, 2], [3]]}}
    with pytest.raises(ValueError, match="expected counts of 2 × 2"):
        Record.model_validate(record_values(quality=bad))


def check_diagonal(quality):
    counts = torch.tensor(quality.confusion.counts)
    accuracy = counts.diagonal().sum() / counts.sum()
    assert accuracy.item() == pytest.approx(quality.scores["accuracy"].test)


def test_the_diagonal_of_a_runs_matrix_is_its_accuracy():
    check_diagonal(
        run_cell(compose_cell("dataset=digits", "model=mlp", "hardware=cpu", *SHORT_RUN)).quality
    )


def test_the_diagonal_of_a_baselines_matrix_is_its_accuracy():
    check_diagonal(run_cell(reference_cell("digits", baseline="linear", seed=0)).quality)
