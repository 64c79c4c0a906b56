"""Running a detector over many images."""

import pickle
import time
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odflow.engines.threads import Threads
from odflow.errors import ImageError, InputError, StageError
from odflow.inference import chunks
from odflow.inference import detector as loading
from odflow.inference.detector import Detections, shared_detector
from odflow.inference.run import detect_all


class Counting:
    """Finds as many boxes as the image's first pixel says."""

    def detect(self, image):
        time.sleep(int(image[0, 0, 0]) % 3 / 5000)
        count = int(image[0, 0, 0])
        return Detections(
            np.zeros((count, 4), np.float32), np.ones(count, np.float32), np.ones(count, np.int64)
        )


@pytest.fixture
def loads(monkeypatch):
    """Has every model be a `Counting`; gives the paths that were loaded."""
    loaded = []

    def load(path, names, trusted):
        loaded.append(path)
        time.sleep(0.05)
        return Counting()

    monkeypatch.setattr(loading, "load_detector", load)
    return loaded


def read(item):
    if item % 4 == 3:
        raise ImageError(f"{item}: cut off.")
    return np.full((item + 1, item + 2, 3), item, np.uint8)


def over_the_wire(function, values):
    """As if each value and each result went to another machine and back."""
    for value in values:
        there, sent = pickle.loads(pickle.dumps((function, value)))  # noqa: S301
        yield pickle.loads(pickle.dumps(there(sent)))  # noqa: S301


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 70), jobs=st.integers(1, 4), wire=st.booleans())
def test_every_item_gives_one_result_in_its_turn(loads, count, jobs, wire):
    spread = over_the_wire if wire else Threads(jobs).map
    found = list(detect_all(Path("model"), iter(range(count)), read, spread))
    assert [item for item, _ in found] == list(range(count))
    for item, seen in found:
        if item % 4 == 3:
            assert (seen.found, seen.error, seen.height) == (None, "cut off.", 0)
        else:
            assert (len(seen.found.scores), seen.height, seen.width) == (item, item + 1, item + 2)


def test_items_are_taken_only_as_results_are(loads):
    taken = 0

    def items():
        nonlocal taken
        for taken in range(1, 10_000):
            yield taken % 3

    found = detect_all(Path("model"), items(), read, Threads(2).map)
    for asked in range(1, 200):
        next(found)
        assert taken <= asked + 6 * chunks.CHUNK  # a chunk that is handed out, four under way, and one ahead
    found.close()


def test_no_worker_waits_where_one_chunk_ends_and_the_next_begins(loads, monkeypatch):
    """Two workers meet in every image but those of half a chunk at the begin and half a chunk at the end.

    So they are half a chunk apart, and each must begin its next chunk while the other is busy.
    """
    meeting = Barrier(2, timeout=120)
    monkeypatch.setattr(Counting, "detect", lambda self, image: image.any() and meeting.wait())
    half, count = chunks.CHUNK // 2, 8 * chunks.CHUNK
    images = [half <= number < count - half for number in range(count)]
    found = detect_all(Path("model"), images, lambda one: np.full((2, 2, 3), one, np.uint8), Threads(2).map)
    assert len(list(found)) == count


def test_a_model_is_loaded_once_for_all_threads_of_a_run(loads):
    loads.clear()
    together = Barrier(8)

    def ask(run):
        together.wait()
        return shared_detector(Path("model"), run)

    for name in ("one", "another"):
        detectors = set(Threads(8).map(ask, [name] * 8))
        assert len(detectors) == 1
    assert loads == [Path("model")] * 2
    loads.clear()
    list(detect_all(Path("other"), range(5 * chunks.CHUNK), read, Threads(3).map))
    assert loads == [Path("other")]


def test_a_model_that_cannot_be_loaded(tmp_path):
    with pytest.raises(InputError, match="no such model"):
        next(detect_all(tmp_path / "none.pb", range(100), read, Threads(2).map))


def test_a_model_that_fails_says_which_model(tmp_path):
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        small = tf.ensure_shape(image, [1, 2, 2, 3])
        for name in ("detection_boxes", "detection_scores", "detection_classes", "num_detections"):
            tf.cast(small, tf.float32, name=name)
        (tmp_path / "picky.pb").write_bytes(graph.as_graph_def().SerializeToString())
    with pytest.raises(StageError, match=r"picky\.pb: the model failed \(.*shape"):
        list(detect_all(tmp_path / "picky.pb", [4], read, map))
