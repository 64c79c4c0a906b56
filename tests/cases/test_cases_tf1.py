"""The API's TensorFlow 1 families: each computes what the API's own code computed, or is refused in one line.

The reference (see its README) is of weights that are drawn by a formula, so that a checkpoint can
be made here. Detections are compared as sets: the order of near-equal scores differs between processors.
"""

import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest

from odflow.cli import main
from odflow.errors import ConfigError

CLOSE = 1e-4
"""Greatest difference of a score, or of a side as a share of the picture."""

REFUSED = {
    "faster_rcnn_inception_resnet_v2": "faster_rcnn_resnet101",
    "faster_rcnn_inception_v2": "faster_rcnn_resnet50",
    "mask_rcnn_inception_v2": "faster_rcnn_resnet50",
    "ssd_inception_v2": "ssd_mobilenet_v2",
    "ssd_inception_v2_half": "ssd_mobilenet_v2",
    "ssd_inception_v3": "ssd_mobilenet_v2",
    "ssd_mobilenet_v1_ppn": "ssd_mobilenet_v1 with a convolutional_box_predictor",
    "ssdlite_mobiledet_cpu": "ssd_mobilenet_v2",
    "ssdlite_mobilenet_v3_large": "ssd_mobilenet_v2",
    "ssdlite_mobilenet_v3_small": "ssd_mobilenet_v2",
}
"""Families that odflow does not build, to what the error must name instead."""

SINGLE_SHOT = [
    "ssd_mobilenet_v1",
    "ssd_mobilenet_v2",
    "ssdlite_mobilenet_v2",
    "ssd_mobilenet_v1_fpn",
    "ssd_resnet50_v1_fpn",
]

TWO_STAGES = [
    "faster_rcnn_resnet50",
    "faster_rcnn_resnet50_pad",
    "faster_rcnn_resnet50_fixed",
    "faster_rcnn_resnet50_atrous",
    "mask_rcnn_resnet50_atrous",
]


@pytest.fixture(scope="session")
def families(shared):
    folder = shared / "parity/tf1"
    if not folder.is_dir():
        pytest.skip("needs the reference of the API's TensorFlow 1 families")
    return folder


def drawn(name, shape, seed=0):
    """A variable's values, by the formula of the reference."""
    rng, last = np.random.default_rng(zlib.crc32(name.encode()) + seed), name.rpartition("/")[2]
    if last == "gamma":
        low, high = (0.2, 0.4) if name.endswith("conv3/BatchNorm/gamma") else (0.8, 1.2)
        values = rng.uniform(low, high, shape)
    elif last in ("beta", "moving_mean", "biases"):
        values = rng.normal(0, 0.1, shape)
    elif last == "moving_variance":
        values = rng.uniform(0.6, 1.6, shape)
    else:
        sources = shape[:2] if last == "depthwise_weights" else shape[:-1]
        values = rng.normal(0, np.sqrt(2 / np.prod(sources)), shape)
    return values.astype(np.float32)


def variables(folder):
    """Name to array of everything that a family's checkpoint holds."""
    changed = json.loads((folder / "about.json").read_text())["rescaled"]
    found = {}
    for line in (folder / "variables.txt").read_text().splitlines():
        name, _, shape = line.partition(" ")
        seed, factor = changed.get(name, (0, 1.0))
        values = drawn(name, tuple(map(int, re.findall(r"\d+", shape))), 0 if seed == "added" else seed)
        factor = np.float32(factor)
        found[name] = values + factor if seed == "added" else values * factor
    return found


def written(arrays, prefix):
    """A checkpoint as TensorFlow 1's Saver writes it."""
    tf = pytest.importorskip("tensorflow")
    tf.raw_ops.SaveV2(
        prefix=str(prefix),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=[tf.constant(array) for array in arrays.values()],
    )
    return prefix


class Imported:
    """A family's detector with its weights, and what the API computed with the same ones."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        from odflow.odapi.checkpoint import read_checkpoint
        from odflow.odapi.pipeline_config import read_pipeline_config
        from odflow.training.checkpoints import fill
        from odflow.training.detector import detector_architecture
        from odflow.training.translation import translate

        settings, _ = translate(read_pipeline_config(folder / "pipeline.config"), "pipeline.config")
        self.kind = detector_architecture(settings)
        self.network = self.kind.build()
        checkpoint = written(variables(folder), scratch / "model.ckpt")
        self.report = fill(self.network, read_checkpoint(checkpoint), self.kind.parts, "full")
        for file in scratch.glob("model.ckpt*"):  # a hundred megabytes
            file.unlink()
        self.reference = np.load(folder / "reference.npz")
        about = json.loads((folder / "about.json").read_text())
        self.strides = {name: one["stride"] for name, one in about["strided"].items()}
        self.border = set(about.get("border", {}).get("rows", []))

    def detections(self):
        import tensorflow as tf

        found = self.kind.detect(self.network, tf.constant(self.reference["image"]))
        return {name: value.numpy() for name, value in found.items()}

    def wanted(self, name):
        return self.reference[f"det:detection_{name}"][0]

    def assert_close(self, name, found, atol):
        """The raw numbers in their order, of which the reference may hold every so many."""
        found = np.asarray(found).ravel()[:: self.strides.get(name, 1)]
        np.testing.assert_allclose(found, self.reference[name].ravel(), atol=atol, err_msg=name)

    def partners(self, found):
        """For each detection of the API odflow's nearest of its class, and how far it is."""
        boxes, scores, classes = (found[f"detection_{name}"][0] for name in ("boxes", "scores", "classes"))
        for box, score, kind in zip(*map(self.wanted, ("boxes", "scores", "classes")), strict=True):
            far = np.maximum(np.abs(boxes - box).max(axis=1), np.abs(scores - score))
            far = np.where(classes == kind, far, np.inf)
            yield int(far.argmin()), float(far.min())


def test_cases_each_family_is_imported_or_refused(families):
    known = {folder.name for folder in families.iterdir() if folder.is_dir()}
    told = {*REFUSED, *SINGLE_SHOT, *TWO_STAGES}
    assert len(told) == 20
    assert told <= known


@pytest.mark.parametrize("family", REFUSED)
def test_cases_a_family_that_is_not_built_is_refused_in_one_line(families, family):
    from odflow.odapi.pipeline_config import read_pipeline_config
    from odflow.training.translation import translate

    with pytest.raises(ConfigError, match=r"feature_extractor\.type is .*does not build") as error:
        translate(read_pipeline_config(families / family / "pipeline.config"), "pipeline.config")
    assert "\n" not in str(error.value)
    assert f"wanted: {REFUSED[family]}, which comes nearest" in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize("family", SINGLE_SHOT)
def test_cases_a_single_shot_detector_computes_what_the_api_computed(families, family, tmp_path):
    import tensorflow as tf

    imported = Imported(families / family, tmp_path)
    assert not imported.report.left
    assert not imported.report.unused
    inputs, _ = imported.kind.preprocess(tf.constant(imported.reference["image"]))
    maps, encodings, logits = imported.network(inputs)
    imported.assert_close("preprocessed", inputs, 1e-4)
    for level, each in enumerate(maps):
        imported.assert_close(f"pred:feature_maps:{level}", each, 5e-4)
    imported.assert_close("pred:box_encodings", encodings, 1e-4)
    imported.assert_close("pred:class_predictions_with_background", logits, 2e-4)
    far = [distance for _, distance in imported.partners(imported.detections())]
    assert len(far) == 15
    assert max(far) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("family", TWO_STAGES)
def test_cases_a_two_stage_detector_computes_what_the_api_computed(families, family, tmp_path):
    from odflow.training.faster_rcnn.targets import resize

    imported = Imported(families / family, tmp_path)
    assert not imported.report.left
    assert not imported.report.unused
    padded = imported.kind.model.resizer.padded
    inputs, _ = resize(imported.reference["image"], imported.kind.model, padded=padded)
    _, encodings, logits = imported.network.propose(inputs)
    imported.assert_close("preprocessed", inputs, 1e-3)
    imported.assert_close("pred:rpn_box_encodings", encodings, 1e-3)
    imported.assert_close("pred:rpn_objectness_predictions_with_background", logits, 1e-3)
    found = imported.detections()
    partners = list(imported.partners(found))
    far = [distance for row, (_, distance) in enumerate(partners) if row not in imported.border]
    assert len(far) >= 14
    assert max(far) < CLOSE
    if imported.kind.model.masks:
        _assert_masks(imported, found, [row for row, _ in partners])


def _assert_masks(imported, found, rows):
    masks = found["detection_masks"][0][rows].ravel()[:: imported.strides["det:detection_masks"]]
    wanted = imported.reference["det:detection_masks"].ravel()
    cells = (
        np.arange(len(wanted))
        * imported.strides["det:detection_masks"]
        // np.prod(found["detection_masks"].shape[2:])
    )
    kept = ~np.isin(cells, list(imported.border))
    np.testing.assert_allclose(masks[kept], wanted[kept], atol=1e-3)


@pytest.fixture
def five_classes(tmp_path):
    path = tmp_path / "five.pbtxt"
    path.write_text("".join(f"item {{ id: {i} name: 'c{i}' }}\n" for i in range(1, 6)))
    return path


def imports(folder, checkpoint, label_map, config=None):
    """Run the stage; its exit code."""
    return main(
        [
            "odapi.import-checkpoint",
            f"--checkpoint={checkpoint}",
            f"--label-map={label_map}",
            f"--pipeline-config={config or folder / 'pipeline.config'}",
            f"--out={checkpoint.parent / 'out'}",
        ]
    )


@pytest.mark.slow
def test_cases_an_import_without_its_mask_head_is_an_error_and_not_silent(
    families, five_classes, tmp_path, capsys
):
    folder = families / "mask_rcnn_resnet50_atrous"
    arrays = {
        name: one for name, one in variables(folder).items() if "SecondStageBoxPredictor/Conv" not in name
    }
    assert imports(folder, written(arrays, tmp_path / "model.ckpt"), five_classes) == 2
    told = capsys.readouterr().err
    assert "8 of the network's 283 variables would stay at their random first values" in told
    assert "_mask_predictor_layers/0/bias: not in the checkpoint" in told
    assert "allow_partial: true" in told
    assert not (tmp_path / "out/trained").exists()


@pytest.mark.slow
def test_cases_a_graph_without_its_mask_head_does_not_look_like_what_is_asked_for(
    families, five_classes, tmp_path, capsys
):
    import tensorflow as tf

    folder = families / "mask_rcnn_resnet50_atrous"
    with tf.Graph().as_default() as graph:
        for name, array in variables(folder).items():
            # The exporter prunes what nothing uses.
            if not re.search("SecondStageBoxPredictor/Conv|FirstStageFeatureExtractor/.*/block4/", name):
                tf.constant(array, name=name)
    (tmp_path / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    flags = [f"--graph={tmp_path / 'graph.pb'}", f"--label-map={five_classes}", f"--out={tmp_path / 'out'}"]
    assert main(["odapi.from-frozen", *flags, f"--pipeline-config={folder / 'pipeline.config'}"]) == 2
    told = capsys.readouterr().err
    assert "8 of the 283 weights of the config's network are not in it" in told
    assert "looks like" not in told
    assert "Give the config" not in told


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wanted", "having", "said"),
    [
        (True, True, "129 of those loaded are moving averages, 70 have none"),
        (False, True, "not the moving averages that 129 of them have"),
        (True, False, "and the checkpoint holds none"),
    ],
)
def test_cases_moving_averages_are_imported_as_the_api_exports_them_and_not_silently(
    families, five_classes, tmp_path, capsys, wanted, having, said
):
    from odflow.odapi.checkpoint import read_checkpoint

    folder = families / "ssd_mobilenet_v1"
    arrays = variables(folder)
    trained = [name for name in arrays if having and "/moving_" not in name]
    averages = {f"{name}/ExponentialMovingAverage": arrays[name] + 1 for name in trained}
    config = tmp_path / "pipeline.config"
    text = (folder / "pipeline.config").read_text()
    assert text.count("eval_config: {") == 1
    asked = f"eval_config: {{ use_moving_averages: {str(wanted).lower()}"
    config.write_text(text.replace("eval_config: {", asked))
    checkpoint = written(arrays | averages, tmp_path / "model.ckpt-7")
    assert imports(folder, checkpoint, five_classes, config) == 0
    assert said in capsys.readouterr().out
    found = read_checkpoint(tmp_path / "out/trained")
    report = json.loads((tmp_path / "out/trained/import.json").read_text())
    assert (report["averages"], report["averaged"]) == (len(trained), wanted)
    kernel = arrays["FeatureExtractor/MobilenetV1/Conv2d_0/weights"] + (wanted and having)
    name = "model/_feature_extractor/classification_backbone/layer_with_weights-0/kernel"
    np.testing.assert_array_equal(found[name], kernel)


@pytest.mark.slow
def test_cases_a_graph_s_own_config_is_never_blamed(families, five_classes, tmp_path):
    """The graph: an export of odflow's with TensorFlow 1's constants beside it, which are what is read."""
    import tensorflow as tf

    from odflow.errors import InputError
    from odflow.training.detector import detector_architecture
    from odflow.training.export.graphs import Detector, write_frozen_graph
    from odflow.training.frozen_import import compare_with_graph
    from odflow.training.trained_folder import Imported as Described

    folder = families / "faster_rcnn_resnet50"
    imported, file = Imported(folder, tmp_path), tmp_path / "graph.pb"
    write_frozen_graph(Detector(imported.network, imported.kind), file)
    graph = tf.compat.v1.GraphDef.FromString(file.read_bytes())
    with tf.Graph().as_default() as constants:
        for name, array in variables(folder).items():
            tf.constant(array, name=name)
    graph.node.extend(constants.as_graph_def().node)
    file.write_bytes(graph.SerializeToString())
    own = folder / "pipeline.config"
    flags = [f"--graph={file}", f"--label-map={five_classes}", f"--out={tmp_path / 'out'}"]
    assert main(["odapi.from-frozen", *flags, f"--pipeline-config={own}"]) == 0

    other = tmp_path / "other.config"
    other.write_text(own.read_text().replace("scales: [0.25, ", "scales: [0.35, "))
    kind = detector_architecture(Described(other, five_classes).settings())
    with pytest.raises(InputError, match="does not detect what it detects") as error:
        compare_with_graph(kind, imported.network, file, other)
    assert "Either the config is not the one it was exported with" in str(error.value)
    assert "looks like" not in str(error.value)
