"""The loss of heatmaps against NumPy."""

import numpy as np
import pytest
from numpy.typing import NDArray

from odflow.heads.pose.losses import heatmap_loss

Floats = NDArray[np.float32]


def drawn(stacks: int, examples: int) -> tuple[list[Floats], Floats, Floats]:
    rng = np.random.default_rng(stacks * 10 + examples)
    targets = rng.uniform(0, 12, (examples, 5, 7, 3)) * (rng.uniform(size=(examples, 5, 7, 3)) < 0.3)
    outputs = [rng.normal(size=targets.shape).astype(np.float32) for _ in range(stacks)]
    labelled = (rng.uniform(size=(examples, 3)) < 0.6).astype(np.float32)
    return outputs, targets.astype(np.float32), labelled


@pytest.mark.parametrize("stacks", [1, 3])
def test_it_is_the_weighted_mean_of_squares_summed_over_the_stacks(stacks: int) -> None:
    outputs, targets, labelled = drawn(stacks, 4)
    wanted, masked = [], []
    for n in range(4):
        every, some = 0.0, 0.0
        for maps in outputs:
            for y, x, k in np.ndindex(5, 7, 3):
                target = targets[n, y, x, k]
                error = (82.0 if target > 0 else 1.0) * float(maps[n, y, x, k] - target) ** 2 / (5 * 7 * 3)
                every += error
                some += error * labelled[n, k]
        wanted.append(every)
        masked.append(some)
    np.testing.assert_allclose(heatmap_loss(outputs, targets), wanted, rtol=1e-5)
    np.testing.assert_allclose(heatmap_loss(outputs, targets, labelled), masked, rtol=1e-5)


def test_weights_are_parameters() -> None:
    targets = np.zeros((1, 1, 2, 1), np.float32)
    targets[0, 0, 0] = 2.0
    output = np.ones((1, 1, 2, 1), np.float32)
    assert heatmap_loss([output], targets, foreground_weight=0.0).numpy() == 1.0
    assert heatmap_loss([output], targets, foreground_weight=9.0).numpy() == 5.5


def test_an_unlabelled_joint_changes_nothing() -> None:
    outputs, targets, labelled = drawn(1, 4)
    before = heatmap_loss(outputs, targets, labelled).numpy()
    hidden = labelled[:, None, None, :] == 0.0
    others = [np.where(hidden, 1e6, maps).astype(np.float32) for maps in outputs]
    np.testing.assert_array_equal(heatmap_loss(others, targets, labelled).numpy(), before)


def test_no_batch_however_small_or_unlabelled_gives_no_number() -> None:
    outputs, targets, labelled = drawn(2, 1)
    assert np.isfinite(heatmap_loss(outputs, targets, labelled)).all()
    assert heatmap_loss(outputs, targets, np.zeros_like(labelled)).numpy() == 0.0
