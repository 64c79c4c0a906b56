"""Images per second of the real training loop against the bare train step on one batch kept in memory.

Usage: python benchmarks/train_step.py [--rounds 6] [--steps 8] [--data ../shared/data/bccd/BCCD]

The loop is `fit` on records of the photographs, shuffled, decoded and augmented as the config says;
the bare step is forward, backward and update alone. Both train the 320x320 MobileNet v2 FPN-lite at
batch 8, in turn, in one process. The first steps of each turn do not count: they build the graph,
and use up what was read ahead while the other had its turn. The last line is the ratio of the
medians.
"""

import argparse
import dataclasses
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
SHARED = PROJECT.parent / "shared"
CONFIG = SHARED / "odapi/configs/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.config"
BATCH = 8
UNCOUNTED = 3
WANTED = 0.93


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=6)
    options.add_argument(
        "--steps", type=int, default=8, help=f"of a turn; the first {UNCOUNTED} do not count"
    )
    options.add_argument("--data", type=Path, default=SHARED / "data/bccd/BCCD")
    given = options.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with tempfile.TemporaryDirectory() as folder:
        records = write_records(given.data, Path(folder))
        print(f"{records.stat().st_size / 1e6:.0f} MB of records", flush=True)
        steps = {"loop": real_loop(records, Path(folder)), "bare": bare_step(records)}
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(given.rounds):
            for name, step in steps.items():
                times = [timed(step) for _ in range(given.steps)][UNCOUNTED:]
                seconds[name] += times
                print(f"{name}: {BATCH / statistics.median(times):.2f} images/s", flush=True)
    rates = {name: BATCH / statistics.median(times) for name, times in seconds.items()}
    print(f"medians: {', '.join(f'{name} {rate:.2f} images/s' for name, rate in rates.items())}")
    print(f"train step ratio: {rates['loop'] / rates['bare']:.3f} (wanted >= {WANTED})")


def write_records(data: Path, folder: Path) -> Path:
    """The photographs and boxes as records."""
    label_map = PROJECT / "label_maps/bccd.pbtxt"
    boxes = ["--format", "voc", "--annotations", data / "Annotations", "--images", data / "JPEGImages"]
    stage("import", *boxes, "--out", folder / "import")
    table = ["--detections", folder / "import/annotations.csv", "--images", data / "JPEGImages"]
    stage("records", *table, "--label-map", label_map, "--out", folder / "records")
    return folder / "records/records/data.record"


def stage(*words: Any) -> None:
    subprocess.run([sys.executable, "-m", "odflow", *map(str, words)], check=True, cwd=PROJECT)


def settings() -> Any:
    """The sample config with three classes."""
    from odflow.odapi.assignment import set_field
    from odflow.odapi.pipeline_config import read_pipeline_config
    from odflow.training.translation import translate

    config = read_pipeline_config(CONFIG)
    for path, value in {
        "model.ssd.num_classes": 3,
        "train_config.batch_size": BATCH,
        "train_config.num_steps": 1_000_000,
    }.items():
        set_field(config, path, value)
    found, _ = translate(config, CONFIG.name)
    # The config's rate is for 128 images a step and pretrained weights.
    rate = dataclasses.replace(found.training.optimizer.learning_rate, kind="constant", base=1e-3)
    optimizer = dataclasses.replace(found.training.optimizer, learning_rate=rate)
    return dataclasses.replace(found, training=dataclasses.replace(found.training, optimizer=optimizer))


def real_loop(records: Path, folder: Path) -> Callable[[], object]:
    from odflow.training.loop.fitting import fit
    from odflow.training.loop.run_options import Data, Folders, Options

    trained = folder / "trained"
    trained.mkdir()
    steps = fit(settings(), Data([str(records)]), Folders(folder / "scratch", trained), Options())
    return lambda: next(steps)


def bare_step(records: Path) -> Callable[[], object]:
    import tensorflow as tf

    from odflow.training.architecture import architecture
    from odflow.training.loop.batches import training_batches
    from odflow.training.loop.optimizers import build_optimizer
    from odflow.training.loop.train_step import TOTAL, TrainStep

    kind = architecture(settings())
    network = kind.build()
    optimizer = build_optimizer(kind.settings.training.optimizer)
    step = tf.function(TrainStep(kind, network, optimizer, network.trainable_variables), autograph=False)
    inputs, labels = next(iter(training_batches([str(records)], kind, 1)))
    return lambda: step(inputs, labels)[TOTAL].numpy()


def timed(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
