"""Images per second of `python -m odflow segmentation.records` against the usual loop's, both as commands.

Usage: python benchmarks/segmentation_records.py [--images 1500] [--data ../shared/data/coco128] [--rounds 3]

All write the same images and masks, imports included, in turn. The last line is the ratio of the
median rates of odflow and of the loop that encodes what it opened, the numbers of the masks kept.
Above it: the same where persons become 1 and all else 0, and against a loop that copies
the files' bytes and looks into none.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PEER = PROJECT / "benchmarks/segmentation_records_peer.py"
WANTED = 5
PERSON = ["--classes", "person=person", "--others", "background"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--images", type=int, default=1500, help="how many, as copies of those of --data")
    options.add_argument("--data", type=Path, default=PROJECT.parent / "shared/data/coco128")
    options.add_argument("--rounds", type=int, default=3)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder), given.data, given.images)
        seconds = {name: [] for name in commands(Path(folder))}
        for _ in range(given.rounds):
            for name, command in commands(Path(folder)).items():
                seconds[name].append(timed(command))
                print(f"{name}: {given.images / seconds[name][-1]:.0f} images/s", flush=True)
    rates = {name: given.images / statistics.median(times) for name, times in seconds.items()}
    print(f"medians: {', '.join(f'{name} {rate:.0f} images/s' for name, rate in rates.items())}")
    print(f"mapped: {rates['odflow mapped'] / rates['loop mapped']:.1f} times the loop's")
    print(f"kept: {rates['odflow'] / rates['loop copying']:.1f} times the copying loop's")
    print(f"segmentation records ratio: {rates['odflow'] / rates['loop']:.1f} (wanted >= {WANTED})")


def prepare(folder: Path, data: Path, count: int) -> None:
    """Link photographs and masks under as many names as it takes; without data, make some."""
    source = data if data.is_dir() else generated(folder / "generated")
    shutil.copyfile(source / "semantic_segmentation/config.yaml", folder / "names.yaml")
    masks = sorted((source / "semantic_segmentation/masks").glob("*/*.png"))
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for index in range(count):
        mask = masks[index % len(masks)]
        image = source / "images" / mask.parent.name / f"{mask.stem}.jpg"
        link(image, folder / "images" / f"{index:06d}.jpg")
        link(mask, folder / "masks" / f"{index:06d}.png")


def generated(folder: Path) -> Path:
    """Twenty pictures of blurred noise and their masks of discs, in the folders of coco128."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    images, masks = folder / "images/all", folder / "semantic_segmentation/masks/all"
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    y, x = np.mgrid[:480, :640]
    for index in range(20):
        noise = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8))
        noise.resize((640, 480), Image.Resampling.BICUBIC).save(images / f"{index}.jpg", quality=95)
        mask = np.zeros((480, 640), np.uint8)
        for number in range(1, 8):
            at = rng.integers(0, 480, 2)
            mask[np.hypot(y - at[0], x - at[1]) < rng.integers(20, 120)] = number
        Image.fromarray(mask).save(masks / f"{index}.png")
    names = "classes: [background, person, bicycle, car, motorcycle, airplane, bus, train]\n"
    (folder / "semantic_segmentation/config.yaml").write_text(names)
    return folder


def link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)


def commands(folder: Path) -> dict[str, list[str]]:
    images, masks = folder / "images", folder / "masks"
    ours = ["-m", "odflow", "segmentation.records", "--images", images, "--masks", masks]
    ours += ["--format", "index", "--names", folder / "names.yaml", "--out", folder / "ours"]
    loops = {
        f"loop{name}": [PEER, how, images, masks, folder / "peer.record"]
        for name, how in (("", "keep"), (" mapped", "map"), (" copying", "copy"))
    }
    return {"odflow": ours, "odflow mapped": [*ours, *PERSON], **loops}


def timed(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *command], check=True, cwd=PROJECT, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
