"""Examples per second of the pose head's training input against the usual per-joint loop.

Usage: python benchmarks/pose_input.py [--rounds 5] [--seconds 4] [--images 32] [--rotation 0]

Both read the same records (generated photographs of 1280x720 pixels and persons of MPII's 16
joints and sizes), crop to 256x256, draw 64x64 maps and batch by 16, each in one `tf.data` map
with AUTOTUNE; they take turns. `pose input ratio` is that of the median rates, `pose heatmap
ratio` that of drawing the maps alone, from joints in memory.
"""

import argparse
import io
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from odflow.formats.example import encode_example
from odflow.formats.tfrecord import write_records

BATCH = 16
WIDTH, HEIGHT = 1280, 720
WANTED = {"input": 10, "heatmap": 50}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=4, help="of a turn, after one that does not count")
    options.add_argument("--images", type=int, default=32)
    options.add_argument("--rotation", type=float, default=0, help="degrees either way; the peer cannot turn")
    given = options.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as folder:
        records = Path(folder) / "persons.record"
        persons = list(generated_persons(given.images))
        write_records(records, persons)
        print(f"{given.images} images, {records.stat().st_size / 1e6:.1f} MB", flush=True)
        contests = {
            "input": input_contest(str(records), given.rotation),
            "heatmap": heatmap_contest(persons),
        }
        for name, contest in contests.items():
            race(name, contest, given.rounds, given.seconds)


def generated_persons(count):
    """Examples of persons as large in their images as MPII's: bodies of 300 to 900 pixels."""
    from odflow.heads.pose.skeleton import read_skeleton

    names = [name.encode() for name in read_skeleton("mpii").joints]
    rng = np.random.default_rng(0)
    for _ in range(count):
        scale = rng.uniform(1.5, 4.5)
        spread = np.array([0.25, 0.45]) * scale * 200
        middle = np.array([WIDTH, HEIGHT]) * rng.uniform(0.35, 0.65, 2)
        joints = middle + rng.uniform(-1, 1, (len(names), 2)) * spread
        shares = (np.clip(joints, 1, [WIDTH - 1, HEIGHT - 1]) / [WIDTH, HEIGHT]).astype(np.float32)
        yield encode_example(
            {
                "image/encoded": [photograph(rng)],
                "image/height": np.array([HEIGHT]),
                "image/width": np.array([WIDTH]),
                "image/object/scale": np.float32([scale]),
                "image/object/keypoint/x": shares[:, 0].copy(),
                "image/object/keypoint/y": shares[:, 1].copy(),
                "image/object/keypoint/visibility": np.full(len(names), 2),
                "image/object/keypoint/text": names,
            }
        )


def photograph(rng) -> bytes:
    """A JPEG of large forms and fine grain with the bytes of a photograph, about 290 kB."""
    from PIL import Image

    forms = Image.fromarray(rng.integers(0, 256, (HEIGHT // 40, WIDTH // 40, 3)).astype(np.uint8))
    smooth = np.asarray(forms.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    grain = rng.normal(0, 9, (HEIGHT, WIDTH, 1))
    file = io.BytesIO()
    Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()


def input_contest(records, rotation):
    """Datasets of batches, endless: ours, and the peer's."""
    import pose_input_peer as peer
    import tensorflow as tf

    from odflow.heads.pose.inputs import PoseInputs
    from odflow.heads.pose.settings import Crop, PoseModel
    from odflow.heads.pose.skeleton import read_skeleton

    inputs = PoseInputs(PoseModel(read_skeleton("mpii"), Crop(rotation=rotation)))

    def example(position, serialized):
        return inputs(serialized, tf.stack([tf.constant(0, tf.int64), position]), True)

    examples = tf.data.TFRecordDataset(records).repeat()
    return {"odflow": batches(examples.enumerate(), example), "peer": batches(examples, peer.example)}


def heatmap_contest(persons):
    """As `input_contest`, but from joints in cells to maps alone."""
    import pose_input_peer as peer
    import tensorflow as tf

    from odflow.formats.example import decode_example
    from odflow.heads.pose.settings import Heatmaps
    from odflow.heads.pose.targets import Targets

    features = [decode_example(person) for person in persons]
    shares = [np.stack([one[f"image/object/keypoint/{axis}"] for axis in "xy"], 1) for one in features]
    cells = np.stack(shares).astype(np.float32) * peer.CELLS
    joints = np.concatenate([cells, np.full_like(cells[..., :1], 2)], 2)
    columns = (*cells.astype(np.int32).transpose(2, 0, 1), joints[..., 2])
    return {
        "odflow": batches(tf.data.Dataset.from_tensor_slices(joints).repeat(), Targets(Heatmaps())),
        "peer": batches(tf.data.Dataset.from_tensor_slices(columns).repeat(), peer.heatmaps),
    }


def batches(examples, function):
    import tensorflow as tf

    made = examples.map(function, num_parallel_calls=tf.data.AUTOTUNE)
    return made.batch(BATCH).prefetch(tf.data.AUTOTUNE)


def race(name, contest, rounds, seconds) -> None:
    rates = {who: [] for who in contest}
    for _ in range(rounds):
        for who, dataset in contest.items():
            found, work = rate(dataset, seconds)
            rates[who].append(found)
            print(f"{name}, {who}: {found:.1f} examples/s, {work:.2f} ms of CPU each", flush=True)
    medians = {who: statistics.median(found) for who, found in rates.items()}
    print(
        f"medians of {name}: {', '.join(f'{who} {found:.1f} examples/s' for who, found in medians.items())}"
    )
    print(f"pose {name} ratio: {medians['odflow'] / medians['peer']:.1f} (wanted >= {WANTED[name]})")


def rate(dataset, seconds: float) -> tuple[float, float]:
    """Examples per second and milliseconds of CPU per example.

    After as many seconds in which buffers fill and AUTOTUNE finds its way.
    """
    iterator = iter(dataset)
    for _ in range(2):
        start, work, count = time.perf_counter(), time.process_time(), 0
        while time.perf_counter() - start < seconds:
            next(iterator)
            count += BATCH
        elapsed, work = time.perf_counter() - start, time.process_time() - work
    return count / elapsed, work / count * 1000


if __name__ == "__main__":
    main()
