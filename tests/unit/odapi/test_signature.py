"""What weights look like, with Keras's own applications as the models that are not ours."""

import pytest

from odflow.odapi.signature import looks_like


def shapes_of(model):
    """Names as a checkpoint of the classifier alone has them."""
    layers = [layer for layer in model.layers if layer.weights]
    return {
        f"feature_extractor/layer_with_weights-{number}/{weight.name.rpartition('/')[2][:-2]}": tuple(
            weight.shape
        )
        for number, layer in enumerate(layers)
        for weight in layer.weights
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "wanted"),
    [
        ("MobileNet", {"alpha": 1.0}, "MobileNet v1, depth multiplier 1"),
        ("MobileNet", {"alpha": 0.25, "include_top": False}, "MobileNet v1, depth multiplier 0.25"),
        ("MobileNetV2", {"alpha": 1.4}, "MobileNet v2, depth multiplier 1.4"),
        ("MobileNetV2", {"alpha": 0.35, "include_top": False}, "MobileNet v2, depth multiplier 0.35"),
        ("ResNet50", {}, "ResNet 50"),
        ("ResNet101", {"include_top": False}, "ResNet 101"),
        ("ResNet152", {}, "ResNet 152"),
        ("EfficientNetB0", {}, "EfficientNet B0"),
        ("EfficientNetB3", {"include_top": False}, "EfficientNet B3"),
    ],
)
def test_a_classifier_is_known_by_its_shapes(name, options, wanted):
    tf_keras = pytest.importorskip("tf_keras")
    model = getattr(tf_keras.applications, name)(weights=None, **options)
    assert looks_like(shapes_of(model)) == f"a classifier, {wanted}"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("models/ssd_mobilenet_v2_fpnlite_320", "SSD with MobileNet v2, depth multiplier 1"),
        ("models/ssd_mobilenet_v1_coco", "SSD with MobileNet v1, depth multiplier 0.75"),
    ],
)
def test_real_detectors_are_known(path, wanted, shared):
    from odflow.odapi.checkpoint import read_checkpoint

    assert looks_like(read_checkpoint(shared / path).shapes) == wanted


def test_the_kind_of_detector_is_known_by_names():
    assert looks_like({"model/_feature_extractor_for_proposal_features/a": ()}) == "Faster R-CNN"
    hourglass = {"model/_feature_extractor/_network/hourglass_network/0/kernel": (3, 3, 3, 128)}
    assert looks_like(hourglass | {"model/_prediction_head_dict/b": ()}) == "CenterNet with Hourglass"


def test_what_nobody_knows_is_told_by_how_its_names_begin():
    found = looks_like({"my/scope/conv/w": (3, 3, 3, 8), "my/scope/conv/b": (8,), "other": ()})
    assert found == "none that odflow knows (its names begin with my/scope, other)"


@pytest.mark.parametrize("blocks", [13, 12, 11, 9, 6])
@pytest.mark.parametrize("multiplier", [1.0, 0.5, 0.25])
def test_a_mobilenet_v1_that_ends_early_keeps_its_multiplier(blocks, multiplier):
    """The exporter prunes what nothing uses, such as the last block under a pooling pyramid."""
    widths = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    root = "model/_feature_extractor/classification_backbone/layer_with_weights-"
    seen = int(32 * multiplier)
    shapes = {f"{root}0/kernel": (3, 3, 3, seen)}
    for block, width in enumerate(widths[:blocks], start=1):
        channels = int(width * multiplier)
        shapes[f"{root}{4 * block - 2}/depthwise_kernel"] = (3, 3, seen, 1)
        shapes[f"{root}{4 * block}/kernel"] = (1, 1, seen, channels)
        seen = channels
    assert looks_like(shapes).endswith(f"MobileNet v1, depth multiplier {multiplier:.2g}")
