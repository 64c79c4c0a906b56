"""Which `model.faster_rcnn` is translated, into what, and which is refused."""

import re

import pytest
from google.protobuf import text_format

from odflow.errors import ConfigError
from odflow.odapi.pipeline_config import read_pipeline_config, set_fields
from odflow.odapi.section import NOT_APPLICABLE, UNSUPPORTED, Coverage, Section
from odflow.ops.anchors import GridAnchors, MultiscaleAnchors
from odflow.training.faster_rcnn.config import read_faster_rcnn
from odflow.training.translation import translate

KEPT = "keep_aspect_ratio_resizer { min_dimension: 60 max_dimension: 120 "
INCEPTION = "mask_rcnn_inception_resnet_v2_1024x1024_coco17_gpu-8"


def samples(shared):
    found = sorted((shared / "odapi/configs").glob("*rcnn*.config"))
    assert len(found) == 11
    return found


def test_every_sample_config_is_translated_whole_or_refused_with_what_would_work(shared):
    for path in samples(shared):
        config = read_pipeline_config(path)
        if path.stem == INCEPTION:
            with pytest.raises(ConfigError, match=r"feature_extractor\.type is .* wanted: .*resnet101_keras"):
                translate(config, path.name)
            continue
        settings, coverage = translate(config, path.name)
        states = {field: coverage.of(field).state for field in set_fields(config)}
        assert {s for field, s in states.items() if field.startswith("model.")} <= {
            "honoured",
            "not applicable",
        }, path.name
        assert settings.model.num_classes == 90


def read(message):
    coverage = Coverage("a.config")
    return read_faster_rcnn(Section(message.model.faster_rcnn, "model.faster_rcnn", coverage)), coverage


@pytest.fixture
def config(shared):
    return read_pipeline_config(shared / "odapi/configs/faster_rcnn_resnet50_v1_800x1333_coco17_gpu-8.config")


@pytest.fixture
def with_pyramid(shared):
    return read_pipeline_config(
        shared / "odapi/configs/faster_rcnn_resnet50_v1_fpn_640x640_coco17_tpu-8.config"
    )


def test_values_arrive_where_they_belong(config):
    model, _ = read(config)
    assert (model.stages, model.masks, model.extractor.depth) == (2, None, 50)
    assert not model.extractor.slim
    assert not model.extractor.train_batch_norm
    assert model.anchors == GridAnchors((0.25, 0.5, 1.0, 2.0), (0.5, 1.0, 2.0))
    assert (model.crop.size, model.crop.pool_size, model.crop.pool_stride) == (14, 2, 2)
    first, second = model.first, model.second
    assert (first.filters, first.kernel_size, first.dilation, first.batch_size) == (512, 3, 1, 256)
    assert (first.suppression.max_total, first.positive_fraction, first.clip_anchors) == (300, 0.5, False)
    assert first.suppression.iou_threshold == pytest.approx(0.7)
    assert (first.localization_weight, first.objectness_weight) == (2.0, 1.0)
    assert (second.batch_size, second.positive_fraction, second.loss.kind) == (64, 0.25, "weighted_softmax")
    assert model.post_processing.score_converter == "softmax"
    assert (model.resizer.height, model.resizer.min_dimension) == (1333, 800)


def test_a_pyramid_overrides_the_backbone_only_where_the_config_says_so(with_pyramid):
    model, _ = read(with_pyramid)
    assert model.extractor.pyramid.hyperparams == model.extractor.hyperparams
    assert model.extractor.hyperparams.activation == "relu6"
    assert model.anchors == MultiscaleAnchors(2, 6, 4.0, (1.0, 2.0, 0.5), 2)
    assert (model.strides(), model.first.clip_anchors) == ([4, 8, 16, 32, 64], True)
    with_pyramid.model.faster_rcnn.feature_extractor.override_base_feature_extractor_hyperparams = False
    assert read(with_pyramid)[0].extractor.hyperparams is None


@pytest.mark.parametrize("stride", [8, 16])
def test_a_first_generation_extractor_has_its_strides(config, stride):
    extractor = config.model.faster_rcnn.feature_extractor
    extractor.type, extractor.first_stage_features_stride = "faster_rcnn_resnet101", stride
    model, _ = read(config)
    assert (model.extractor.slim, model.extractor.depth, model.strides()) == (True, 101, [stride])


MASKS = """
number_of_stages: 3
second_stage_mask_prediction_loss_weight: 4.0
second_stage_box_predictor { mask_rcnn_box_predictor {
  predict_instance_masks: true mask_height: 33 mask_width: 33 mask_prediction_conv_depth: 0
  mask_prediction_num_conv_layers: 4 } }
"""


def test_three_stages_have_masks(config, with_pyramid):
    text_format.Merge(MASKS, config.model.faster_rcnn)
    model, coverage = read(config)
    assert (model.masks.height, model.masks.filters, model.masks.convolutions) == (33, 0, 4)
    assert model.masks.weight == 4.0
    path = "model.faster_rcnn.second_stage_box_predictor.mask_rcnn_box_predictor.predict_instance_masks"
    assert coverage.of(path).state == "honoured"
    text_format.Merge(MASKS, with_pyramid.model.faster_rcnn)
    assert read(with_pyramid)[1].of(path).state == "approximated"


def test_dropout_and_shared_boxes(config):
    text = "use_dropout: true dropout_keep_probability: 0.75 share_box_across_classes: true"
    predictor = config.model.faster_rcnn.second_stage_box_predictor.mask_rcnn_box_predictor
    predictor.Clear()
    text_format.Merge(text, predictor)
    model, _ = read(config)
    assert (model.boxes.dropout, model.boxes.share_boxes) == (0.25, True)


REFUSED = {
    "context_config {}": "context_config is set; wanted: no context_config",
    "number_of_stages: 4": "number_of_stages is 4; wanted: 1, 2 or 3",
    "number_of_stages: 3": "predict_instance_masks is false; wanted: true, or number_of_stages: 2",
    "feature_extractor { type: 'faster_rcnn_nas' }": r'"faster_rcnn_nas", which .* wanted: .*_resnet101,',
    "feature_extractor { first_stage_features_stride: 8 }": "first_stage_features_stride is 8; wanted: 16",
    "first_stage_anchor_generator { multiscale_anchor_generator {} }": "wanted: grid_anchor_generator",
    "first_stage_anchor_generator { grid_anchor_generator { scales: 0 } }": r"scales is .* above 0",
    "second_stage_box_predictor { rfcn_box_predictor {} } initial_crop_size: 0": "wanted: a Faster R-CNN",
    "second_stage_box_predictor { convolutional_box_predictor {} }": "wanted: mask_rcnn_box_predictor",
    "second_stage_box_predictor { mask_rcnn_box_predictor { predict_keypoints: true } }": "predict_keypoints",
    "second_stage_box_predictor { mask_rcnn_box_predictor { box_code_size: 5 } }": "box_code_size is 5",
    "second_stage_batch_size: 301": "second_stage_batch_size is 301; wanted: at most .* 300",
    "second_stage_balance_fraction: 1.5": "second_stage_balance_fraction is 1.5; wanted: 0 to 1",
    "first_stage_max_proposals: 0": "first_stage_max_proposals is 0; wanted: at least 1",
    "maxpool_kernel_size: 20": "maxpool_kernel_size is 20; wanted: at most initial_crop_size, 14",
    "first_stage_nms_iou_threshold: -1": "first_stage_nms_iou_threshold is -1.0; wanted: 0 to 1",
}


@pytest.mark.parametrize("change", REFUSED)
def test_what_cannot_be_built_is_refused_in_one_line(config, change):
    text_format.Merge(change, config.model.faster_rcnn)
    with pytest.raises(ConfigError, match=REFUSED[change]) as caught:
        read(config)
    assert re.match(r"a\.config: model\.faster_rcnn\.", str(caught.value))
    assert "\n" not in str(caught.value)


def test_what_it_goes_on_without_is_said(config):
    text = "hard_example_miner { num_hard_examples: 10 } output_final_box_features: true"
    text += " second_stage_post_processing { batch_non_max_suppression { change_coordinate_frame: false } }"
    text_format.Merge(text, config.model.faster_rcnn)
    model, coverage = read(config)
    frame = "second_stage_post_processing.batch_non_max_suppression.change_coordinate_frame"
    assert coverage.of(f"model.faster_rcnn.{frame}").state == NOT_APPLICABLE
    assert model.post_processing.change_coordinate_frame
    for field in ("hard_example_miner.num_hard_examples", "output_final_box_features"):
        assert coverage.of(f"model.faster_rcnn.{field}").state == UNSUPPORTED


@pytest.mark.parametrize(
    ("resizer", "padded", "said"),
    [
        (f"{KEPT}}}", False, "in training, not in detection, every image is padded"),
        (f"{KEPT} pad_to_max_dimension: false }}", False, "in training, not in detection"),
        (f"{KEPT} pad_to_max_dimension: true }}", True, ""),
        ("fixed_shape_resizer { height: 60 width: 120 }", True, ""),
    ],
)
@pytest.mark.parametrize("pyramid", [False, True])
def test_detection_pads_where_the_config_says_so_or_a_pyramid_is(
    config, with_pyramid, pyramid, resizer, padded, said
):
    message = with_pyramid if pyramid else config
    message.model.faster_rcnn.ClearField("image_resizer")
    text_format.Merge(resizer, message.model.faster_rcnn.image_resizer)
    model, coverage = read(message)
    assert model.resizer.padded == (padded or pyramid)
    path = "model.faster_rcnn.image_resizer.keep_aspect_ratio_resizer.max_dimension"
    told = coverage.of(path).remark
    assert told == ("every image is padded to a square of this side" if pyramid and said else told)
    assert pyramid or told.startswith(said)
