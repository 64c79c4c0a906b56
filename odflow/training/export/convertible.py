"""Which detectors become TFLite files; asked before TensorFlow is there."""

from __future__ import annotations

from odflow.errors import ConfigError
from odflow.training.settings import DetectorSettings
from odflow.training.ssd.settings import SsdModel


def check_convertible(settings: DetectorSettings) -> None:
    """Refuse what TFLite's detection operation cannot do.

    Raises:
        ConfigError: no one-stage detector with anchors, images of no fixed size, or soft suppression.
    """
    wanted = 'leave "tflite" and "tflite_int8" out of formats'
    model = settings.model
    if not isinstance(model, SsdModel):
        raise ConfigError(
            "export: TFLite's detection operation ends one-stage detectors with anchors (model.ssd) alone; "
            f"{wanted}."
        )
    if model.resizer.min_dimension is not None:
        raise ConfigError(
            f"export: a TFLite file takes images of one size, and the config has a "
            f"keep_aspect_ratio_resizer; {wanted}, or train with a fixed_shape_resizer."
        )
    if model.post_processing.soft_nms_sigma > 0.0:
        raise ConfigError(
            f"export: TFLite's detection operation has no soft_nms_sigma; {wanted}, or set it to 0."
        )
