"""What a plain SSD's config says of anchors and predictor, and how it is told when it cannot be."""

import numpy as np
import pytest
from google.protobuf import text_format

from odflow.errors import ConfigError
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig
from odflow.odapi.section import APPROXIMATED, HONOURED, Coverage, Section
from odflow.ops.anchors import SsdAnchors
from odflow.training.ssd.config import read_ssd
from odflow.training.ssd.settings import ConvolutionalPredictor

CONFIG = """
model { ssd {
  num_classes: 3
  image_resizer { fixed_shape_resizer { height: 300 width: 300 } }
  feature_extractor { type: "ssd_mobilenet_v2" depth_multiplier: 0.5 min_depth: 16 use_depthwise: true
    conv_hyperparams { activation: RELU_6 batch_norm { decay: 0.9997 epsilon: 0.001 } } }
  box_coder { faster_rcnn_box_coder { y_scale: 10.0 x_scale: 10.0 height_scale: 5.0 width_scale: 5.0 } }
  matcher { argmax_matcher { } }
  similarity_calculator { iou_similarity { } }
  anchor_generator { ssd_anchor_generator { num_layers: 6 aspect_ratios: 1.0 aspect_ratios: 2.0 } }
  box_predictor { convolutional_box_predictor { min_depth: 8 max_depth: 64 num_layers_before_predictor: 1
    use_dropout: false kernel_size: 3 use_depthwise: true class_prediction_bias_init: -2.0
    conv_hyperparams { activation: RELU_6 } } }
  loss { classification_loss { weighted_sigmoid { } } localization_loss { weighted_smooth_l1 { } } }
  post_processing { batch_non_max_suppression { } score_converter: SIGMOID }
} }
"""

ANCHORS = "ssd_anchor_generator { num_layers: 6 aspect_ratios: 1.0 aspect_ratios: 2.0 }"


def read(text=CONFIG):
    config = text_format.Parse(text, TrainEvalPipelineConfig())
    coverage = Coverage("plain.config")
    return read_ssd(Section(config, "", coverage).section("model").section("ssd")), coverage


def with_anchors(fields):
    assert ANCHORS in CONFIG
    return CONFIG.replace(ANCHORS, f"ssd_anchor_generator {{ aspect_ratios: 1.0 {fields} }}")


def test_the_predictors_fields():
    model, _ = read()
    predictor = model.predictor
    assert isinstance(predictor, ConvolutionalPredictor)
    assert (predictor.convolutions, predictor.min_depth, predictor.max_depth) == (1, 8, 64)
    assert (predictor.kernel_size, predictor.separable, predictor.dropout) == (3, True, None)
    assert predictor.class_bias == -2.0
    assert predictor.hyperparams.batch_norm is None


def test_dropout_is_on_where_a_config_says_nothing_as_in_the_api():
    model, _ = read(CONFIG.replace("use_dropout: false", ""))
    assert model.predictor.dropout == pytest.approx(0.2)


def test_scales_are_spread_evenly_over_the_maps():
    model, _ = read()
    assert isinstance(model.anchors, SsdAnchors)
    np.testing.assert_allclose(model.anchors.scales, [0.2, 0.35, 0.5, 0.65, 0.8, 0.95], rtol=1e-6)
    assert model.anchors.per_level == (3, 3, 3, 3, 3, 3)
    places = sum(side * side for side in (19, 10, 5, 3, 2, 1))
    assert model.anchor_boxes().shape == (3 * places, 4)


def test_every_field_of_the_generator_counts():
    fields = """num_layers: 6 scales: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6] interpolated_scale_aspect_ratio: 0
        reduce_boxes_in_lowest_layer: false base_anchor_height: 0.5 base_anchor_width: 2.0
        height_stride: [16, 32, 64, 100, 150, 300] width_stride: [16, 32, 64, 100, 150, 300]
        height_offset: [8, 16, 32, 50, 75, 150] width_offset: [1, 2, 3, 4, 5, 6]"""
    model, coverage = read(with_anchors(fields))
    anchors = model.anchors
    np.testing.assert_allclose(anchors.scales, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], rtol=1e-6)
    assert anchors.per_level == (1,) * 6
    assert anchors.base_size == (0.5, 2.0)
    assert anchors.strides[2] == (64, 64)
    assert anchors.offsets[5] == (150, 6)
    path = "model.ssd.anchor_generator.ssd_anchor_generator"
    assert coverage.of(f"{path}.width_offset").state == coverage.of(f"{path}.scales").state == "honoured"


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        ("num_layers: 5", r"num_layers is 5; wanted: 6, the feature maps of ssd_mobilenet_v2"),
        ("scales: [0.1, 0.2]", r"num_layers is 2; wanted: 6"),
        ("height_stride: 16 width_stride: 16", r"height_stride is 1; wanted: 6"),
        ("height_stride: [1, 2, 3, 4, 5, 6]", r"height_stride is 6; wanted: 6 and as many width_stride"),
        ("aspect_ratios: -2", r"aspect_ratios is -2\.0; wanted: numbers above 0"),
    ],
)
def test_anchors_that_do_not_fit_are_told(fields, wanted):
    with pytest.raises(ConfigError, match=wanted):
        read(with_anchors(fields))


@pytest.mark.parametrize(
    ("old", "new", "wanted"),
    [
        ("min_depth: 8", "min_depth: 80", r"min_depth is 80; wanted: at most max_depth, 64"),
        ("kernel_size: 3", "kernel_size: 1", r"kernel_size is 1; wanted: more than 1 with use_depthwise"),
        ("use_dropout: false", "apply_sigmoid_to_scores: true", r"wanted: false, and post_processing"),
        ('type: "ssd_mobilenet_v2"', 'type: "ssd_inception_v2"', r'type is "ssd_inception_v2", .*; wanted: '),
        ("use_depthwise: true\n", "use_depthwise: true fpn { }\n", r"wanted: no feature pyramid"),
        (ANCHORS, "grid_anchor_generator { }", r"grid_anchor_generator.*wanted: .*ssd_anchor_generator"),
    ],
)
def test_what_cannot_be_built_is_told(old, new, wanted):
    assert old in CONFIG
    with pytest.raises(ConfigError, match=wanted):
        read(CONFIG.replace(old, new, 1))


@pytest.mark.parametrize(
    ("trainable", "freeze", "frozen", "state"),
    [
        ("true", "false", False, HONOURED),
        ("false", "false", True, APPROXIMATED),
        ("false", "true", True, HONOURED),
        ("true", "true", True, HONOURED),
    ],
)
def test_the_first_zoo_froze_batch_norms_in_the_extractor(trainable, freeze, frozen, state):
    text = CONFIG.replace("feature_extractor {", f"feature_extractor {{ batch_norm_trainable: {trainable}", 1)
    model, coverage = read(text.replace("num_classes: 3", f"num_classes: 3 freeze_batchnorm: {freeze}"))
    assert model.freeze_batch_norm is frozen
    assert coverage.of("model.ssd.feature_extractor.batch_norm_trainable").state == state
