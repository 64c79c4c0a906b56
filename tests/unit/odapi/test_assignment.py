import pytest

from odflow.errors import ConfigError
from odflow.odapi.assignment import set_field
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig


def test_a_path_sets_its_field_and_makes_the_messages_on_the_way():
    config = TrainEvalPipelineConfig()
    set_field(config, "train_config.batch_size", 8)
    set_field(config, "train_input_reader.tf_record_input_reader.input_path", "a.record")
    set_field(config, "eval_input_reader[0].label_map_path", "x.pbtxt")
    set_field(config, "eval_input_reader[1].shuffle", False)
    assert config.train_config.batch_size == 8
    assert list(config.train_input_reader.tf_record_input_reader.input_path) == ["a.record"]
    assert [reader.label_map_path for reader in config.eval_input_reader] == ["x.pbtxt", ""]


def test_a_list_is_replaced_not_added_to():
    config = TrainEvalPipelineConfig()
    for name in ("a.record", "b.record"):
        set_field(config, "train_input_reader.tf_record_input_reader.input_path", name)
    assert list(config.train_input_reader.tf_record_input_reader.input_path) == ["b.record"]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("train_config.batch_sise", 8, 'no field of TrainConfig. Did you mean "batch_size"'),
        ("train_config.batch_size", "eight", "does not fit"),
        ("train_config.batch_size.x", 8, "it has no fields"),
        ("eval_input_reader[3].shuffle", True, "beyond the 0 there are"),
        ("train_config.batch_size[1]", 3, "is no list"),
        ("train_config.freeze_variables[1]", "a", r"freeze_variables\[1\] is beyond the 0"),
        ("model.ssd.post_processing.score_converter", "SIGMOD", "does not fit"),
        ("train_config.optimizer", "{ adam_optimiser {} }", 'does not fit .*Did you mean "adam_optimizer"'),
        ("train_config.batch_size", "8 sync_replicas: true", "it sets more than one field"),
        ("train_config.batch_size", "8\nsync_replicas: true", "it sets more than one field"),
        ("train_config.optimizer", "{ } batch_size: 3", "it sets more than one field"),
        ("train_config.freeze_variables", ["a", 7], "7 is no text. Put it in quotes"),
        ("train_config.fine_tune_checkpoint", False, "False is no text. Put it in quotes"),
        ("train_config.fine_tune_checkpoint", "C:\tensorflow1", r"'C:\\tensorflow1' .*it holds a tab"),
        ("train_config.fine_tune_checkpoint", "a\nb", "it holds a line end"),
        ("train_config.fine_tune_checkpoint", "a\ud800", "does not fit"),
        ("train_config.batch_size", 10**30, "wanted: a whole number from 0 to 4294967295"),
        ("train_config.batch_size", "9" * 6000, "wanted: a whole number from 0 to 4294967295"),
        ("train_config.bias_grad_multiplier", 1e300, "at most 3.4e38"),
        ("train_config.batch_size[99999999999999999999]", 3, "is no field of TrainConfig"),
        ("eval_config.super_categories.x", "a", "super_categories is a map; give it whole"),
        ("eval_config.super_categories[0]", "a", "super_categories is a map; give it whole"),
        ("train_config.optimizer", "{" * 5000, "does not fit"),
        ("", 1, '"" is no field'),
        ("a\n.b", 1, r'"a\\n" is no field'),
        ("\ud800", 1, "is no field"),
    ],
)
def test_a_wrong_path_or_value_is_told(path, value, message):
    with pytest.raises(ConfigError, match=message):
        set_field(TrainEvalPipelineConfig(), path, value)


def test_a_value_may_be_the_text_of_a_config():
    config = TrainEvalPipelineConfig()
    set_field(config, "train_config.batch_size", "8")
    set_field(config, "train_config.sync_replicas", "true")
    set_field(config, "model.ssd.post_processing.score_converter", "SIGMOID")
    set_field(config, "train_config.fine_tune_checkpoint", 'a "quoted" name')
    set_field(config, "model.ssd.anchor_generator.ssd_anchor_generator.scales", [0.1, 0.5])
    set_field(config, "model.ssd.anchor_generator.ssd_anchor_generator.scales[1]", "0.7")
    set_field(config, "model.ssd.anchor_generator.ssd_anchor_generator.scales[2]", 0.9)
    assert config.train_config.batch_size == 8
    assert config.train_config.sync_replicas
    assert config.model.ssd.post_processing.score_converter == 1
    assert config.train_config.fine_tune_checkpoint == 'a "quoted" name'
    scales = config.model.ssd.anchor_generator.ssd_anchor_generator.scales
    assert scales == pytest.approx([0.1, 0.7, 0.9])


@pytest.mark.parametrize("text", [r"C:\Users\me", "C:/x", "a \"b\" 'c'", "é😀", r"Conv\d+\.", "\\", r"\\"])
def test_a_text_is_taken_as_it_is(text):
    config = TrainEvalPipelineConfig()
    set_field(config, "train_config.fine_tune_checkpoint", text)
    set_field(config, "train_config.freeze_variables", [text, text])
    assert config.train_config.fine_tune_checkpoint == text
    assert list(config.train_config.freeze_variables) == [text, text]


def test_a_map_is_given_whole():
    config = TrainEvalPipelineConfig()
    set_field(config, "eval_config.super_categories", '{ key: "a" value: "b" }')
    assert dict(config.eval_config.super_categories) == {"a": "b"}


def test_a_message_is_replaced_by_its_text():
    config = TrainEvalPipelineConfig()
    options = "train_config.data_augmentation_options"
    set_field(config, f"{options}[0]", "{ random_horizontal_flip { probability: 0.3 } }")
    set_field(config, f"{options}[1]", "{ random_vertical_flip {} }")
    set_field(config, f"{options}[0]", "{ random_rotation90 {} }")
    kinds = [step.WhichOneof("preprocessing_step") for step in config.train_config.data_augmentation_options]
    assert kinds == ["random_rotation90", "random_vertical_flip"]
    set_field(config, "train_config.optimizer", "{ adam_optimizer {} use_moving_average: false }")
    assert config.train_config.optimizer.WhichOneof("optimizer") == "adam_optimizer"
