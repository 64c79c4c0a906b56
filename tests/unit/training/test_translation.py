import pytest

from odflow.errors import ConfigError
from odflow.odapi.pipeline_config import read_pipeline_config, set_fields
from odflow.odapi.section import HONOURED, UNSUPPORTED
from odflow.training.translation import translate

FPN = [
    "ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8",
    "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8",
    "ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8",
    "ssd_resnet50_v1_fpn_640x640_coco17_tpu-8",
    "ssd_resnet101_v1_fpn_1024x1024_coco17_tpu-8",
    "ssd_resnet152_v1_fpn_640x640_coco17_tpu-8",
]


def read(text, tmp_path):
    file = tmp_path / "pipeline.config"
    file.write_text(text, encoding="utf-8")
    return read_pipeline_config(file)


@pytest.fixture
def bccd(project):
    return (project / "pipelines/bccd.config").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FPN)
def test_the_sample_configs_translate_and_every_field_has_a_verdict(shared, name):
    config = read_pipeline_config(shared / f"odapi/configs/{name}.config")
    settings, coverage = translate(config, name)
    assert settings.model.num_classes == 90
    unknown = [
        path for path in set_fields(config) if coverage.of(path).remark.startswith("odflow does not know")
    ]
    assert unknown == []


def test_the_fpnlite_config_is_read_to_the_last_number(shared):
    file = shared / "odapi/configs/ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8.config"
    settings, coverage = translate(read_pipeline_config(file), "fpnlite")
    model, training = settings.model, settings.training
    assert (model.resizer.height, model.resizer.width, model.resizer.min_dimension) == (320, 320, None)
    assert (model.extractor.backbone, model.extractor.pyramid_filters) == ("mobilenet_v2", 128)
    assert model.extractor.separable
    assert model.predictor.separable
    assert (model.predictor.convolutions, model.predictor.filters) == (4, 128)
    assert model.predictor.class_bias == pytest.approx(-4.6)
    assert model.hyperparams.batch_norm.momentum == pytest.approx(0.997)
    assert model.hyperparams.l2_weight == pytest.approx(4e-5)
    assert model.anchors.aspect_ratios == (1.0, 2.0, 0.5)
    assert model.post_processing.iou_threshold == pytest.approx(0.6)
    assert training.optimizer.kind == "momentum"
    assert training.optimizer.average_decay == 0.0
    assert training.optimizer.learning_rate.base == pytest.approx(0.08)
    assert training.optimizer.learning_rate.warmup_steps == 1000
    assert [one.kind for one in training.augmentations] == ["random_horizontal_flip", "random_crop_image"]
    assert training.fine_tune_type == "classification"
    assert training.reader.shuffle_buffer == 2048
    predictor = "model.ssd.box_predictor.weight_shared_convolutional_box_predictor"
    assert coverage.of(f"{predictor}.share_prediction_tower").state == "approximated"
    assert coverage.of(f"{predictor}.depth").state == HONOURED
    extractor = coverage.of("model.ssd.feature_extractor.type")
    assert extractor.state == "approximated"
    assert "1280" in extractor.remark


def test_what_the_project_ships_is_honoured_but_for_its_backbone(bccd, tmp_path):
    config = read(bccd, tmp_path)
    _, coverage = translate(config, "bccd.config")
    states = {path: coverage.of(path).state for path in set_fields(config)}
    assert {path for path, state in states.items() if state != HONOURED} <= {
        "model.ssd.feature_extractor.type",
        "eval_config.metrics_set",
        "eval_input_reader[0].shuffle",
        "eval_input_reader[0].label_map_path",
        "eval_input_reader[0].tf_record_input_reader.input_path",
    }


def test_an_unknown_augmentation_is_listed_not_dropped_in_silence(bccd, tmp_path):
    config = read(bccd.replace("random_vertical_flip {}", "random_black_patches {}"), tmp_path)
    settings, coverage = translate(config, "bccd.config")
    assert [one.kind for one in settings.training.augmentations] == ["random_horizontal_flip"]
    verdict = coverage.of("train_config.data_augmentation_options[1].random_black_patches")
    assert verdict.state == UNSUPPORTED


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("num_classes: 3", "num_classes: 0", "model.ssd.num_classes is 0; wanted: at least 1"),
        (
            "ssd_mobilenet_v2_fpn_keras",
            "ssd_inception_v2",
            'type is "ssd_inception_v2"; wanted: ssd_mobilenet',
        ),
        ("weighted_smooth_l1 { delta: 1.0 }", "", "localization_loss is not set; wanted: l1"),
        (
            "fpn { min_level: 3",
            "fpn { min_level: 2",
            "min_level is 3; wanted: 2, as in feature_extractor.fpn",
        ),
        ("total_steps: 400", "total_steps: 20", "total_steps is 20; wanted: more than the 20"),
        ("kernel_size: 3", "kernel_size: 1", "kernel_size is 1; wanted: 3"),
        ("batch_size: 8", "batch_size: 0", "batch_size is 0; wanted: at least 1"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_what_would_work(bccd, tmp_path, old, new, message):
    assert old in bccd
    with pytest.raises(ConfigError, match=message):
        translate(read(bccd.replace(old, new), tmp_path), "bccd.config")


def test_another_meta_architecture_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r'model\.model is "faster_rcnn"; wanted: ssd'):
        translate(read("model { faster_rcnn { num_classes: 3 } }", tmp_path), "x.config")
