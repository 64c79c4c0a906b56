"""Names of TensorFlow 1 checkpoints; what they must lead to is in the API's own TensorFlow 2 checkpoint."""

import json
import re

import pytest

from odflow.odapi.tf1_backbones import RESNET_UNITS
from odflow.odapi.tf1_names import aligned, canonical_names

ENDING = "/.ATTRIBUTES/VARIABLE_VALUE"
BACKBONE = "model/_feature_extractor/classification_backbone/layer_with_weights-"


def variables(scope, kernel="weights", norm=True):
    """The variables of one convolution of TF-Slim's."""
    kernels = [f"{scope}/{kernel}"] if isinstance(kernel, str) else [f"{scope}/{one}" for one in kernel]
    statistics = ("gamma", "beta", "moving_mean", "moving_variance")
    return kernels + ([f"{scope}/BatchNorm/{one}" for one in statistics] if norm else [f"{scope}/biases"])


def mobilenet_v2():
    root = "FeatureExtractor/MobilenetV2"
    found = variables(f"{root}/Conv") + variables(f"{root}/Conv_1")
    for block in range(17):
        inside = f"{root}/expanded_conv" + (f"_{block}" if block else "")
        found += variables(f"{inside}/expand") if block else []
        found += variables(f"{inside}/depthwise", "depthwise_weights") + variables(f"{inside}/project")
    return found


def fpnlite():
    """The variables of ssd_mobilenet_v2_fpnlite in TF-Slim's names, as the API's TF1 code makes them."""
    separable = ("depthwise_weights", "pointwise_weights")
    root, predictor = "FeatureExtractor/MobilenetV2/fpn", "WeightSharedConvolutionalBoxPredictor"
    found = mobilenet_v2()
    for level in (1, 2, 3):
        found += variables(f"{root}/projection_{level}", norm=False)
        found += variables(f"{root}/smoothing_{level}", separable) if level < 3 else []
    for number in (20, 21):
        found += variables(f"{root}/bottom_up_Conv2d_{number}", separable)
    for layer in range(4):
        tower = f"{predictor}/PredictionTower/conv2d_{layer}"
        found += [f"{tower}/{kernel}" for kernel in separable]
        for level in range(5):
            norms = variables(f"{tower}/BatchNorm", ())
            found += [name.replace("BatchNorm/BatchNorm", f"BatchNorm/feature_{level}") for name in norms]
    for head in ("BoxPredictor", "ClassPredictor"):
        found += variables(f"{predictor}/{head}", separable, norm=False)
    return found


def test_a_feature_pyramids_names_lead_to_every_key_of_the_apis_own_checkpoint(shared):
    tf = pytest.importorskip("tensorflow")
    folder = shared / "models/ssd_mobilenet_v2_fpnlite_320"
    listed = dict(tf.train.list_variables(str(folder / "checkpoint/ckpt-0")))
    wanted = {name.removesuffix(ENDING): shape for name, shape in listed.items() if name.startswith("model/")}
    keys = canonical_names(fpnlite())
    assert sorted(keys.values()) == sorted(wanted)


def test_mobilenet_v2s_layers_follow_the_apis_own_order(shared):
    """vars.json tells every variable's name, in the order in which the API made them."""
    listed = json.loads((shared / "models/ssd_mobilenet_v2_fpnlite_320/vars.json").read_text())
    kernels = [
        name for name, _ in listed if re.match(r"(Conv|expanded_conv|block_)\w+/(depthwise_)?kernel", name)
    ]
    keys = canonical_names(mobilenet_v2())
    by_layer = {keys[name]: name for name in keys if name.endswith("weights")}
    for number, kernel in enumerate(kernels):
        attribute = kernel.partition("/")[2].removesuffix(":0")
        slim = by_layer[f"{BACKBONE}{2 * number}/{attribute}"]
        kind = re.search(r"expand(?=/)|depthwise|project|Conv", slim)[0]
        assert kind in kernel, (kernel, slim)
    assert len(by_layer) == len(kernels)


def test_every_variable_of_a_real_checkpoint_has_a_key_of_its_own(shared):
    tf = pytest.importorskip("tensorflow")
    listed = [
        name for name, _ in tf.train.list_variables(str(shared / "models/ssd_mobilenet_v1_coco/model.ckpt"))
    ]
    keys = canonical_names(listed)
    assert set(listed) - set(keys) == {"global_step"}
    assert len(set(keys.values())) == len(keys)


@pytest.mark.parametrize("depth", ["50", "101"])
def test_resnets_layers_follow_the_order_of_keras(depth):
    """The oracle: the layers of Keras's own ResNet, whose order the API's checkpoints number."""
    tf_keras = pytest.importorskip("tf_keras")
    network = getattr(tf_keras.applications, f"ResNet{depth}")(
        weights=None, include_top=False, input_shape=(32, 32, 3)
    )
    layers = [layer.name for layer in network.layers if layer.weights]
    root = f"FeatureExtractor/resnet_v1_{depth}"
    slim = variables(f"{root}/conv1")
    wanted = {f"{root}/conv1": "conv1"}
    for block, units in enumerate(RESNET_UNITS[depth], start=1):
        for unit in range(1, units + 1):
            inside = f"{root}/block{block}/unit_{unit}/bottleneck_v1"
            for name, number in {"shortcut": 0, "conv1": 1, "conv2": 2, "conv3": 3}.items():
                if name != "shortcut" or unit == 1:
                    slim += variables(f"{inside}/{name}")
                    wanted[f"{inside}/{name}"] = f"conv{block + 1}_block{unit}_{number}"
    keys = canonical_names(slim)
    assert len(set(keys.values())) == len(slim)
    for scope, keras in wanted.items():
        assert keys[f"{scope}/weights"] == f"{BACKBONE}{layers.index(f'{keras}_conv')}/kernel"
        assert keys[f"{scope}/BatchNorm/gamma"] == f"{BACKBONE}{layers.index(f'{keras}_bn')}/gamma"


def test_a_resnets_pyramid_counts_its_coarse_levels_from_the_backbones_last_block():
    root = "FeatureExtractor/resnet_v1_50/fpn"
    names = [f"{root}/projection_{level}/weights" for level in (1, 2, 3)]
    names += [f"{root}/bottom_up_block{block}/weights" for block in (5, 6)]
    keys = canonical_names(names)
    inside = "model/_feature_extractor"
    assert [keys[name].removeprefix(inside) for name in names] == [
        "/_fpn_features_generator/residual_blocks/1/0/kernel",
        "/_fpn_features_generator/residual_blocks/0/0/kernel",
        "/_fpn_features_generator/top_layers/0/kernel",
        "/_coarse_feature_layers/0/0/kernel",
        "/_coarse_feature_layers/1/0/kernel",
    ]


def test_depthwise_heads_and_maps_put_the_pointwise_convolution_behind():
    names = [
        "BoxPredictor_1/ClassPredictor_depthwise/depthwise_weights",
        "BoxPredictor_1/ClassPredictor_depthwise/BatchNorm/beta",
        "BoxPredictor_1/ClassPredictor/weights",
        "BoxPredictor_1/Conv2d_1_1x1_256/BatchNorm/gamma",
        "FeatureExtractor/MobilenetV2/layer_19_2_Conv2d_3_3x3_s2_256_depthwise/depthwise_weights",
        "FeatureExtractor/MobilenetV2/layer_19_2_Conv2d_3_3x3_s2_256/BatchNorm/gamma",
    ]
    keys = canonical_names(names)
    classes = "_box_predictor/_prediction_heads/class_predictions_with_background/1/_class_predictor_layers"
    maps = "_feature_extractor/feature_map_generator/convolutions/3"
    assert [keys[name].removeprefix("model/") for name in names] == [
        f"{classes}/0/depthwise_kernel",
        f"{classes}/1/beta",
        f"{classes}/3/kernel",
        "_box_predictor/_shared_nets/1/4/gamma",
        f"{maps}/3/depthwise_kernel",
        f"{maps}/7/gamma",
    ]


def test_a_classifiers_names_are_those_of_the_apis_own_classifiers():
    """Whatever detector it becomes the backbone of."""
    names = ["MobilenetV1/Conv2d_3_pointwise/weights", "MobilenetV1/Logits/Conv2d_1c_1x1/weights"]
    assert canonical_names(names) == {names[0]: "feature_extractor/layer_with_weights-12/kernel"}


@pytest.mark.slow
def test_every_key_of_a_faster_rcnn_has_a_tensorflow_1_name(shared, tmp_path):
    pytest.importorskip("tensorflow")
    from odflow.odapi.pipeline_config import read_pipeline_config
    from odflow.training.architecture import architecture
    from odflow.training.checkpoints import variables_by_name
    from odflow.training.translation import translate

    sample = shared / "odapi/configs/faster_rcnn_resnet50_v1_640x640_coco17_tpu-8.config"
    config = tmp_path / "faster_rcnn_resnet50.config"
    config.write_text(sample.read_text().replace("faster_rcnn_resnet50_keras", "faster_rcnn_resnet50"))
    settings, _ = translate(read_pipeline_config(config), "config")
    wanted = variables_by_name(architecture(settings).build())
    names = variables("FirstStageFeatureExtractor/resnet_v1_50/conv1")
    for block, units in enumerate(RESNET_UNITS["50"], start=1):
        stage = "SecondStage" if block == 4 else "FirstStage"
        for unit in range(1, units + 1):
            inside = f"{stage}FeatureExtractor/resnet_v1_50/block{block}/unit_{unit}/bottleneck_v1"
            for layer in ("conv1", "conv2", "conv3", *(["shortcut"] if unit == 1 else [])):
                names += variables(f"{inside}/{layer}")
    names += variables("Conv", norm=False)
    for stage in ("First", "Second"):
        for head in ("BoxEncodingPredictor", "ClassPredictor"):
            names += variables(f"{stage}StageBoxPredictor/{head}", norm=False)
    found = aligned(canonical_names(names).values(), wanted)
    assert sorted(found.values()) == sorted(wanted)


def test_faster_rcnn_numbers_the_layers_of_each_of_its_stages_anew():
    first = ["conv1", "block3/unit_6/bottleneck_v1/conv3"]
    second = ["block4/unit_1/bottleneck_v1/conv1", "block4/unit_3/bottleneck_v1/conv3"]
    names = [f"FirstStageFeatureExtractor/resnet_v1_50/{layer}/weights" for layer in first]
    names += [f"SecondStageFeatureExtractor/resnet_v1_50/{layer}/weights" for layer in second]
    keys = canonical_names(names)
    places = [keys[name].removeprefix("model/_feature_extractor_for_") for name in names]
    assert places == [
        "proposal_features/layer_with_weights-0/kernel",
        "proposal_features/layer_with_weights-84/kernel",
        "box_classifier_features/layer_with_weights-0/kernel",
        "box_classifier_features/layer_with_weights-18/kernel",
    ]


@pytest.mark.parametrize(
    "name", ["global_step", "FeatureExtractor/InceptionV2/Conv2d_1a_7x7/weights", "", "weights"]
)
def test_what_belongs_to_no_such_network_is_left_out(name):
    assert canonical_names([name]) == {}


def test_layers_behind_padding_are_found_one_place_further_on():
    maps = "model/_feature_extractor/_feature_map_generator/convolutions/2"
    keys = [f"{maps}/0/kernel", f"{maps}/1/beta", f"{maps}/3/kernel", f"{maps}/4/beta", "model/else/3/kernel"]
    wanted = [
        f"{maps}/0/kernel",
        f"{maps}/1/beta",
        f"{maps}/4/kernel",
        f"{maps}/5/beta",
        "model/else/0/kernel",
    ]
    assert list(aligned(keys, wanted).values()) == [*wanted[:4], "model/else/3/kernel"]
