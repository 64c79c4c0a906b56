"""The peer of `odflow detect`: one image at a time through one session, as scripts of 2018 do it.

    python benchmarks/detect_peer.py MODEL LABEL_MAP IMAGES_FOLDER CSV MIN_SCORE

It is written for tf.compat.v1, reads *.jpg with Pillow straight into an array, and prints
the seconds from the first image to the last.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image


def read_names(label_map: Path) -> dict[int, str]:
    items = re.findall(r"item\s*\{(.*?)\}", label_map.read_text(), re.DOTALL)
    names = {}
    for item in items:
        name = re.search(r'display_name:\s*"(.*?)"', item) or re.search(r'name:\s*[\'"](.*?)[\'"]', item)
        names[int(re.search(r"id:\s*(\d+)", item)[1])] = name[1]
    return names


def main(model: Path, label_map: Path, images: Path, detections: Path, min_score: float) -> None:
    names = read_names(label_map)
    graph = tf.Graph()
    with graph.as_default():
        graph_def = tf.compat.v1.GraphDef()
        graph_def.ParseFromString(model.read_bytes())
        tf.import_graph_def(graph_def, name="")
    outputs = ["detection_boxes", "detection_scores", "detection_classes", "num_detections"]
    tensors = [graph.get_tensor_by_name(f"{name}:0") for name in outputs]
    image_tensor = graph.get_tensor_by_name("image_tensor:0")
    paths = sorted(images.glob("*.jpg"))
    with detections.open("w") as file, tf.compat.v1.Session(graph=graph) as session:
        file.write("filename,width,height,class,score,xmin,ymin,xmax,ymax\n")
        begin = time.perf_counter()
        for path in paths:
            image = Image.open(path).convert("RGB")
            width, height = image.size
            feed = {image_tensor: np.expand_dims(np.asarray(image), axis=0)}
            boxes, scores, classes, number = session.run(tensors, feed_dict=feed)
            boxes, scores, classes = (
                np.squeeze(boxes),
                np.squeeze(scores),
                np.squeeze(classes).astype(np.int32),
            )
            for index in range(int(number[0])):
                if scores[index] > min_score:
                    ymin, xmin, ymax, xmax = boxes[index].tolist()
                    name = names.get(int(classes[index]), "N/A")
                    corners = map(int, (xmin * width, ymin * height, xmax * width, ymax * height))
                    row = (path.name, width, height, name, scores[index], *corners)
                    file.write("{},{},{},{},{:.6f},{},{},{},{}\n".format(*row))
    print(f"{time.perf_counter() - begin:.3f}")


if __name__ == "__main__":
    model, label_map, images, detections = map(Path, sys.argv[1:5])
    main(model, label_map, images, detections, float(sys.argv[5]))
