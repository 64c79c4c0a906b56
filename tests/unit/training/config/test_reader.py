"""The input reader and the augmentations of a config."""

import pytest
from google.protobuf import text_format

from odflow.errors import ConfigError
from odflow.odapi.protos.input_reader_pb2 import InputReader
from odflow.odapi.protos.train_pb2 import TrainConfig
from odflow.odapi.section import UNSUPPORTED, Coverage, Section
from odflow.training.config.augmentation import DEFAULT_CROPS, augmentations
from odflow.training.config.reader import read_reader
from odflow.training.settings import Augmentation, Reader


def sections(reader="", train=""):
    coverage = Coverage("x.config")
    return (
        Section(text_format.Parse(reader, InputReader()), "train_input_reader", coverage),
        Section(text_format.Parse(train, TrainConfig()), "train_config", coverage),
    )


def test_what_is_left_out_has_the_apis_defaults():
    assert read_reader(*sections()) == Reader()


def test_every_field_of_a_reader_is_read():
    text = (
        "shuffle: false shuffle_buffer_size: 5 num_readers: 4 read_block_length: 7 sample_1_of_n_examples: 3 "
    )
    text += "max_number_of_boxes: 20 load_instance_masks: true mask_type: PNG_MASKS num_keypoints: 17"
    expected = Reader(False, 5, 4, 7, 3, 20, "png", 17)
    assert read_reader(*sections(text)) == expected
    assert read_reader(*sections("load_instance_masks: true")).masks == "numerical"
    assert read_reader(*sections("mask_type: PNG_MASKS")).masks == ""


def test_the_older_field_for_the_number_of_boxes_counts_alone():
    assert read_reader(*sections("", "max_number_of_boxes: 33")).max_boxes == 33
    assert read_reader(*sections("max_number_of_boxes: 44", "max_number_of_boxes: 33")).max_boxes == 44


def test_what_is_not_read_is_told_and_other_inputs_are_refused():
    reader, train = sections("load_dense_pose: true num_epochs: 2")
    read_reader(reader, train)
    assert reader.coverage.of("train_input_reader.load_dense_pose").state == UNSUPPORTED
    assert reader.coverage.of("train_input_reader.num_epochs").state == "not applicable"
    with pytest.raises(ConfigError, match="input_type is TF_SEQUENCE_EXAMPLE; wanted: TF_EXAMPLE"):
        read_reader(*sections("input_type: TF_SEQUENCE_EXAMPLE"))


def read(option):
    _, train = sections(train=f"data_augmentation_options {{ {option} }}")
    return augmentations(train), train.coverage


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (
            "random_horizontal_flip { keypoint_flip_permutation: [1, 0] }",
            {"probability": 0.5, "keypoint_flip_permutation": (1, 0)},
        ),
        (
            "random_square_crop_by_scale {}",
            {
                "max_border": 128,
                "scale_min": pytest.approx(0.6),
                "scale_max": pytest.approx(1.3),
                "num_scales": 8,
            },
        ),
        (
            "random_absolute_pad_image { max_height_padding: 200 max_width_padding: 9 pad_color: [0, 1, 2] }",
            {"max_height_padding": 200, "max_width_padding": 9, "pad_color": (0, 1, 2)},
        ),
        ("ssd_random_crop {}", {"operations": DEFAULT_CROPS}),
    ],
)
def test_augmentations_are_read_with_their_fields(option, expected):
    (found,), _ = read(option)
    assert found == Augmentation(option.split()[0], expected)


def test_crops_of_a_fixed_aspect_ratio_keep_it():
    option = "ssd_random_crop_fixed_aspect_ratio { aspect_ratio: 1.5 operations { min_object_covered: 0.5 "
    (found,), _ = read(option + "min_area: 0.25 max_area: 1 overlap_thresh: 0.5 random_coef: 0.25 } }")
    crop = {"min_object_covered": 0.5, "min_area": 0.25, "max_area": 1.0, "overlap_thresh": 0.5}
    crop |= {"random_coef": 0.25, "clip_boxes": True, "min_aspect_ratio": 1.5, "max_aspect_ratio": 1.5}
    assert found.parameters == {"aspect_ratio": 1.5, "operations": (crop,)}
    (found,), _ = read("ssd_random_crop_fixed_aspect_ratio {}")
    assert {crop["max_aspect_ratio"] for crop in found.parameters["operations"]} == {1.0}


def test_an_augmentation_that_odflow_lacks_is_told():
    found, coverage = read("autoaugment_image {}")
    assert found == ()
    verdict = coverage.of("train_config.data_augmentation_options[0].autoaugment_image")
    assert verdict.state == UNSUPPORTED


def test_every_augmentation_that_is_read_can_be_done():
    pytest.importorskip("tensorflow")
    from odflow.training.config.augmentation import KNOWN
    from odflow.training.examples.augmentation import KINDS

    assert {*KNOWN, "ssd_random_crop", "ssd_random_crop_fixed_aspect_ratio"} == set(KINDS)
