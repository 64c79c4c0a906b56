import pytest

from odflow.errors import ConfigError
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig
from odflow.odapi.section import APPROXIMATED, HONOURED, NOT_APPLICABLE, UNSUPPORTED, Coverage, Section


@pytest.fixture
def root():
    config = TrainEvalPipelineConfig()
    config.train_config.batch_size = 4
    config.train_config.num_steps = 0
    config.train_config.data_augmentation_options.add().random_horizontal_flip.SetInParent()
    config.train_config.optimizer.momentum_optimizer.momentum_optimizer_value = 0.5
    config.eval_input_reader.add().shuffle = False
    return Section(config, "", Coverage("x.config"))


def test_what_nobody_read_is_unsupported(root):
    root.section("train_config")
    assert root.coverage.of("train_config.batch_size").state == UNSUPPORTED


def test_reading_a_value_honours_it_alone(root):
    train = root.section("train_config")
    assert train["batch_size"] == 4
    assert root.coverage.of("train_config.batch_size").state == HONOURED
    assert root.coverage.of("train_config.num_steps").state == UNSUPPORTED


def test_a_choice_honours_an_empty_message_but_not_the_fields_of_another(root):
    train = root.section("train_config")
    (option,) = train.sections("data_augmentation_options")
    assert option.choice("preprocessing_step") == "random_horizontal_flip"
    path = "train_config.data_augmentation_options[0].random_horizontal_flip"
    assert root.coverage.of(path).state == HONOURED
    assert train.section("optimizer").choice("optimizer") == "momentum_optimizer"
    path = "train_config.optimizer.momentum_optimizer.momentum_optimizer_value"
    assert root.coverage.of(path).state == UNSUPPORTED


def test_a_verdict_on_a_message_holds_inside_it_where_there_is_no_nearer_one(root):
    root.skip("eval_input_reader", "why")
    root.skip("train_config", "why")
    root.section("train_config").approximate("batch_size", "how")
    assert root.coverage.of("eval_input_reader[0].shuffle").state == NOT_APPLICABLE
    assert root.coverage.of("train_config.num_steps").state == NOT_APPLICABLE
    assert root.coverage.of("train_config.batch_size").state == APPROXIMATED


def test_a_number_below_one_is_refused_by_path(root):
    with pytest.raises(ConfigError, match=r"x.config: train_config.num_steps is 0; wanted: at least 1"):
        root.section("train_config").positive("num_steps")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("ssd_cat_v2", '"ssd_cat_v2", which odflow does not build; wanted: ssd_dog, which comes nearest'),
        ("ssd_dogs", '"ssd_dogs"; wanted: ssd_dog or ssd_dog_fpn'),
        ("yak", '"yak"; wanted: cow or ssd_dog or ssd_dog_fpn'),
        ("", "not set; wanted: cow or ssd_dog or ssd_dog_fpn"),
    ],
)
def test_a_type_of_extractor_that_is_not_built_is_refused_with_what_comes_nearest(root, found, said):
    known, instead = ["ssd_dog_fpn", "ssd_dog", "cow"], {"ssd_cat_v1": "cow", "ssd_cat": "ssd_dog"}
    message = str(root.section("model").refuse_type(found, known, instead))
    assert message.startswith(f"x.config: model.type is {said}")
