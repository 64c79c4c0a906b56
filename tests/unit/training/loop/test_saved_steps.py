"""Checkpoints to go on from, whatever a power cut or a full disk left of them."""

from __future__ import annotations

import errno
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from odflow.training.loop.saved_steps import SavedSteps  # noqa: E402

SIZE = 3000
LENGTHS = (0.0, 0.01, 0.3, 0.5, 0.9, 0.999)
"""Shares of a file that are left of it."""


def state(step: int) -> Any:
    """What is saved at a step: values that tell it, as weights, integers and names are."""
    return tf.train.Checkpoint(
        step=tf.Variable(step, dtype=tf.int64),
        model=tf.Module(),
        weights=[tf.Variable(tf.range(SIZE, dtype=tf.float32) * step), tf.Variable(tf.zeros([]) + step)],
    )


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the steps 4 and 8."""
    folder = tmp_path_factory.mktemp("whole") / "steps"
    for step in (2, 4, 8):
        SavedSteps(state(step), folder).save(step)
    return folder


@pytest.fixture
def torn(two_steps: Path, tmp_path: Path) -> Path:
    return shutil.copytree(two_steps, tmp_path / "steps")


def restored(folder: Path) -> tuple[int, list[str]]:
    """The step that training would go on from, of which every value is right, and what is told."""
    found = state(0)
    saved = SavedSteps(found, folder)
    step = saved.newest()
    saved.restore(step)
    assert int(found.step) == step
    np.testing.assert_array_equal(found.weights[0], np.arange(SIZE, dtype=np.float32) * step)
    assert float(found.weights[1]) == step
    return step, saved.damaged


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_last_two_steps_are_kept_and_the_newest_is_taken(two_steps: Path) -> None:
    kept = [f"ckpt-{step}.{end}" for step in (4, 8) for end in ("data-00000-of-00001", "index")]
    assert names(two_steps) == ["checkpoint", *kept]
    assert restored(two_steps) == (8, [])
    assert tf.train.latest_checkpoint(str(two_steps)) == str(two_steps / "ckpt-8")


def cut(share: float) -> Callable[[Path], None]:
    def tear(file: Path) -> None:
        file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])

    return tear


def zeros(file: Path) -> None:
    """What XFS leaves of a file whose length was on the disk and whose bytes were not."""
    file.write_bytes(bytes(file.stat().st_size))


def garbage(file: Path) -> None:
    file.write_bytes(b"\xff\x00{nonsense" * 100)


def bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


TEARS = [
    *(pytest.param(cut(share), id=f"cut at {share}") for share in LENGTHS),
    *(pytest.param(one, id=one.__name__) for one in (zeros, garbage, bit)),
    pytest.param(Path.unlink, id="gone"),
]


@pytest.mark.parametrize("tear", TEARS)
@pytest.mark.parametrize("end", ["index", "data-00000-of-00001"])
def test_a_torn_file_is_told_and_the_step_before_is_taken(
    torn: Path, end: str, tear: Callable[[Path], None]
) -> None:
    tear(torn / f"ckpt-8.{end}")
    wrong = "not whole" if tear is Path.unlink else "damaged"
    assert restored(torn) == (4, [f"ckpt-8 is {wrong}"])
    assert restored(torn) == (4, []), "it is told once"
    SavedSteps(state(8), torn).save(8)
    assert restored(torn) == (8, [])


@pytest.mark.parametrize("tear", TEARS)
def test_a_torn_file_that_names_the_newest_does_no_harm(torn: Path, tear: Callable[[Path], None]) -> None:
    tear(torn / "checkpoint")
    assert restored(torn) == (8, [])


def test_a_checkpoint_that_is_gone_is_told(torn: Path) -> None:
    for file in torn.glob("ckpt-8.*"):
        file.unlink()
    assert restored(torn) == (4, ["ckpt-8 is gone"])
    assert restored(torn) == (4, [])


@pytest.mark.parametrize("tear", TEARS)
def test_nothing_whole_is_a_beginning(torn: Path, tear: Callable[[Path], None]) -> None:
    for file in torn.glob("ckpt-*.*"):
        tear(file)
    step, told = restored(torn)
    assert (step, len(told)) == (0, 1 if tear is Path.unlink else 2)
    assert names(torn) == ["checkpoint"]
    SavedSteps(state(4), torn).save(4)
    assert restored(torn) == (4, [])


def test_files_of_two_steps_under_one_name_are_not_mistaken_for_one(torn: Path) -> None:
    """A kill between the two renames of a step that is saved again."""
    shutil.copyfile(torn / "ckpt-4.index", torn / "ckpt-8.index")
    assert restored(torn) == (4, ["ckpt-8 is damaged"])


def test_newer_steps_of_a_training_that_went_back_stay_until_they_are_made_again(torn: Path) -> None:
    """Another worker lacks step 8: this one goes on from 4."""
    saved = SavedSteps(state(0), torn)
    assert saved.newest(7) == 4
    saved.restore(4)
    SavedSteps(state(6), torn).save(6)
    assert {"ckpt-4.index", "ckpt-6.index", "ckpt-8.index"} <= set(names(torn))
    SavedSteps(state(8), torn).save(8)
    assert "ckpt-4.index" not in names(torn)


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """What a file cannot grow beyond, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 100, 5000])
def test_a_disk_that_is_full_harms_no_step_before(torn: Path, size: int) -> None:
    before = names(torn)
    with largest_file(size), pytest.raises(OSError, match=r"[Ff]ile too large") as error:
        SavedSteps(state(12), torn).save(12)
    assert error.value.errno == errno.EFBIG
    assert str(torn) in error.value.filename
    assert names(torn) == before, "the room that it took is given back"
    assert restored(torn) == (8, [])
    SavedSteps(state(12), torn).save(12)
    assert restored(torn) == (12, [])


def test_a_small_disk_that_fills_is_named_and_harms_no_step_before(small_disk: Path) -> None:
    folder = small_disk / "steps"
    SavedSteps(state(4), folder).save(4)
    (small_disk / "fill").write_bytes(bytes(2**20 - 2**16))
    large = tf.train.Checkpoint(step=tf.Variable(8), weights=tf.Variable(tf.zeros([100_000])))
    with pytest.raises(OSError, match="No space left on device") as error:
        SavedSteps(large, folder).save(8)
    assert error.value.errno == errno.ENOSPC
    assert error.value.filename.startswith(str(folder))
    assert restored(folder) == (4, [])


def test_other_errors_of_tensorflow_stay_what_they_are() -> None:
    from odflow.training.disk import told_by_disk

    with pytest.raises(tf.errors.InvalidArgumentError), told_by_disk():
        tf.reshape(tf.zeros([3]), [2])
    for message in ("OOM when allocating tensor; try less", "", "a; b; c"):
        with pytest.raises(tf.errors.ResourceExhaustedError), told_by_disk():
            raise tf.errors.ResourceExhaustedError(None, None, message)


def test_a_power_cut_leaves_a_step_that_was_saved(
    two_steps: Path, tmp_path: Path, power_cut: Callable[[Path], Any]
) -> None:
    place = tmp_path / "place"
    shutil.copytree(two_steps, place / "steps")
    power = power_cut(place)
    SavedSteps(state(12), place / "steps").save(12)
    power.end()
    taken = set()
    for number, one in enumerate(power.states):
        step, told = restored(power.lay(one, tmp_path / f"cut{number}") / "steps")
        assert not told or b"ckpt-12" not in one["steps/checkpoint"], "it is named when it is whole"
        taken.add(step)
    assert taken == {8, 12}
    assert restored(power.lay(power.flushed(), tmp_path / "after") / "steps") == (12, [])


def test_weights_are_on_the_disk_when_they_are_saved(
    tmp_path: Path, power_cut: Callable[[Path], Any]
) -> None:
    import tf_keras

    from odflow.odapi.checkpoint import damage
    from odflow.training.checkpoints import save_weights

    (tmp_path / "place").mkdir()
    network = tf_keras.Sequential([tf_keras.layers.Dense(3, input_shape=[2])])
    power = power_cut(tmp_path / "place")
    save_weights(network, tmp_path / "place/trained/checkpoint", 5)
    after = power.lay(power.flushed(), tmp_path / "after") / "trained/checkpoint"
    assert names(after) == ["checkpoint", "ckpt-5.data-00000-of-00001", "ckpt-5.index"]
    assert damage(after / "ckpt-5") is None


def test_a_save_of_weights_that_failed_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    import tf_keras

    from odflow.training.checkpoints import save_weights

    network = tf_keras.Sequential([tf_keras.layers.Dense(3000, input_shape=[2])])
    with largest_file(5000), pytest.raises(OSError, match=r"[Ff]ile too large"):
        save_weights(network, tmp_path / "checkpoint", 5)
    save_weights(network, tmp_path / "checkpoint", 5)
    assert names(tmp_path / "checkpoint") == ["checkpoint", "ckpt-5.data-00000-of-00001", "ckpt-5.index"]
