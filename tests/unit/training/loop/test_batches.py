"""In which order examples come, and that this is a function of seed and position."""

import dataclasses

import numpy as np
import pytest

from odflow.errors import InputError
from odflow.formats.example import encode_example
from odflow.formats.tfrecord import write_records
from odflow.training.settings import Augmentation, Reader

tf = pytest.importorskip("tensorflow")
from odflow.training.detector import DetectorArchitecture  # noqa: E402
from odflow.training.loop.batches import training_batches  # noqa: E402

COUNT = 23


class Pixels(DetectorArchitecture):
    """An architecture that answers with what it is given."""

    def __init__(self, settings):
        self.settings = settings

    def targets(self, sample):
        number = tf.cast(sample.image[0, 0, 0], tf.int32)
        return sample.boxes_yxyx[:1], {"number": number, "objects": tf.shape(sample.classes)[0]}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Examples 0 to 22 in three shards; an example's number is the colour of its image."""
    folder = tmp_path_factory.mktemp("records")
    numbers = np.array_split(np.arange(COUNT), 3)
    for shard, some in enumerate(numbers):
        write_records(folder / f"train-{shard}", (numbered(number) for number in some))
    return sorted(map(str, folder.iterdir()))


def numbered(number):
    image = tf.io.encode_png(np.full((4, 4, 3), number, np.uint8)).numpy()
    boxes = {f"image/object/bbox/{side}": np.zeros(3, "f") for side in ("ymin", "xmin")}
    boxes |= {f"image/object/bbox/{side}": np.full(3, 0.5, "f") for side in ("ymax", "xmax")}
    labels = {"image/object/class/label": np.array([1, 2, 1])}
    return encode_example(
        {"image/encoded": [image], "image/filename": [b"%d.png" % number], **boxes, **labels}
    )


@pytest.fixture
def kind(settings):
    def build(**reader):
        flip = Augmentation("random_horizontal_flip", {"probability": 0.5})
        chosen = Reader(**{"shuffle_buffer": 8, "files_at_once": 2, "block_length": 2, **reader})
        training = dataclasses.replace(settings.training, batch_size=4, reader=chosen, augmentations=(flip,))
        return Pixels(dataclasses.replace(settings, training=training))

    return build


def drawn(files, kind, batches, seed=1, **options):
    """Numbers of the examples, and whether each was flipped."""
    from odflow.training.loop.batches import training_batches

    numbers, flipped = [], []
    for boxes, labels in training_batches(files, kind, seed, **options).take(batches):
        numbers += labels["number"].numpy().tolist()
        flipped += (boxes.numpy()[:, 0, 1] > 0).tolist()
    return numbers, flipped


def test_every_epoch_has_every_example_once_in_another_order(files, kind):
    numbers, _ = drawn(files, kind(), 12)
    first, second = numbers[:COUNT], numbers[COUNT : 2 * COUNT]
    assert sorted(first) == sorted(second) == list(range(COUNT))
    assert first != second
    assert first != sorted(first)


def test_the_seed_decides_the_order_and_the_augmentations(files, kind):
    assert drawn(files, kind(), 12) == drawn(files, kind(), 12)
    assert drawn(files, kind(), 6) != drawn(files, kind(), 6, seed=2)


@pytest.mark.parametrize("step", [1, 5, 6, 13])
def test_a_training_that_goes_on_sees_what_it_would_have_seen(files, kind, step):
    numbers, flipped = drawn(files, kind(), 16)
    assert drawn(files, kind(), 16 - step, start=4 * step) == (numbers[4 * step :], flipped[4 * step :])


def test_workers_see_together_the_batches_of_one(files, kind):
    alone, _ = drawn(files, kind(), 6)
    workers = [drawn(files, kind(), 6, shard=(i, 2), batch_size=2)[0] for i in range(2)]
    together = [number for pair in zip(*workers, strict=True) for number in pair]
    assert together == alone


def test_without_shuffling_files_are_read_in_turn_block_by_block(files, kind):
    numbers, _ = drawn(files, kind(shuffle=False), 2)
    assert numbers == [0, 1, 8, 9, 2, 3, 10, 11]


def test_every_nth_example_and_so_many_objects_are_taken(files, kind):
    numbers, _ = drawn(files, kind(shuffle=False, sample_1_of_n=2, files_at_once=1), 3)
    assert numbers == list(range(0, 23, 2))
    from odflow.training.loop.batches import training_batches

    _, labels = next(iter(training_batches(files, kind(max_boxes=2), 1)))
    assert labels["objects"].numpy().tolist() == [2, 2, 2, 2]


def test_the_images_of_a_step_can_be_named_afterwards(files, kind):
    from odflow.training.loop.batches import batch_names

    numbers, _ = drawn(files, kind(), 9)
    for step in (0, 5, 8):
        expected = [f"{number}.png" for number in numbers[4 * step : 4 * step + 4]]
        assert batch_names(files, kind().settings.training, 1, step) == expected


def test_pictures_that_do_not_decode_are_named_with_the_reason(tmp_path, kind):
    from odflow.training.loop.batches import broken_examples

    broken = encode_example({"image/encoded": [b"\xff\xd8\xff no image"], "image/filename": [b"torn.jpg"]})
    write_records(tmp_path / "train", [numbered(0), broken, numbered(1), numbered(2)])
    lines = broken_examples([str(tmp_path / "train")], kind(), 1, 0)
    assert len(lines) == 1
    assert lines[0].startswith("torn.jpg: ")


def test_pictures_are_named_after_a_step_too_where_texts_name_the_classes(tmp_path, kind):
    """The table of class texts must not belong to the graph of the step that failed."""
    from odflow.training.loop.batches import broken_examples

    def wrong(feature, value):
        return encode_example({"image/encoded": [PNG], "image/filename": [b"odd.png"], feature: value})

    torn = encode_example({"image/encoded": [b"\xff\xd8\xff no image"], "image/filename": [b"torn.jpg"]})
    for broken in (
        torn,
        wrong("image/object/class/label", np.float32([1])),
        wrong("image/object/bbox/ymin", np.array([1])),
        encode_example({"image/filename": [b"none.jpg"]}),
    ):
        write_records(tmp_path / "train", [numbered(0), numbered(1), numbered(2), broken])
        files, made = [str(tmp_path / "train")], kind(shuffle=False, class_ids={"dog": 2})
        with pytest.raises(tf.errors.InvalidArgumentError):
            list(training_batches(files, made, 1).take(1))
        lines = broken_examples(files, made, 1, 0)
        assert [line.partition(": ")[0] for line in lines] in (["torn.jpg"], ["odd.png"], ["none.jpg"])


PNG = tf.io.encode_png(np.zeros((4, 4, 3), np.uint8)).numpy()


def test_files_without_a_record_are_an_error_not_a_wait(tmp_path, kind):
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(InputError, match="no record to train on"):
        drawn([str(tmp_path / "empty")], kind(), 1)
