"""Peak memory of reading 40,000 persons through the training input over that of 4,000.

    python benchmarks/pose_memory.py [--few 4000] [--many 40000] [--annotations FLIC/examples.mat]

The persons are FLIC's, the images generated at FLIC's 720x480 pixels, a few under all its names;
without the annotations the joints are random. They become records as `pose.import` and
`pose.records` write them, and batches of whole images and 60x90x10 maps as `pose.train` reads
them, shuffled, each number of them in a process of its own. For the greater number the files of
records are there as often as it takes; no file is kept in memory.
"""

import argparse
import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

PROJECT = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT = 720, 480
BATCH = 16
IMAGES = 50
LIMIT, WANTED = 2000, 1.10


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--annotations", type=Path, default=PROJECT.parent / "shared/data/flic/examples.mat")
    options.add_argument("--few", type=int, default=4000)
    options.add_argument("--many", type=int, default=40000)
    options.add_argument(
        "--read", type=Path, help="only read a folder of records, as this script does itself"
    )
    given = options.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if given.read:
        read(given.read)
        return
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder) / "few", Path(folder) / "many"
        write_records(Path(folder), few, given)
        repeat(few, many, given.many // given.few)
        peaks = {path: megabytes(path) for path in (few, many)}
    for path, count in ((few, given.few), (many, given.many // given.few * given.few)):
        print(f"{peaks[path]:.0f} MB at {count} examples (wanted < {LIMIT})")
    print(f"pose memory ratio: {peaks[many] / peaks[few]:.3f} (wanted < {WANTED})")


def write_records(scratch: Path, target: Path, given) -> None:
    """Records of as many persons as `--few` says."""
    table, images = scratch / "persons.csv", scratch / "images"
    import_persons(scratch, table, given)
    link_images(images, table, scratch)
    stage("pose.records", "--keypoints", table, "--images", images, "--skeleton", "flic", "--out", scratch)
    (scratch / "records").rename(target)


def import_persons(scratch: Path, table: Path, given) -> None:
    """The table of the first persons; of random ones where there are no annotations."""
    import pandas as pd

    from odflow.formats.keypoints import joint_columns
    from odflow.heads.pose.skeleton import read_skeleton

    if given.annotations.is_file():
        stage("pose.import", "--format", "flic", "--annotations", given.annotations, "--out", scratch)
        persons = pd.read_csv(scratch / "keypoints.csv").head(given.few)
    else:
        print(f"{given.annotations} is not there: random joints", flush=True)
        joints = np.random.default_rng(0).uniform(0, [WIDTH, HEIGHT, 2], (given.few, 10, 3))
        joints[..., 2] = 2
        columns = [column for joint in read_skeleton("flic").joints for column in joint_columns(joint)]
        persons = pd.DataFrame(joints.reshape(given.few, 30), columns=columns)
        names = [f"{number:06d}.jpg" for number in range(given.few)]
        persons = persons.assign(filename=names, person=0, width=WIDTH, height=HEIGHT)
    if len(persons) < given.few:
        sys.exit(
            f"{given.annotations}: {len(persons)} persons; wanted {given.few}. Give --few a smaller number."
        )
    persons.to_csv(table, index=False)


def link_images(folder: Path, table: Path, scratch: Path) -> None:
    """A few images of forms and grain, 50 to 100 kB as FLIC's are, under the names of the table."""
    import pandas as pd
    from PIL import Image

    rng = np.random.default_rng(0)
    kept = []
    for number in range(IMAGES):
        forms = Image.fromarray(rng.integers(0, 256, (HEIGHT // 40, WIDTH // 40, 3)).astype(np.uint8))
        smooth = np.asarray(forms.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
        grained = np.clip(smooth + rng.normal(0, 7, (HEIGHT, WIDTH, 1)), 0, 255).astype(np.uint8)
        file = io.BytesIO()
        Image.fromarray(grained).save(file, "JPEG", quality=85)
        kept.append(scratch / f"{number}.jpg")
        kept[-1].write_bytes(file.getvalue())
    folder.mkdir()
    for number, name in enumerate(pd.read_csv(table)["filename"].unique()):
        (folder / name).hardlink_to(kept[number % IMAGES])


def repeat(few: Path, many: Path, times: int) -> None:
    """Give every file of records so many names."""
    many.mkdir()
    for file in sorted(few.iterdir()):
        for number in range(times):
            (many / f"{number:03d}_{file.name}").hardlink_to(file)


def megabytes(records: Path) -> float:
    """Read records in a process of its own and tell the peak of its resident memory."""
    command = [sys.executable, str(Path(__file__).resolve()), "--read", str(records)]
    process = subprocess.Popen(command, cwd=PROJECT)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        sys.exit(f"failed: {' '.join(command)}")
    return usage.ru_maxrss / 1024


def read(records: Path) -> None:
    """Every example once, as training reads them."""
    from odflow.formats.tfrecord import record_files, record_spans
    from odflow.heads.pose.architecture import Pose, PoseSettings
    from odflow.heads.pose.settings import Crop, Heatmaps, PoseModel
    from odflow.heads.pose.skeleton import read_skeleton
    from odflow.training.loop.batches import training_batches
    from odflow.training.settings import LearningRate, Optimizer, Training

    crop, maps = Crop(HEIGHT, WIDTH, whole=True), Heatmaps(HEIGHT // 8, WIDTH // 8, kernel="binomial")
    # No network is built; this one would be the smallest for these maps.
    model = PoseModel(read_skeleton("flic"), crop, maps, channels=4, order=1)
    optimizer = Optimizer("adam", LearningRate("constant", 1e-3))
    kind = Pose(PoseSettings(model, Training(BATCH, 0, optimizer)))
    files = record_files(records)
    count = sum(1 for file in files for _ in record_spans(file))
    for _ in training_batches([str(file) for file in files], kind, 0).take(count // BATCH):
        pass


def stage(*words) -> None:
    subprocess.run([sys.executable, "-m", "odflow", *map(str, words)], check=True, cwd=PROJECT)


if __name__ == "__main__":
    main()
