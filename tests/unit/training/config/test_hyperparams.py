"""What a set of layers shares, as a config says it."""

import pytest
from google.protobuf import text_format

from odflow.errors import ConfigError
from odflow.odapi.protos.hyperparams_pb2 import Hyperparams as Message
from odflow.odapi.section import Coverage, Section
from odflow.training.config.hyperparams import hyperparams
from odflow.training.settings import BatchNorm, Hyperparams, Initializer


def read(text):
    return hyperparams(Section(text_format.Parse(text, Message()), "conv_hyperparams", Coverage("x.config")))


def test_what_is_left_out_has_the_apis_defaults():
    assert read("") == Hyperparams("relu")
    norm = BatchNorm(pytest.approx(0.999), pytest.approx(0.001), scale=False)
    assert read("batch_norm {}").batch_norm == norm


def test_every_field_is_read():
    found = read(
        "activation: SWISH regularizer { l1_regularizer { weight: 0.5 } } force_use_bias: true "
        "initializer { variance_scaling_initializer { factor: 3 uniform: true mode: FAN_AVG } } "
        "batch_norm { decay: 0.5 center: false scale: true epsilon: 0.25 train: false }"
    )
    assert found == Hyperparams(
        "swish",
        BatchNorm(0.5, 0.25, center=False, scale=True, train=False),
        Initializer("variance_scaling", factor=3.0, mode="fan_avg", uniform=True),
        l1_weight=0.5,
        force_use_bias=True,
    )


def test_a_batch_norm_can_be_of_all_replicas_together():
    assert read("sync_batch_norm { decay: 0.5 epsilon: 0.25 }").batch_norm == BatchNorm(
        0.5, 0.25, scale=False, synchronized=True
    )


def test_group_norm_is_refused_with_what_is_possible():
    with pytest.raises(ConfigError, match=r"group_norm is set; wanted: batch_norm, or no normalization"):
        read("group_norm {}")
