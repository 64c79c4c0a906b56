"""What `post_processing` of a config becomes, and what it refuses."""

import pytest
from google.protobuf import text_format

from odflow.errors import ConfigError
from odflow.odapi.protos.post_processing_pb2 import PostProcessing as Message
from odflow.odapi.section import Coverage, Section
from odflow.training.config.post_processing import read_post_processing
from odflow.training.settings import PostProcessing


def read(text):
    coverage = Coverage("pipeline.config")
    section = Section(text_format.Parse(text, Message()), "model.ssd.post_processing", coverage)
    return read_post_processing(section), coverage


def test_nothing_said_means_the_api_s_defaults():
    found, _ = read("")
    assert found == PostProcessing(0.0, pytest.approx(0.6), 100, 100, score_converter="identity")


def test_everything_said_is_read():
    found, coverage = read(
        """batch_non_max_suppression {
             score_threshold: 0.25 iou_threshold: 0.5 max_detections_per_class: 7 max_total_detections: 9
             use_class_agnostic_nms: true soft_nms_sigma: 0.5 change_coordinate_frame: false }
           score_converter: SOFTMAX logit_scale: 2.0"""
    )
    assert found == PostProcessing(0.25, 0.5, 7, 9, "softmax", 2.0, True, 0.5, False)
    path = "model.ssd.post_processing.batch_non_max_suppression"
    assert coverage.of(f"{path}.soft_nms_sigma").state == "honoured"
    assert coverage.of("model.ssd.post_processing.logit_scale").state == "honoured"


@pytest.mark.parametrize(
    ("field", "state"),
    [
        ("use_static_shapes", "honoured"),
        ("use_hard_nms", "honoured"),
        ("use_partitioned_nms", "approximated"),
        ("use_combined_nms", "approximated"),
    ],
)
def test_implementations_of_the_suppression(field, state):
    _, coverage = read(f"batch_non_max_suppression {{ {field}: true }}")
    assert coverage.of(f"model.ssd.post_processing.batch_non_max_suppression.{field}").state == state


def test_calibration_is_told_of():
    _, coverage = read("calibration_config { sigmoid_calibration {} }")
    assert coverage.of("model.ssd.post_processing.calibration_config").state == "unsupported"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("max_detections_per_class: 101", "max_detections_per_class is 101; wanted: at most max_total"),
        ("iou_threshold: 1.5", "iou_threshold is 1.5; wanted: 0 to 1"),
        ("soft_nms_sigma: -1", "soft_nms_sigma is -1.0; wanted: at least 0"),
        ("use_class_agnostic_nms: true max_classes_per_detection: 2", "max_classes_per_detection is 2"),
        ("use_class_agnostic_nms: true use_combined_nms: true", "use_combined_nms is true"),
        ("use_static_shapes: true soft_nms_sigma: 1", "use_static_shapes is true"),
        ("max_total_detections: 0", "max_total_detections is 0"),
    ],
)
def test_what_the_api_refuses_is_refused(text, told):
    with pytest.raises(ConfigError, match=told):
        read(f"batch_non_max_suppression {{ {text} }}")
