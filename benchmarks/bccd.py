"""Train the blood cells of BCCD from scratch: minutes, and AP50 on the test side.

The last line reads ``bccd AP50: 0.830 (wanted >= 0.70) in 290 s (wanted <= 480)``.
Needs the data set's folder: python benchmarks/bccd.py [BCCD]
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent


def main() -> None:
    bccd = sys.argv[1] if len(sys.argv) > 1 else "../shared/data/bccd/BCCD"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "odflow", "run", "pipelines/bccd.yaml"]
        command += ["--set", f"params.bccd={bccd}", "--workdir", f"{folder}/runs"]
        began = time.perf_counter()
        subprocess.run(command, cwd=PROJECT, env=os.environ | {"ODFLOW_STORE": f"{folder}/store"}, check=True)
        seconds = time.perf_counter() - began
        metrics = json.loads(Path(folder, "runs/evaluate/metrics.json").read_text())
    ap50 = metrics["DetectionBoxes_Precision/mAP@.50IOU"]
    print(f"bccd AP50: {ap50:.3f} (wanted >= 0.70) in {seconds:.0f} s (wanted <= 480)")


if __name__ == "__main__":
    main()
