import pytest

from odflow.errors import ConfigError
from odflow.odapi.pipeline_config import read_pipeline_config, set_fields
from odflow.odapi.section import HONOURED, UNSUPPORTED
from odflow.training.settings import Initializer
from odflow.training.ssd.settings import FpnShape
from odflow.training.translation import translate

SSD = [
    "ssd_mobilenet_v1_fpn_640x640_coco17_tpu-8",
    "ssd_mobilenet_v2_fpnlite_320x320_coco17_tpu-8",
    "ssd_mobilenet_v2_fpnlite_640x640_coco17_tpu-8",
    "ssd_resnet50_v1_fpn_640x640_coco17_tpu-8",
    "ssd_resnet101_v1_fpn_1024x1024_coco17_tpu-8",
    "ssd_resnet152_v1_fpn_640x640_coco17_tpu-8",
    "ssd_mobilenet_v2_320x320_coco17_tpu-8",
    "ssd_efficientdet_d0_512x512_coco17_tpu-8",
]


def read(text, tmp_path):
    file = tmp_path / "pipeline.config"
    file.write_text(text, encoding="utf-8")
    return read_pipeline_config(file)


@pytest.fixture
def bccd(project):
    return (project / "pipelines/bccd.config").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SSD)
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
    config = read_pipeline_config(file)
    settings, coverage = translate(config, "fpnlite")
    model, training = settings.model, settings.training
    assert (model.resizer.height, model.resizer.width, model.resizer.min_dimension) == (320, 320, None)
    extractor, predictor = model.extractor, model.predictor
    assert (extractor.type, extractor.pyramid) == ("ssd_mobilenet_v2_fpn_keras", FpnShape(3, 7, 128))
    assert (extractor.separable, extractor.override_hyperparams, extractor.min_depth) == (True, True, 16)
    assert (predictor.separable, predictor.share_tower, predictor.kernel_size) == (True, True, 3)
    assert (predictor.convolutions, predictor.filters, predictor.dropout) == (4, 128, None)
    assert predictor.class_bias == pytest.approx(-4.6)
    for hyperparams in (extractor.hyperparams, predictor.hyperparams):
        assert hyperparams.activation == "relu6"
        assert hyperparams.batch_norm.momentum == pytest.approx(0.997)
        assert (hyperparams.batch_norm.center, hyperparams.batch_norm.scale) == (True, True)
        assert (hyperparams.l1_weight, hyperparams.l2_weight) == (0.0, pytest.approx(4e-5))
        assert hyperparams.initializer == Initializer("random_normal", stddev=pytest.approx(0.01))
    assert (model.background, model.class_slots, model.freeze_batch_norm) == (True, 91, False)
    assert model.anchors.aspect_ratios == (1.0, 2.0, 0.5)
    assert model.post_processing.iou_threshold == pytest.approx(0.6)
    assert training.optimizer.kind == "momentum"
    assert training.optimizer.average_decay == 0.0
    assert training.optimizer.learning_rate.base == pytest.approx(0.08)
    assert training.optimizer.learning_rate.warmup_steps == 1000
    assert [one.kind for one in training.augmentations] == ["random_horizontal_flip", "random_crop_image"]
    assert training.fine_tune_type == "classification"
    assert training.reader.shuffle_buffer == 2048
    detector = [path for path in set_fields(config) if path.startswith("model.")]
    assert [path for path in detector if coverage.of(path).state != HONOURED] == []


def test_what_the_project_ships_is_honoured(bccd, tmp_path):
    config = read(bccd, tmp_path)
    _, coverage = translate(config, "bccd.config")
    states = {path: coverage.of(path).state for path in set_fields(config)}
    assert {path for path, state in states.items() if state != HONOURED} <= {
        "eval_config.metrics_set",
        "eval_input_reader[0].shuffle",
        "eval_input_reader[0].label_map_path",
        "eval_input_reader[0].tf_record_input_reader.input_path",
    }


@pytest.mark.parametrize("part", ["", "feature_extractor", "feature_extractor.conv_hyperparams"])
def test_no_field_of_an_ssd_goes_unread(bccd, tmp_path, part):
    config = read(bccd, tmp_path)
    _, coverage = translate(config, "bccd.config")
    message, path = config.model.ssd, "model.ssd"
    for name in filter(None, part.split(".")):
        message, path = getattr(message, name), f"{path}.{name}"
    unread = {
        name
        for name, field in message.DESCRIPTOR.fields_by_name.items()
        if field.containing_oneof is None
        and not any(f"{read}.".startswith(f"{path}.{name}.") for read in coverage.verdicts)
    }
    assert unread <= {"mask_head_config", "regularize_depthwise", "initializer", "spaghettinet_arch_name"}


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
            'type is "ssd_inception_v2", which odflow does not build; wanted: ssd_mobilenet_v2, ',
        ),
        (
            "ssd_mobilenet_v2_fpn_keras",
            "ssd_mobilenet_v2_fpn_kera",
            'type is "ssd_mobilenet_v2_fpn_kera"; wanted: .*ssd_mobilenet_v2_fpn_keras',
        ),
        ("weighted_smooth_l1 { delta: 1.0 }", "", "localization_loss is not set; wanted: l1"),
        (
            "fpn { min_level: 3",
            "fpn { min_level: 2",
            "min_level is 3; wanted: 2, as in feature_extractor",
        ),
        ("total_steps: 400", "total_steps: 19", "total_steps is 19; wanted: at least 20, the steps"),
        ("total_steps: 400", "total_steps: 0", "total_steps is 0; wanted: at least 20, the steps"),
        ("kernel_size: 3", "kernel_size: 1 use_depthwise: true", "kernel_size is 1; wanted: more than 1"),
        ("fpn { min_level: 3", "fpn { min_level: 6", "min_level is 6; wanted: 2 to 5"),
        ("fpn {", "bifpn { num_filters: 16 num_iterations: 1 } fpn {", "is set, but line"),
        ("batch_size: 8", "batch_size: 0", "batch_size is 0; wanted: at least 1"),
    ],
)
def test_what_cannot_be_trained_is_refused_with_what_would_work(bccd, tmp_path, old, new, message):
    assert old in bccd
    with pytest.raises(ConfigError, match=message):
        translate(read(bccd.replace(old, new), tmp_path), "bccd.config")


def test_a_config_without_a_model_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"model\.model is not set; wanted: .*ssd"):
        translate(read("model { }", tmp_path), "x.config")


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ("", "classification"),
        ("from_detection_checkpoint: true", "detection"),
        ("from_detection_checkpoint: true load_all_detection_checkpoint_vars: true", "full"),
        (
            'fine_tune_checkpoint_type: "classification" load_all_detection_checkpoint_vars: true',
            "classification",
        ),
        ('fine_tune_checkpoint_type: "classification" from_detection_checkpoint: true', "classification"),
        ('fine_tune_checkpoint_type: "fine_tune"', "detection"),
        ('fine_tune_checkpoint_type: "full"', "full"),
    ],
)
def test_how_much_of_a_checkpoint_is_taken_in_the_words_of_both_generations(bccd, tmp_path, fields, kind):
    config = read(bccd.replace("train_config {", f"train_config {{ {fields}", 1), tmp_path)
    settings, coverage = translate(config, "bccd.config")
    assert settings.training.fine_tune_type == kind
    set_here = [path for path in set_fields(config) if "checkpoint" in path]
    assert [path for path in set_here if coverage.of(path).state != HONOURED] == []


def test_what_one_class_a_box_rules_out_is_told(bccd, tmp_path):
    config = read(bccd.replace("train_config {", "train_config { use_multiclass_scores: true", 1), tmp_path)
    _, coverage = translate(config, "bccd.config")
    assert coverage.of("train_config.use_multiclass_scores").state == UNSUPPORTED
