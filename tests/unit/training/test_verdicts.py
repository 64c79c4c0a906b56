"""Every field that a config can set has a verdict, also where it says what is so anyway."""

import pytest
from google.protobuf import text_format
from google.protobuf.message import Message

from odflow.errors import ConfigError
from odflow.odapi.pipeline_config import set_fields
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig
from odflow.training.translation import translate

CONV = """conv_hyperparams { activation: RELU_6 batch_norm { } regularizer { l2_regularizer { } }
  initializer { truncated_normal_initializer { } } }"""
RATE = "learning_rate { constant_learning_rate { } }"
TRAIN = f"train_config {{ optimizer {{ momentum_optimizer {{ {RATE} }} use_moving_average: false }} }}"

PLAIN = f"""
model {{ ssd {{ num_classes: 2 image_resizer {{ fixed_shape_resizer {{ }} }}
  feature_extractor {{ type: "ssd_mobilenet_v1" {CONV} }}
  box_coder {{ faster_rcnn_box_coder {{ }} }} matcher {{ argmax_matcher {{ }} }}
  similarity_calculator {{ iou_similarity {{ }} }}
  anchor_generator {{ ssd_anchor_generator {{ aspect_ratios: 1.0 }} }}
  box_predictor {{ convolutional_box_predictor {{ {CONV} box_encodings_clip_range {{ }} }} }}
  loss {{ classification_loss {{ weighted_sigmoid {{ }} }} localization_loss {{ weighted_smooth_l1 {{ }} }}
    hard_example_miner {{ }} }}
  post_processing {{ batch_non_max_suppression {{ }} }} }} }}
train_config {{
  optimizer {{ rms_prop_optimizer {{ learning_rate {{ exponential_decay_learning_rate {{ }} }} }} }}
  data_augmentation_options {{ random_horizontal_flip {{ }} }}
  data_augmentation_options {{ random_crop_image {{ }} }}
  data_augmentation_options {{ ssd_random_crop {{ operations {{ }} }} }} }}
train_input_reader {{ tf_record_input_reader {{ input_path: "a" }} }}
eval_config {{ }} eval_input_reader {{ tf_record_input_reader {{ input_path: "b" }} }}
"""
PYRAMID = f"""
model {{ ssd {{ num_classes: 2 image_resizer {{ keep_aspect_ratio_resizer {{ }} }}
  feature_extractor {{ type: "ssd_resnet50_v1_fpn" fpn {{ }} {CONV} }}
  anchor_generator {{ multiscale_anchor_generator {{ }} }}
  box_predictor {{ weight_shared_convolutional_box_predictor {{ {CONV} }} }}
  loss {{ classification_loss {{ weighted_sigmoid_focal {{ }} }}
    localization_loss {{ weighted_l2 {{ }} }} }} }} }}
train_config {{ optimizer {{ adam_optimizer {{ learning_rate {{ cosine_decay_learning_rate {{ }} }} }} }} }}
"""
BIFPN = PYRAMID.replace("fpn { }", "bifpn { num_iterations: 2 num_filters: 16 }").replace(
    "ssd_resnet50_v1_fpn", "ssd_efficientnet-b0_bifpn_keras"
)
TWO_STAGES = f"""
model {{ faster_rcnn {{ num_classes: 2 number_of_stages: 3 image_resizer {{ fixed_shape_resizer {{ }} }}
  feature_extractor {{ type: "faster_rcnn_resnet50" }}
  first_stage_anchor_generator {{ grid_anchor_generator {{ scales: 1.0 aspect_ratios: 1.0 }} }}
  first_stage_box_predictor_conv_hyperparams {{ }}
  initial_crop_size: 14 maxpool_kernel_size: 2 maxpool_stride: 2
  second_stage_box_predictor {{ mask_rcnn_box_predictor {{ predict_instance_masks: true fc_hyperparams {{ }}
    {CONV} }} }}
  second_stage_post_processing {{ batch_non_max_suppression {{ }} }}
  second_stage_classification_loss {{ weighted_softmax {{ }} }} }} }}
{TRAIN} train_input_reader {{ load_instance_masks: true }}
"""
CENTERS = f"""
model {{ center_net {{ num_classes: 2 image_resizer {{ fixed_shape_resizer {{ height: 128 width: 128 }} }}
  feature_extractor {{ type: "hourglass_52" }}
  object_detection_task {{ localization_loss {{ l1_localization_loss {{ }} }} }}
  object_center_params {{ classification_loss {{ penalty_reduced_logistic_focal_loss {{ }} }} }} }} }}
{TRAIN}
"""
CONFIGS = {"plain": PLAIN, "pyramid": PYRAMID, "bifpn": BIFPN, "two stages": TWO_STAGES, "centers": CENTERS}


def set_all_to_their_defaults(message: Message) -> None:
    for field in message.DESCRIPTOR.fields:
        if not field.has_presence:
            for one in getattr(message, field.name) if field.message_type is not None else ():
                set_all_to_their_defaults(one)
        elif field.message_type is not None:
            if message.HasField(field.name):
                set_all_to_their_defaults(getattr(message, field.name))
        elif field.containing_oneof is None:
            setattr(message, field.name, getattr(message, field.name))


@pytest.mark.parametrize("kind", CONFIGS)
def test_every_field_has_a_verdict(kind):
    config = text_format.Parse(CONFIGS[kind], TrainEvalPipelineConfig())
    before = set_fields(config)
    set_all_to_their_defaults(config)
    assert len(set_fields(config)) > len(before) + 40
    _, coverage = translate(config, "a.config")
    unknown = [path for path in set_fields(config) if "does not know" in coverage.of(path).remark]
    assert unknown == []


def test_masks_that_are_to_be_learnt_must_be_read():
    config = text_format.Parse(TWO_STAGES, TrainEvalPipelineConfig())
    assert translate(config, "a.config")[0].training.reader.masks == "numerical"
    config.train_input_reader.ClearField("load_instance_masks")
    with pytest.raises(ConfigError, match=r"train_input_reader\.load_instance_masks is false; wanted: true"):
        translate(config, "a.config")
    config.model.faster_rcnn.number_of_stages = 2
    translate(config, "a.config")
