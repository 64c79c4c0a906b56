"""Each variable of a network is filled or accounted for; TensorFlow's own restore is the oracle."""

import dataclasses
import json

import numpy as np
import pytest

from odflow.errors import InputError

tf = pytest.importorskip("tensorflow")
tf_keras = pytest.importorskip("tf_keras")

BACKBONE = "model/_feature_extractor/classification_backbone/"
CLASSES = "model/_box_predictor/_prediction_heads/class_predictions_with_background/"
API = "models/ssd_mobilenet_v2_fpnlite_320"


@pytest.fixture(scope="module")
def build(settings):
    """A function from changes of the small detector to its architecture and a network."""
    from odflow.training.architecture import architecture

    def make(depth_multiplier=0.35, num_classes=2):
        extractor = dataclasses.replace(settings.model.extractor, depth_multiplier=depth_multiplier)
        model = dataclasses.replace(settings.model, extractor=extractor, num_classes=num_classes)
        kind = architecture(dataclasses.replace(settings, model=model))
        return kind, kind.build()

    return make


@pytest.fixture(scope="module")
def saved(build, tmp_path_factory):
    """A folder of a checkpoint with random weights, batch norm statistics too, and these weights by name."""
    from odflow.training.checkpoints import save_weights, variables_by_name

    _, network = build()
    rng = np.random.default_rng(8)
    for variable in network.variables:
        variable.assign(rng.normal(size=variable.shape))
    folder = tmp_path_factory.mktemp("saved") / "checkpoint"
    save_weights(network, folder, 30)
    return folder, {name: variable.numpy() for name, variable in variables_by_name(network).items()}


def values(network):
    from odflow.training.checkpoints import variables_by_name

    return {name: variable.numpy() for name, variable in variables_by_name(network).items()}


def fill(made, path, fine_tune_type, **options):
    from odflow.odapi.checkpoint import read_checkpoint
    from odflow.training import checkpoints

    kind, network = made
    return checkpoints.fill(network, read_checkpoint(path), kind.parts, fine_tune_type, **options)


def test_variables_have_the_names_under_which_tensorflow_saves_them(saved):
    folder, arrays = saved
    stored = {
        name for name, _ in tf.train.list_variables(str(folder / "ckpt-30")) if name.startswith("model/")
    }
    assert {f"{name}/.ATTRIBUTES/VARIABLE_VALUE" for name in arrays} == stored


def test_a_full_load_is_what_tensorflows_own_restore_gives(saved, build):
    folder, arrays = saved
    made = build()
    report = fill(made, folder, "full")
    assert set(report.loaded) == set(arrays)
    assert not report.left
    assert not report.unused
    assert "ckpt-30" in report.summary()
    assert f"{len(arrays)} of {len(arrays)} variables loaded" in report.summary()
    _, oracle = build()
    tf.train.Checkpoint(model=oracle).read(str(folder / "ckpt-30")).assert_existing_objects_matched()
    for ours, theirs in zip(made[1].variables, oracle.variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("fine_tune_type", "prefix"), [("classification", BACKBONE), ("detection", "model/_feature_extractor/")]
)
def test_a_part_is_filled_and_the_rest_left_as_it_was(fine_tune_type, prefix, saved, build):
    folder, arrays = saved
    made = build()
    before = values(made[1])
    report = fill(made, folder, fine_tune_type)
    for name, value in values(made[1]).items():
        np.testing.assert_array_equal(value, (arrays if name.startswith(prefix) else before)[name], name)
    assert set(report.left) == set(report.unused) == {name for name in arrays if not name.startswith(prefix)}
    assert set(report.left.values()) == {f"not part of {fine_tune_type}"}


def test_another_number_of_classes_keeps_all_but_the_last_class_layer(saved, build):
    folder, arrays = saved
    made = build(num_classes=5)
    before = values(made[1])
    report = fill(made, folder, "full")
    assert set(report.left) == {name for name in arrays if name.startswith(CLASSES)} != set()
    assert all("for another number of classes" in reason for reason in report.left.values())
    assert any("18 wanted" not in reason and "wanted" in reason for reason in report.left.values())
    for name, value in values(made[1]).items():
        np.testing.assert_array_equal(value, (before if name in report.left else arrays)[name], name)
    assert "left at their first values" in report.summary()
    assert json.loads(json.dumps(report.to_json()))["source"] == "ckpt-30"


def test_another_depth_multiplier_is_an_error_that_names_both_and_the_first_misfits(saved, build):
    folder, _ = saved
    made = build(depth_multiplier=0.5)
    before = values(made[1])
    with pytest.raises(InputError) as error:
        fill(made, folder, "full")
    message = str(error.value)
    assert "\n" not in message
    assert "looks like SSD with MobileNet v2, depth multiplier 0.35" in message
    assert "the config asks for SSD with MobileNet v2, depth multiplier 0.5" in message
    assert "block_" not in message
    assert "layer_with_weights-1" in message
    assert "in the checkpoint" in message
    assert "allow_partial: true" in message
    for name, value in values(made[1]).items():
        np.testing.assert_array_equal(value, before[name], name)
    report = fill(made, folder, "full", allow_partial=True)
    assert 0 < len(report.loaded) < len(before)
    assert any("another shape" in reason for reason in report.left.values())


def test_misnamed_scopes_are_told_by_what_there_is(build, tmp_path):
    other = tf.Module()
    other.net = [tf.Variable(tf.ones([3, 3, 3, 8]))]
    tf.train.Checkpoint(my=other).write(str(tmp_path / "ckpt-1"))
    with pytest.raises(InputError, match=r"its names begin with my/net.*not in the checkpoint"):
        fill(build(), tmp_path, "classification")


@pytest.mark.parametrize("fine_tune_type", ["classification", "detection", "full"])
def test_a_classifier_fills_the_backbone_and_the_rest_is_told(fine_tune_type, build, tmp_path):
    _, network = build()
    classifier = network._feature_extractor.classification_backbone
    tf.train.Checkpoint(feature_extractor=classifier).write(str(tmp_path / "ckpt-1"))
    other = build()
    report = fill(other, tmp_path, fine_tune_type)
    assert not report.unused
    wanted, found = values(network), values(other[1])
    assert set(report.loaded) == {name for name in wanted if name.startswith(BACKBONE)}
    assert set(report.left) == set(wanted) - set(report.loaded)
    for name in report.loaded:
        np.testing.assert_array_equal(found[name], wanted[name], name)


def test_damage_is_told_before_anything_is_trained(saved, build, tmp_path):
    folder, _ = saved
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    data = tmp_path / "ckpt-30.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    with pytest.raises(InputError, match=r"ckpt-30: is damaged or not whole .*Copy its"):
        fill(build(), tmp_path, "full")


def test_what_is_loaded_for_export_must_be_whole(saved, build):
    from odflow.training.checkpoints import load_weights

    folder, arrays = saved
    _, network = build()
    load_weights(network, folder)
    np.testing.assert_array_equal(network.variables[0], arrays[next(iter(names_like(network, 0)))])
    with pytest.raises(InputError, match="does not fit the model of the config"):
        load_weights(build(num_classes=5)[1], folder)


def names_like(network, index):
    from odflow.training.checkpoints import variables_by_name

    wanted = network.variables[index]
    return [name for name, variable in variables_by_name(network).items() if variable is wanted]


def test_layers_count_on_over_a_classifier_that_was_cut_in_two(tmp_path):
    """As Faster R-CNN has it: the last block of a ResNet works on each proposal."""
    from odflow.odapi.checkpoint import read_checkpoint
    from odflow.training import checkpoints

    layers = tf_keras.layers
    whole = tf_keras.Sequential([layers.Dense(2, name=f"d{number}", input_shape=[2]) for number in range(5)])
    first = tf_keras.Sequential([layers.Dense(2, input_shape=[2]) for _ in range(3)])
    second = tf_keras.Sequential([layers.Dense(2, input_shape=[2], use_bias=last) for last in (True, False)])
    tf.train.Checkpoint(feature_extractor=whole).write(str(tmp_path / "ckpt-1"))
    network = tf.Module()
    network.proposals, network.boxes = first, second
    prefixes = ("model/proposals/", "model/boxes/")
    parts = checkpoints.Parts(prefixes, prefixes, ())
    report = checkpoints.fill(network, read_checkpoint(tmp_path), parts, "classification")
    assert not report.left
    found = first.get_weights() + second.get_weights()
    for ours, theirs in zip(found, whole.get_weights()[:-1], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert report.unused == report.dropped == ("feature_extractor/layer_with_weights-4/bias",)
    assert "1 of the checkpoint unused (1 of them in layers that were filled, first feat" in report.summary()


def test_layers_keep_their_numbers_where_two_models_share_a_classifier(tmp_path):
    """As EfficientDet has it: the layers that are trained, and the rest of the classifier."""
    from odflow.odapi.checkpoint import weights_of
    from odflow.training import checkpoints

    network = tf.Module()
    network.used, network.whole = tf.Module(), tf.Module()
    for part, number in ((network.used, 0), (network.used, 1), (network.whole, 2)):
        layer = tf.Module()
        layer.kernel = tf.Variable(0.0)
        setattr(part, f"layer_with_weights-{number}", layer)
    arrays = {
        f"feature_extractor/layer_with_weights-{number}/kernel": np.float32(number + 5) for number in range(3)
    }
    for prefixes in (("model/used/", "model/whole/"), ("model/whole/", "model/used/")):
        parts = checkpoints.Parts(prefixes, prefixes, ())
        report = checkpoints.fill(network, weights_of(arrays, "ckpt", "Keras"), parts, "classification")
        assert not report.left
        assert sorted(float(value) for value in values(network).values()) == [5.0, 6.0, 7.0]
        assert values(network)["model/whole/layer_with_weights-2/kernel"] == 7.0


@pytest.mark.slow
def test_model_gardens_mobilenet_computes_the_same_in_ours(build, tmp_path):
    from official.vision.modeling.backbones.mobilenet import MobileNet

    garden = MobileNet(
        "MobileNetV2", filter_size_scale=0.35, input_specs=tf_keras.layers.InputSpec(shape=[None, 96, 128, 3])
    )
    rng = np.random.default_rng(3)
    for variable in garden.variables:
        variable.assign(rng.uniform(0.2, 0.6, variable.shape) * rng.choice([-1, 1], variable.shape))
        if "variance" in variable.name:
            variable.assign(tf.abs(variable))
    tf.train.Checkpoint(backbone=garden).write(str(tmp_path / "ckpt-1"))
    made = build()
    report = fill(made, tmp_path, "classification")
    assert report.source_kind == "Model Garden"
    image = tf.random.stateless_uniform([1, 96, 128, 3], [1, 2], -1, 1)
    backbone = made[1]._feature_extractor.classification_backbone
    cut = tf_keras.Model(backbone.inputs, backbone.get_layer("block_16_project_BN").output)
    found, wanted = cut(image, training=False), garden(image, training=False)["5"]
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.slow
def test_parity_every_key_of_the_apis_checkpoint_is_used_and_none_is_left(shared):
    from odflow.odapi.checkpoint import read_checkpoint
    from odflow.odapi.pipeline_config import read_pipeline_config
    from odflow.training import checkpoints
    from odflow.training.architecture import architecture
    from odflow.training.translation import translate

    folder = shared / API
    settings, _ = translate(read_pipeline_config(folder / "pipeline.config"), "pipeline.config")
    kind = architecture(settings)
    network = kind.build()
    report = checkpoints.fill(network, read_checkpoint(folder), kind.parts, "full")
    assert len(report.loaded) == 384
    assert not report.left
    assert not report.unused
    for name, value in values(network).items():
        stored = tf.train.load_variable(
            str(folder / "checkpoint/ckpt-0"), f"{name}/.ATTRIBUTES/VARIABLE_VALUE"
        )
        np.testing.assert_array_equal(value, stored, name)
    with pytest.raises(
        InputError, match=r"looks like SSD with MobileNet v1, depth multiplier 0.75; the config"
    ):
        checkpoints.fill(
            network, read_checkpoint(shared / "models/ssd_mobilenet_v1_coco"), kind.parts, "full"
        )


@pytest.mark.parametrize(
    "left",
    [
        f"{BACKBONE}layer_with_weights-0/kernel",
        f"{BACKBONE}layer_with_weights-1/moving_variance",
        "model/_feature_extractor/_fpn_features_generator/top_layers/0/bias",
        "model/_box_predictor/_box_prediction_head/_box_encoder_layers/0/kernel",
        f"{CLASSES}_class_predictor_layers/0/bias",
    ],
)
def test_a_variable_that_would_stay_random_is_an_error_and_not_silent(build, saved, left):
    from odflow.odapi.checkpoint import weights_of
    from odflow.training.checkpoints import check_whole
    from odflow.training.checkpoints import fill as fill_with

    kind, network = build()
    arrays = dict(saved[1])
    check_whole(fill_with(network, weights_of(arrays, "ckpt-1", "odflow"), kind.parts, "full"))
    del arrays[left]
    report = fill_with(network, weights_of(arrays, "ckpt-1", "odflow"), kind.parts, "full")
    with pytest.raises(
        InputError, match=r"1 of the network's .* would stay at their random first values"
    ) as error:
        check_whole(report)
    assert f"{left}: not in the checkpoint" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("averaged", "said"),
    [
        (True, "; 2 of those loaded are moving averages, "),
        (False, "not the moving averages that 2 of them have"),
    ],
)
def test_moving_averages_are_counted_and_not_silent(build, saved, averaged, said):
    from odflow.odapi.checkpoint import weights_of
    from odflow.training.checkpoints import fill as fill_with

    kind, network = build()
    having = frozenset(sorted(saved[1])[:2])
    weights = dataclasses.replace(
        weights_of(saved[1], "model.ckpt", "TF1"), averages=having, averaged=averaged
    )
    report = fill_with(network, weights, kind.parts, "full")
    assert said in report.summary()
    assert (report.averages, report.averaged) == (2, averaged)
    assert "moving averages" not in dataclasses.replace(report, averages=0).summary()
