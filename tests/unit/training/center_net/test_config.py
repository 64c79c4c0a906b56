"""All CenterNet sample configs of the Object Detection API, and what is refused."""

import dataclasses

import numpy as np
import pytest

from odflow.errors import ConfigError
from odflow.odapi.pipeline_config import read_pipeline_config
from odflow.training.center_net.extractor_types import joined
from odflow.training.center_net.settings import CenterNetModel, Focal, Head
from odflow.training.settings import Normalization
from odflow.training.translation import translate

SAMPLES = {
    "centernet_hourglass104_1024x1024_coco17_tpu-32": "hourglass_104",
    "centernet_hourglass104_1024x1024_kpts_coco17_tpu-32": "hourglass_104",
    "centernet_hourglass104_512x512_coco17_tpu-8": "hourglass_104",
    "centernet_hourglass104_512x512_kpts_coco17_tpu-32": "hourglass_104",
    "centernet_resnet101_v1_fpn_512x512_coco17_tpu-8": "resnet_v2_101",
    "centernet_resnet50_v1_fpn_512x512_kpts_coco17_tpu-8": "resnet_v1_50_fpn",
    "centernet_resnet50_v2_512x512_kpts_coco17_tpu-8": "resnet_v2_50",
}
DEEPMAC = (
    "center_net_deepmac_1024x1024_coco_tpu-128",
    "center_net_deepmac_1024x1024_non_voc_only_tpu-128",
    "center_net_deepmac_1024x1024_voc_only_tpu-128",
    "center_net_deepmac_512x512_voc_only_tpu-32",
)


def sample(shared, name):
    return read_pipeline_config(shared / f"odapi/configs/{name}.config")


def model_of(config) -> CenterNetModel:
    return translate(config, "test.config")[0].model


@pytest.mark.parametrize(("name", "kind"), SAMPLES.items())
def test_sample_configs_are_translated(shared, name, kind):
    settings, coverage = translate(sample(shared, name), name)
    model = settings.model
    assert (model.extractor.type, model.num_classes, model.centers.max_detections) == (kind, 90, 100)
    assert (model.centers.focal, model.centers.head) == (Focal(2.0, 4.0), Head((256,), (3,)))
    assert model.boxes.scale_weight == pytest.approx(0.1)
    assert coverage.of("model.center_net.object_center_params.min_box_overlap_iou").state == "honoured"
    if "kpts" in name:
        verdict = coverage.of("model.center_net.keypoint_estimation_task[0].task_name")
        assert (verdict.state, verdict.remark) == (
            "unsupported",
            "trained on boxes alone, without keypoints",
        )


@pytest.mark.parametrize("name", DEEPMAC)
def test_deepmac_is_refused_with_what_works_instead(shared, name):
    with pytest.raises(ConfigError, match=r"deepmac_mask_estimation is set; wanted: .* Mask R-CNN"):
        translate(sample(shared, name), name)


@pytest.fixture
def config(shared):
    return sample(shared, "centernet_hourglass104_512x512_coco17_tpu-8")


def test_heads_and_weights_are_read(config):
    net = config.model.center_net
    net.use_depthwise = True
    net.object_center_params.heatmap_bias_init = -4.6
    net.object_center_params.center_head_params.num_filters.extend([128, 64])
    net.object_center_params.center_head_params.kernel_sizes.extend([5, 3])
    net.object_detection_task.offset_loss_weight = 0.25
    model = model_of(config)
    assert model.separable
    assert model.centers.head == Head((128, 64), (5, 3))
    assert model.centers.bias == pytest.approx(-4.6)
    assert model.boxes.offset_weight == 0.25


def change(config, path, value):
    *parents, name = path.split(".")
    message = config.model.center_net
    for parent in parents:
        message = getattr(message, parent)
    setattr(message, name, value)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (
            "feature_extractor.type",
            "mobilenet_v2",
            'is "mobilenet_v2"; wanted: .*hourglass_104.* or resnet_v2_50',
        ),
        (
            "image_resizer.keep_aspect_ratio_resizer.max_dimension",
            600,
            "600x600; wanted: .* multiples of 128",
        ),
        ("num_classes", 0, "num_classes is 0"),
        ("object_detection_task.localization_loss.weighted_smooth_l1.delta", 1.0, "l1_localization_loss"),
        ("object_center_params.classification_loss.weighted_sigmoid_focal.gamma", 2.0, "penalty_reduced"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_its_place(config, path, value, said):
    change(config, path, value)
    with pytest.raises(ConfigError, match=rf"^test.config: model.center_net\..*{said}"):
        translate(config, "test.config")


def test_no_boxes_and_uneven_heads_are_refused(config):
    config.model.center_net.object_center_params.center_head_params.num_filters.append(8)
    with pytest.raises(ConfigError, match="1 num_filters, 0 kernel_sizes; wanted: as many of each"):
        model_of(config)
    config.model.center_net.ClearField("object_detection_task")
    with pytest.raises(ConfigError, match="object_detection_task is not set"):
        model_of(config)


def test_pixels_are_those_of_keras_after_the_configs_own(shared):
    """The backbone's own preprocessing in Keras is the oracle."""
    import tf_keras

    config = sample(shared, "centernet_resnet50_v2_512x512_kpts_coco17_tpu-8")
    extractor = config.model.center_net.feature_extractor
    pixels = np.random.default_rng(1).integers(0, 256, (4, 5, 3)).astype("f")
    for kind, keras in (
        ("resnet_v2_50", tf_keras.applications.resnet_v2),
        ("resnet_v1_50_fpn", tf_keras.applications.resnet),
    ):
        for means, deviations, bgr in (([], [], False), ([1, 2, 3], [4, 5, 6], True)):
            extractor.type, extractor.bgr_ordering = kind, bgr
            extractor.channel_means[:], extractor.channel_stds[:] = means, deviations
            own = ((pixels[..., ::-1] if bgr else pixels) - (means or 0)) / (deviations or 1)
            how = model_of(config).extractor.normalization
            found = ((pixels[..., ::-1] if how.bgr else pixels) - how.means) / how.deviations
            np.testing.assert_allclose(found, keras.preprocess_input(own.copy()), rtol=1e-4, atol=1e-4)
            assert how.padding_too


def test_joining_twice_turned_is_not_turned():
    turned = Normalization((1.0, 2.0, 3.0), bgr=True)
    assert joined(turned, turned) == Normalization((4.0, 4.0, 4.0))
    assert joined(dataclasses.replace(turned, bgr=False), turned) == Normalization((4.0, 4.0, 4.0), bgr=True)
