import pytest
from google.protobuf import text_format

from odflow.errors import ConfigError
from odflow.odapi.protos.ssd_pb2 import Ssd
from odflow.odapi.section import HONOURED, Coverage, Section
from odflow.training.settings import ClassificationLoss, HardExampleMiner, LocalizationLoss, Matcher
from odflow.training.ssd.losses_config import read_losses, read_matching

FOCAL = "classification_loss { weighted_sigmoid_focal { alpha: 0.75 gamma: 1.5 } }"
SMOOTH = "localization_loss { weighted_smooth_l1 { delta: 0.5 } }"


def section(text):
    return Section(text_format.Parse(text, Ssd()), "model.ssd", Coverage("x.config"))


def losses(text, around=""):
    return read_losses(section(f"loss {{ {text} }} {around}"))


def test_what_is_left_out_has_the_apis_defaults():
    read = losses(
        "classification_loss { weighted_sigmoid_focal {} } localization_loss { weighted_smooth_l1 {} }"
    )
    assert read.classification == ClassificationLoss("weighted_sigmoid_focal", alpha=None, gamma=2.0)
    assert read.localization == LocalizationLoss("smooth_l1", 1.0)
    assert (read.by_matches, read.by_code_size, read.miner) == (True, False, None)
    assert read.background_as_zeros is False
    assert read_matching(section("")).matcher == Matcher()
    assert read_matching(section("")).box_scales == (10.0, 10.0, 5.0, 5.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("weighted_sigmoid {}", ClassificationLoss("weighted_sigmoid")),
        ("weighted_softmax { logit_scale: 2 }", ClassificationLoss("weighted_softmax", logit_scale=2.0)),
        ("weighted_logits_softmax {}", ClassificationLoss("weighted_logits_softmax")),
        (
            "bootstrapped_sigmoid { alpha: 0.5 hard_bootstrap: true }",
            ClassificationLoss("bootstrapped_sigmoid", alpha=0.5, hard_bootstrap=True),
        ),
        (
            "weighted_sigmoid_focal { alpha: 0.75 gamma: 1.5 }",
            ClassificationLoss("weighted_sigmoid_focal", alpha=0.75, gamma=1.5),
        ),
    ],
)
def test_every_classification_loss_is_read(text, expected):
    assert losses(f"classification_loss {{ {text} }} {SMOOTH}").classification == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("weighted_l2", LocalizationLoss("l2")),
        ("weighted_iou", LocalizationLoss("iou")),
        ("weighted_giou", LocalizationLoss("giou")),
        ("l1_localization_loss", LocalizationLoss("l1")),
    ],
)
def test_every_localization_loss_is_read(text, expected):
    assert losses(f"{FOCAL} localization_loss {{ {text} {{}} }}").localization == expected


def test_a_miner_is_read():
    text = "hard_example_miner { num_hard_examples: 3000 iou_threshold: 0.75 loss_type: CLASSIFICATION "
    text += "max_negatives_per_positive: 3 min_negatives_per_image: 2 } "
    text += "classification_loss { weighted_sigmoid {} }"
    assert losses(f"{text} {SMOOTH}").miner == HardExampleMiner(3000, 0.75, "classification", 3, 2)


def test_a_matcher_is_read():
    text = "matched_threshold: 0.7 unmatched_threshold: 0.3 negatives_lower_than_unmatched: false "
    text += "force_match_for_each_row: true use_matmul_gather: true"
    ssd = section(f"matcher {{ argmax_matcher {{ {text} }} }} negative_class_weight: 0.5")
    read = read_matching(ssd)
    assert read.matcher == Matcher("argmax", pytest.approx(0.7), pytest.approx(0.3), False, True)
    assert read.negative_weight == 0.5
    matmul = "model.ssd.matcher.argmax_matcher.use_matmul_gather"
    assert ssd.coverage.of(matmul).state == HONOURED
    ignoring = read_matching(section("matcher { argmax_matcher { ignore_thresholds: true } }")).matcher
    assert (ignoring.matched, ignoring.unmatched) == (0.0, 0.0)
    assert read_matching(section("matcher { bipartite_matcher {} }")).matcher == Matcher("bipartite")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SMOOTH, "classification_loss is not set; wanted: bootstrapped_sigmoid or weighted"),
        (FOCAL, "localization_loss is not set; wanted: l1_localization_loss or weighted"),
        (f"{FOCAL} {SMOOTH} hard_example_miner {{}}", "hard_example_miner is set; wanted: no mining"),
        (
            f"classification_loss {{ penalty_reduced_logistic_focal_loss {{}} }} {SMOOTH}",
            'is "penalty_reduced_logistic_focal_loss"; wanted',
        ),
    ],
)
def test_losses_that_cannot_be_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        losses(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "matcher { argmax_matcher { matched_threshold: 0.4 } }",
            "unmatched_threshold is 0.5; wanted: at most matched_threshold",
        ),
        (
            "matcher { argmax_matcher { negatives_lower_than_unmatched: false } }",
            "negatives_lower_than_unmatched is false; wanted: true, or two different thresholds",
        ),
        ("similarity_calculator { ioa_similarity {} }", '"ioa_similarity"; wanted: iou_similarity'),
        ("box_coder { keypoint_box_coder {} }", '"keypoint_box_coder"; wanted: faster_rcnn_box_coder'),
    ],
)
def test_matchings_that_cannot_be_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        read_matching(section(text))


def test_a_background_among_the_classes_is_refused():
    with pytest.raises(ConfigError, match="explicit_background_class is true; wanted: false"):
        losses(f"{FOCAL} {SMOOTH}", "explicit_background_class: true")


def test_what_is_not_followed_is_told():
    ssd = section(
        f"loss {{ {FOCAL} localization_loss {{ weighted_giou {{}} }} random_example_sampler {{}} }}"
    )
    read_losses(ssd)
    assert ssd.coverage.of("model.ssd.loss.localization_loss.weighted_giou").state == "approximated"
    assert ssd.coverage.of("model.ssd.loss.random_example_sampler").state == "unsupported"
