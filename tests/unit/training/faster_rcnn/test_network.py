"""The network: what its variables are called, what fills them, what comes out."""

import dataclasses
import re

import numpy as np
import pytest

from odflow.training.settings import Resizer, Settings

tf = pytest.importorskip("tensorflow")
import tf_keras  # noqa: E402

from odflow.odapi.checkpoint import read_checkpoint  # noqa: E402
from odflow.training.checkpoints import fill, variables_by_name  # noqa: E402
from odflow.training.examples.augmentation import Sample  # noqa: E402
from odflow.training.faster_rcnn.architecture import FasterRcnn  # noqa: E402
from odflow.training.faster_rcnn.proposals import propose  # noqa: E402
from odflow.training.layers.convolutions import Convolutions  # noqa: E402
from odflow.training.layers.resnet_v1 import ResNetV1  # noqa: E402
from odflow.training.loop.frozen_variables import trained_names  # noqa: E402

FIRST, SECOND = "_first_stage_box_predictor", "_mask_rcnn_box_predictor"
CONVOLVED, MASKED = f"{FIRST}/_prediction_heads", f"{SECOND}/_third_stage_heads/mask_predictions"
HEADS = {
    f"{FIRST}_first_conv/layer_with_weights-0",
    f"{CONVOLVED}/box_encodings/0/_box_encoder_layers/0",
    f"{CONVOLVED}/class_predictions_with_background/0/_class_predictor_layers/0",
    f"{SECOND}/_box_prediction_head/_box_encoder_layers/1",
    f"{SECOND}/_class_prediction_head/_class_predictor_layers/1",
    f"{MASKED}/_mask_predictor_layers/0",
    f"{MASKED}/_mask_predictor_layers/3",
}
"""The API's names, by its attributes; a layer that does nothing counts in a list of layers."""


def leaves(names):
    found = {}
    for name in names:
        layer, _, leaf = name.removeprefix("model/").rpartition("/")
        found.setdefault(layer, set()).add(leaf)
    return found


def test_variables_are_called_as_in_the_api_s_checkpoints(settings, few_units):
    found = leaves(variables_by_name(FasterRcnn(settings).build()))
    backbone = {name for name in found if name.startswith("_feature_extractor")}
    assert found.keys() - backbone == HEADS
    assert all(found[name] == {"kernel", "bias"} for name in HEADS)
    layers = {(*re.fullmatch(r"(\w+)/layer_with_weights-(\d+)", name).groups(),) for name in backbone}
    first, second = (
        "_feature_extractor_for_proposal_features",
        "_feature_extractor_for_box_classifier_features",
    )
    # A convolution and a batch norm for conv1 and for the four of each stage's one unit.
    assert layers == {(first, str(i)) for i in range(2 + 3 * 8)} | {(second, str(i)) for i in range(8)}


FIRST_BOX, FIRST_CLASS = (
    f"FirstStageBoxPredictor/Convolutional{kind}Head_0/{layer}/kernel"
    for kind, layer in (("Box", "BoxEncodingPredictor"), ("Class", "ClassPredictor"))
)
PYRAMID = "model/_feature_extractor_for_proposal_features/"
NAMES = {
    False: {
        f"{PYRAMID}layer_with_weights-0/kernel": "conv1_conv/kernel",
        "model/_feature_extractor_for_box_classifier_features/layer_with_weights-1/gamma": (
            "conv5_block1_1_bn/gamma"
        ),
    },
    True: {
        f"{PYRAMID}coarse_feature_layers/0/0/kernel": "private__resnet_fpn/bottom_up_block5_conv/kernel",
        f"{PYRAMID}fpn_features_generator/top_layers/0/bias": (
            "private__resnet_fpn/FeatureMaps/top_down/projection_3/bias"
        ),
        f"{PYRAMID}fpn_features_generator/conv_layers/0/1/beta": (
            "private__resnet_fpn/FeatureMaps/top_down/smoothing_2_batchnorm/beta"
        ),
        "model/_feature_extractor_for_box_classifier_features/layer_with_weights-0/kernel": "dense/kernel",
        "model/_feature_extractor_for_box_classifier_features/layer_with_weights-2/kernel": "dense_1/kernel",
        f"model/{CONVOLVED}/box_encodings/1/_box_encoder_layers/0/kernel": FIRST_BOX.replace("_0", "_1"),
    },
}
"""Key to name as the API's own code has them, without and with a pyramid."""
BOTH = {
    f"model/{FIRST}_first_conv/layer_with_weights-0/kernel": "RPNConv/kernel",
    f"model/{CONVOLVED}/box_encodings/0/_box_encoder_layers/0/kernel": FIRST_BOX,
    f"model/{CONVOLVED}/class_predictions_with_background/0/_class_predictor_layers/0/kernel": FIRST_CLASS,
    f"model/{SECOND}/_box_prediction_head/_box_encoder_layers/1/bias": (
        "mask_rcnn_keras_box_predictor/mask_rcnn_box_head/BoxEncodingPredictor_dense/bias"
    ),
    f"model/{SECOND}/_class_prediction_head/_class_predictor_layers/1/kernel": (
        "mask_rcnn_keras_box_predictor/mask_rcnn_class_head/ClassPredictor_dense/kernel"
    ),
    f"model/{MASKED}/_mask_predictor_layers/3/bias": (
        "mask_rcnn_keras_box_predictor/mask_rcnn_mask_head/MaskPredictor_last_conv2d/bias"
    ),
}


@pytest.mark.parametrize("pyramid", [False, True])
def test_names_that_patterns_match_are_the_api_s_whatever_was_built_before(
    model, pyramid_model, training, few_units, pyramid
):
    kind = FasterRcnn(Settings(pyramid_model if pyramid else model, training))
    for _ in range(2):
        named = {key: variable.name for key, variable in variables_by_name(kind.build()).items()}
        wanted = BOTH | NAMES[pyramid]
        assert {key: named[key] for key in wanted} == {key: f"{name}:0" for key, name in wanted.items()}
        assert len(set(named.values())) == len(named)


@pytest.mark.parametrize(
    ("pattern", "frozen"),
    [
        ("FirstStageBoxPredictor", "_first_stage_box_predictor/"),
        ("RPN", "_first_stage_box_predictor_first_conv/"),
        ("mask_rcnn_keras_box_predictor", "_mask_rcnn_box_predictor/"),
        ("mask_rcnn_keras_box_predictor/mask_rcnn_mask_head", "_mask_rcnn_box_predictor/_third_stage_heads/"),
        ("conv5_", "_feature_extractor_for_box_classifier_features/"),
        ("(conv[1-4]_)", "_feature_extractor_for_proposal_features/"),
    ],
)
def test_a_pattern_freezes_the_part_that_it_names(settings, few_units, pattern, frozen):
    kind = FasterRcnn(settings)
    names = {key: [variable.name] for key, variable in variables_by_name(kind.build()).items()}
    trained = trained_names(names, dataclasses.replace(settings.training, freeze_variables=(pattern,)))
    assert set(names) - set(trained) == {key for key in names if key.startswith(f"model/{frozen}")}


def test_a_dropout_that_drops_nothing_counts_in_checkpoints_as_in_the_api(settings, few_units):
    boxes = dataclasses.replace(settings.model.boxes, dropout=0.0)
    model = dataclasses.replace(settings.model, boxes=boxes)
    names = variables_by_name(FasterRcnn(dataclasses.replace(settings, model=model)).build())
    assert f"model/{SECOND}/_box_prediction_head/_box_encoder_layers/2/kernel" in names


def test_a_pyramid_s_variables_are_those_of_its_attributes(pyramid_model, training, few_units):
    names = variables_by_name(FasterRcnn(Settings(pyramid_model, training)).build())
    inside = "model/_feature_extractor_for_proposal_features/"
    parts = {name.removeprefix(inside).split("/")[0] for name in names if name.startswith(inside)}
    assert parts == {"classification_backbone", "fpn_features_generator", "coarse_feature_layers"}
    assert f"{inside}coarse_feature_layers/0/0/kernel" in names
    assert f"{inside}classification_backbone/layer_with_weights-0/kernel" in names
    dense = "model/_feature_extractor_for_box_classifier_features/layer_with_weights-"
    assert {names[f"{dense}{i}/kernel"].shape[1] for i in (0, 2)} == {1024}


@pytest.mark.parametrize("pyramid", [False, True])
def test_a_classifier_fills_the_whole_backbone(model, pyramid_model, training, few_units, tmp_path, pyramid):
    kind = FasterRcnn(Settings(pyramid_model if pyramid else model, training))
    network = kind.build()
    inputs = tf_keras.Input([None, None, 3])
    extractor = kind.model.extractor
    resnet = ResNetV1(Convolutions(extractor.hyperparams), depth_multiplier=extractor.depth_multiplier)
    classifier = tf_keras.Model(inputs, resnet.stages(inputs))
    for i, variable in enumerate(classifier.variables):
        variable.assign(tf.fill(variable.shape, float(i)))
    prefix = tf.train.Checkpoint(model=classifier).save(str(tmp_path / "ckpt"))
    report = fill(network, read_checkpoint(tmp_path), kind.parts, "classification")
    assert prefix
    backbone = [name for name in variables_by_name(network) if name.startswith(kind.parts.backbone)]
    assert sorted(report.loaded) == sorted(backbone)
    by_shape = sorted(float(np.ravel(variables_by_name(network)[name])[0]) for name in backbone)
    assert by_shape == [float(i) for i in range(len(classifier.variables))]


def test_another_number_of_classes_keeps_all_but_the_last_layers(settings, few_units, tmp_path):
    kind = FasterRcnn(settings)
    tf.train.Checkpoint(model=kind.build()).save(str(tmp_path / "ckpt"))
    other = FasterRcnn(
        dataclasses.replace(settings, model=dataclasses.replace(settings.model, num_classes=5))
    )
    report = fill(other.build(), read_checkpoint(tmp_path), other.parts, "full")
    assert {name.split("/")[2] for name in report.left} == {
        "_box_prediction_head",
        "_class_prediction_head",
        "_third_stage_heads",
    }


@pytest.mark.parametrize("slim_stride", [0, 8, 16])
@pytest.mark.parametrize("size", [(60, 120), (120, 60), (90, 97), (33, 200), (96, 96)])
def test_a_picture_that_is_not_padded_is_detected_in_as_by_a_detector_of_its_size(
    model, training, few_units, size, slim_stride
):
    """The oracle: a fixed_shape_resizer that makes pictures just as large."""
    from odflow.training.settings import Resizer

    if slim_stride:
        extractor = dataclasses.replace(model.extractor, slim=True, stride=slim_stride)
        anchors = dataclasses.replace(model.anchors, stride=(slim_stride, slim_stride))
        model = dataclasses.replace(model, extractor=extractor, anchors=anchors)
    scale = min(96 / min(size), 128 / max(size))
    fitting = Resizer(*(round(side * scale) for side in size))
    free, fixed = (
        FasterRcnn(Settings(dataclasses.replace(model, resizer=resizer), training))
        for resizer in (Resizer(128, 128, 96, padded=False), fitting)
    )
    network = free.build()
    images = tf.cast(tf.random.uniform([2, *size, 3], maxval=256, dtype=tf.int32, seed=3), tf.uint8)
    # Both one by one: in a graph rounding may differ, and decide what a crop holds at the border.
    found, wanted = free.detect(network, images), fixed.detect(network, images)
    assert set(found) == set(wanted)
    for name in wanted:
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-4, err_msg=name)


def test_a_graph_takes_pictures_of_any_size_without_padding_them(model, training, few_units):
    from odflow.training.settings import Resizer

    kind = FasterRcnn(
        Settings(dataclasses.replace(model, resizer=Resizer(128, 128, 96, padded=False)), training)
    )
    network = kind.build()
    any_size = [tf.TensorSpec([None, None, None, 3], tf.uint8)]
    detect = tf.function(lambda images: kind.detect(network, images), any_size, autograph=False)
    for shape in ([2, 60, 120, 3], [1, 120, 60, 3], [1, 400, 300, 3], [3, 7, 9, 3]):
        found = detect(tf.zeros(shape, tf.uint8))
        assert found["detection_boxes"].shape == [shape[0], 10, 4]
        assert found["detection_masks"].shape == [shape[0], 10, 15, 13]


@pytest.mark.parametrize("pyramid", [False, True])
@pytest.mark.parametrize("stages", [1, 2, 3])
def test_what_comes_out_has_the_api_s_names_shapes_and_types(
    model, pyramid_model, training, few_units, pyramid, stages
):
    chosen = dataclasses.replace(pyramid_model if pyramid else model, stages=stages)
    chosen = dataclasses.replace(chosen, masks=chosen.masks if stages == 3 else None)
    kind = FasterRcnn(Settings(chosen, training))
    images = tf.random.uniform([2, 50, 70, 3], maxval=256, dtype=tf.int32)
    found = kind.detect(kind.build(), tf.cast(images, tf.uint8))
    most = 20 if stages == 1 else 10
    shapes = {
        "detection_boxes": (2, most, 4),
        "detection_scores": (2, most),
        "detection_classes": (2, most),
        "num_detections": (2,),
    }
    if stages > 1:
        shapes |= {
            "detection_multiclass_scores": (2, 10, 3),
            "detection_anchor_indices": (2, 10),
            "raw_detection_boxes": (2, 20, 4),
            "raw_detection_scores": (2, 20, 3),
        }
    if stages == 3:
        shapes |= {"detection_masks": (2, 10, 15, 13)}
    assert {name: tuple(value.shape) for name, value in found.items()} == shapes
    assert {value.dtype for value in found.values()} == {tf.float32}
    boxes = found["detection_boxes"].numpy()
    assert boxes.min() >= 0.0
    assert boxes.max() <= 1.0
    assert (boxes[..., 2:] >= boxes[..., :2]).all()


def test_statistics_stand_still_unless_the_config_trains_them(settings, few_units):
    still = dataclasses.replace(settings.model.extractor, train_batch_norm=False)
    for extractor in (still, settings.model.extractor):
        model = dataclasses.replace(settings.model, extractor=extractor, stages=1, masks=None)
        network = FasterRcnn(Settings(model, settings.training)).build()
        name = "model/_feature_extractor_for_proposal_features/layer_with_weights-1/moving_mean"
        before = variables_by_name(network)[name].numpy()
        network.propose(tf.random.uniform([1, 64, 64, 3]) * 100.0, training=True)
        after = variables_by_name(network)[name].numpy()
        assert np.array_equal(before, after) is (extractor is still)


def test_dropout_moves_the_dense_layer_along_its_list(settings, few_units):
    boxes = dataclasses.replace(settings.model.boxes, dropout=0.5)
    model = dataclasses.replace(settings.model, boxes=boxes)
    network = FasterRcnn(Settings(model, settings.training)).build()
    name = "model/_mask_rcnn_box_predictor/_class_prediction_head/_class_predictor_layers/2/kernel"
    assert name in variables_by_name(network)
    crops = tf.random.uniform([3, 7, 7, 128])
    first, again = (network.classify(crops, training=True)[2].numpy() for _ in range(2))
    assert not np.allclose(first, again)
    assert np.allclose(network.classify(crops)[2], network.classify(crops)[2])


@pytest.mark.parametrize("levels", [(2, 4), (3, 5), (4, 6)])
def test_a_pyramid_may_end_before_the_backbone_does(pyramid_model, training, few_units, levels):
    pyramid = dataclasses.replace(pyramid_model.extractor.pyramid, min_level=levels[0], max_level=levels[1])
    model = dataclasses.replace(
        pyramid_model,
        stages=1,
        masks=None,
        extractor=dataclasses.replace(pyramid_model.extractor, pyramid=pyramid),
        anchors=dataclasses.replace(pyramid_model.anchors, min_level=levels[0], max_level=levels[1]),
    )
    maps, _, _ = FasterRcnn(Settings(model, training)).build().propose(tf.zeros([1, 128, 128, 3]))
    assert [map_.shape[1] for map_ in maps] == [128 // 2**level for level in range(levels[0], levels[1] + 1)]


def test_it_computes_in_16_bits(settings, few_units):
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        kind = FasterRcnn(settings)
        network = kind.build()
        found = kind.detect(network, tf.zeros([1, 96, 128, 3], tf.uint8))
    finally:
        tf_keras.mixed_precision.set_global_policy(before)
    assert {value.dtype for value in found.values()} == {tf.float32}
    assert {variable.dtype for variable in network.variables} == {tf.float32}


def test_mask_channels_lie_between_features_and_classes():
    from odflow.training.faster_rcnn.heads import _filters

    assert _filters(2048, 90) == 256  # as the sample configs' masks have it


def test_masks_can_be_enlarged_after_the_convolutions(settings, few_units):
    # The features of a crop are 4 cells a side.
    masks = dataclasses.replace(settings.model.masks, height=16, width=12, upsample_last=True)
    model = dataclasses.replace(settings.model, masks=masks)
    network = FasterRcnn(Settings(model, settings.training)).build()
    crops = tf.random.uniform([3, 7, 7, 128])
    assert network.masks(crops, network.classify(crops)[0]).shape == (3, 2, 16, 12)


def test_a_first_generation_checkpoint_fills_everything(settings, tmp_path):
    """TF-Slim's names of a whole Faster R-CNN, each with a value of its own."""
    extractor = dataclasses.replace(settings.model.extractor, slim=True)
    model = dataclasses.replace(settings.model, extractor=extractor, stages=2, masks=None)
    kind = FasterRcnn(Settings(model, settings.training))
    network = kind.build()
    inputs = tf_keras.Input([None, None, 3])
    resnet = ResNetV1(Convolutions(extractor.hyperparams), depth_multiplier=0.125, slim=True)
    slim = {}
    for layer in tf_keras.Model(inputs, resnet.stages(inputs)).layers:
        for variable in layer.weights:
            slim[_slim_name(layer.name, variable.name)] = variable.shape
    for scope, layer in {
        "Conv": network._first_stage_box_predictor_first_conv.layers[0],
        "FirstStageBoxPredictor/BoxEncodingPredictor": _only(network, "box_encodings"),
        "FirstStageBoxPredictor/ClassPredictor": _only(network, "class_predictions_with_background"),
        "SecondStageBoxPredictor/BoxEncodingPredictor": network._mask_rcnn_box_predictor._box_prediction_head,
        "SecondStageBoxPredictor/ClassPredictor": network._mask_rcnn_box_predictor._class_prediction_head,
    }.items():
        slim[f"{scope}/weights"], slim[f"{scope}/biases"] = (variable.shape for variable in layer.weights)
    values = [tf.fill(shape, float(i)) for i, shape in enumerate(slim.values())]
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "model.ckpt"),
        tensor_names=list(slim),
        shape_and_slices=[""] * len(slim),
        tensors=values,
    )
    report = fill(network, read_checkpoint(tmp_path / "model.ckpt"), kind.parts, "full")
    assert (len(report.loaded), report.left, report.unused) == (len(slim), {}, ())
    held = {float(np.ravel(variable)[0]): variable.shape for variable in network.variables}
    assert held == {float(i): shape for i, shape in enumerate(slim.values())}
    stem = network._feature_extractor_for_proposal_features.get_layer("conv3_block4_2_conv").kernel
    name = "FirstStageFeatureExtractor/resnet_v1_50/block2/unit_4/bottleneck_v1/conv2/weights"
    assert float(np.ravel(stem)[0]) == list(slim).index(name)


def _slim_name(layer, variable):
    """What TF-Slim calls a variable of Keras's layer (conv4_block2_1_conv, conv4_block2_1_bn)."""
    scope = "conv1"
    if match := re.match(r"conv(\d)_block(\d+)_(\d)_", layer):
        stage, unit, number = match.groups()
        inside = "shortcut" if number == "0" else f"conv{number}"
        scope = f"block{int(stage) - 1}/unit_{unit}/bottleneck_v1/{inside}"
    around = "Second" if layer.startswith("conv5") else "First"
    leaf = re.search(r"(\w+):0$", variable)[1]
    leaf = "weights" if leaf == "kernel" else f"BatchNorm/{leaf}"
    return f"{around}StageFeatureExtractor/resnet_v1_50/{scope}/{leaf}"


def _only(network, kind):
    (head,) = network._first_stage_box_predictor._prediction_heads[kind]
    return head


def test_training_and_detection_clip_proposals_to_the_picture_inside_the_padded_input(
    settings, few_units, monkeypatch
):
    windows = []

    def recording(*args):
        windows.append(np.broadcast_to(args[4], [len(args[0]), 4]))
        return propose(*args)

    monkeypatch.setattr("odflow.training.faster_rcnn.architecture.propose", recording)
    model = dataclasses.replace(settings.model, resizer=Resizer(96, 96, 96), stages=2, masks=None)
    kind = FasterRcnn(Settings(model, settings.training))
    network, heights = kind.build(), (48, 96, 30)
    network_inputs, labels = [], []
    for height in heights:
        box = tf.constant([[0.1, 0.1, 0.9, 0.9]])
        image = tf.zeros([height, 96, 3], tf.uint8)
        one, label = kind.targets(Sample(image, box, tf.constant([1]), tf.constant([1.0]), None))
        network_inputs.append(one)
        labels.append(label)
    batch = {name: tf.stack([label[name] for label in labels]) for name in labels[0]}
    boxes = kind.forward(network, tf.stack(network_inputs), batch)["proposals"]["boxes"].numpy()
    assert windows.pop().tolist() == [[0.0, 0.0, height, 96.0] for height in heights]
    assert (boxes[..., 2].max(axis=1) <= heights).all()
    for height in heights:
        kind.detect(network, tf.zeros([2, height, 96, 3], tf.uint8))
        assert windows.pop().tolist() == [[0.0, 0.0, height, 96.0]] * 2
