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
    ],
)
def test_a_wrong_path_or_value_is_told(path, value, message):
    with pytest.raises(ConfigError, match=message):
        set_field(TrainEvalPipelineConfig(), path, value)
