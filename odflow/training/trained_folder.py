"""The folder that train writes, filled by something else than training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odflow.errors import ConfigError, InputError
from odflow.formats.label_map import read_label_map
from odflow.odapi.pipeline_config import pipeline_config_text, read_pipeline_config
from odflow.training.settings import DetectorSettings
from odflow.training.translation import translate

if TYPE_CHECKING:
    import tf_keras


@dataclass(frozen=True)
class Imported:
    """A detector that came from elsewhere, as its config and its label map describe it.

    Attributes:
        pipeline_config: file of the config.
        label_map: file of its classes.
    """

    pipeline_config: Path
    label_map: Path

    def settings(self) -> DetectorSettings:
        """Translate the config.

        Raises:
            ConfigError: odflow cannot build it, or the label map has more classes.
            InputError: the label map does not exist.
        """
        config = read_pipeline_config(self.pipeline_config)
        settings, _ = translate(config, str(self.pipeline_config), to_train=False, inputs=False)
        if not self.label_map.is_file():
            raise InputError(f"{self.label_map} does not exist; give label_map, the detector's classes.")
        last = max(read_label_map(self.label_map).names, default=0)
        if last > settings.model.num_classes:
            raise ConfigError(
                f"{self.pipeline_config}: num_classes is {settings.model.num_classes}, the ids of "
                f"{self.label_map} go up to {last}. Give the label map that the detector was trained with."
            )
        return settings

    def moving_averages(self) -> bool:
        """Whether the API exported moving averages of the weights, where a checkpoint has them."""
        return bool(read_pipeline_config(self.pipeline_config).eval_config.use_moving_averages)

    def write(self, network: tf_keras.Model, report: Mapping[str, Any], folder: Path) -> None:
        """Write what export and train take.

        Args:
            network: with its weights.
            report: what became of each weight.
            folder: is made, with checkpoint/, pipeline.config, label_map.pbtxt and import.json.
        """
        from odflow.training.checkpoints import save_weights

        config = pipeline_config_text(read_pipeline_config(self.pipeline_config))
        folder.mkdir()
        save_weights(network, folder / "checkpoint", 0)
        (folder / "import.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")
        (folder / "pipeline.config").write_text(config, "utf-8")
        (folder / "label_map.pbtxt").write_bytes(self.label_map.read_bytes())
