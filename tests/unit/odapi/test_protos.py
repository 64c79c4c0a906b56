"""The messages are the API's, their code is current, and it runs beside TensorFlow."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from odflow.formats.label_map import read_label_map
from odflow.odapi.protos.model_pb2 import DetectionModel
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig
from odflow.odapi.protos.preprocessor_pb2 import RandomJitterBoxes
from odflow.odapi.protos.string_int_label_map_pb2 import StringIntLabelMap

FOLDER = Path("odflow/odapi/protos")
PROTOS = sorted((Path(__file__).resolve().parents[3] / FOLDER).glob("*.proto"))


def described(module: str) -> FileDescriptorProto:
    """What a generated module says of its messages."""
    described = FileDescriptorProto()
    importlib.import_module(f"odflow.odapi.protos.{module}_pb2").DESCRIPTOR.CopyToProto(described)
    return described


@pytest.fixture(scope="module")
def regenerated(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("grpc_tools", reason="needs grpcio-tools to generate the code of the .proto files")
    out = tmp_path_factory.mktemp("protos")
    names = [f"{FOLDER}/{path.name}" for path in PROTOS]
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I.", f"--python_out={out}", f"--pyi_out={out}"]
    subprocess.run([*command, *names], cwd=project, check=True)
    return out / FOLDER


def essence(code: str) -> list[str]:
    """What every compiler writes alike: not its version, its imports and its constructors' hints."""
    code = re.sub(r"ValidateProtobufRuntimeVersion\(.*?\)", "", code, flags=re.DOTALL)
    return [
        line for line in code.splitlines() if not re.match(r"# Protobuf|from |import |\s+def __init__", line)
    ]


def test_generated_code_is_current(project: Path, regenerated: Path) -> None:
    for suffix in ("_pb2.py", "_pb2.pyi"):
        made = {path.name: essence(path.read_text()) for path in regenerated.glob(f"*{suffix}")}
        kept = {path.name: essence(path.read_text()) for path in (project / FOLDER).glob(f"*{suffix}")}
        assert len(made) == len(PROTOS)
        assert kept == made


@pytest.mark.parametrize("path", PROTOS, ids=lambda path: path.stem)
def test_generated_code_runs_with_the_oldest_protobuf_allowed(path: Path) -> None:
    code = path.with_name(f"{path.stem}_pb2.py").read_text()
    version = re.search(r"# Protobuf Python Version: (\d+)\.(\d+)\.(\d+)", code)
    assert version is not None
    assert tuple(map(int, version.groups())) <= (5, 28, 3)


@pytest.mark.parametrize("path", PROTOS, ids=lambda path: path.stem)
def test_files_register_under_their_own_package(path: Path) -> None:
    file = described(path.stem)
    assert file.name == f"{FOLDER}/{path.name}"
    assert file.package == "odflow.protos"
    assert file.syntax in ("", "proto2")


PUBLIC = """
TrainEvalPipelineConfig.model 1                       | Ssd.num_classes 1
TrainEvalPipelineConfig.eval_input_reader 5           | Ssd.loss 11
DetectionModel.ssd 2                                  | DetectionModel.center_net 4
Ssd.freeze_batchnorm 16 False                         | Ssd.add_background_class 21 True
SsdFeatureExtractor.bifpn 19                          | SsdFeatureExtractor.depth_multiplier 2 1.0
Hyperparams.activation 4 1                            | BatchNorm.decay 1 0.999
WeightSharedConvolutionalBoxPredictor.kernel_size 7 3 | ConvolutionalBoxPredictor.kernel_size 7 1
MultiscaleAnchorGenerator.anchor_scale 3 4.0          | ArgMaxMatcher.use_matmul_gather 6 False
FasterRcnnBoxCoder.y_scale 1 10.0                     | FasterRcnnBoxCoder.width_scale 4 5.0
BatchNonMaxSuppression.iou_threshold 2 0.6            | PostProcessing.score_converter 2 0
SigmoidFocalClassificationLoss.gamma 2 2.0            | WeightedSmoothL1LocalizationLoss.delta 2 1.0
CosineDecayLearningRate.total_steps 2 4000000         | ExponentialDecayLearningRate.decay_factor 3 0.95
MomentumOptimizer.momentum_optimizer_value 2 0.9      | AdamOptimizer.epsilon 2 1e-08
Optimizer.use_moving_average 4 True                   | KeepAspectRatioResizer.min_dimension 1 600
TrainConfig.batch_size 1 32                           | TrainConfig.unpad_groundtruth_tensors 21 True
InputReader.shuffle_buffer_size 11 2048               | EvalConfig.super_categories 34
RandomCropImage.max_aspect_ratio 3 1.33               | FasterRcnn.first_stage_max_proposals 15 300
TrainConfig.keep_checkpoint_every_n_hours 4 10000.0   | SsdFeatureExtractor.batch_norm_trainable 6 True
ConvolutionalBoxPredictor.box_encodings_clip_range 12 | InputReader.use_keypoint_label_map 38 False
EvalConfig.image_classes_field_map_empty_to_ones 36 1 | CenterNet.output_prediction_dict 25 False
CenterNet.DeepMACMaskEstimation.use_only_last_stage 24 False
CenterNet.DeepMACMaskEstimation.feature_consistency_threshold 17 0.4
"""
"""Field, number and default as the API publishes them."""


@pytest.mark.parametrize("fact", [fact.strip() for fact in re.split(r"[|\n]", PUBLIC) if fact.strip()])
def test_public_numbers_and_defaults(fact: str) -> None:
    name, number, *default = fact.split()
    message, _, field_name = name.rpartition(".")
    pool = TrainEvalPipelineConfig.DESCRIPTOR.file.pool
    field = pool.FindMessageTypeByName(f"odflow.protos.{message}").fields_by_name[field_name]
    assert field.number == int(number)
    if default:
        assert field.default_value == pytest.approx(ast.literal_eval(default[0]))


def test_jitter_modes_have_the_numbers_of_the_api() -> None:
    modes = RandomJitterBoxes.JitterMode
    assert [modes.Name(number) for number in (2, 4, 7)] == [
        "SHRINK",
        "EXPAND_SYMMETRIC",
        "SHRINK_SYMMETRIC_XY",
    ]
    assert 3 not in modes.values()


@pytest.mark.parametrize(
    "text",
    [
        "ssd { feature_extractor { batch_norm_trainable: true } }",
        "center_net { deepmac_mask_estimation { color_consistency_threshold: 0.3 } }",
        "center_net { deepmac_mask_estimation { feature_consistency_threshold: 0.3 } }",
    ],
)
def test_names_of_every_age_are_read(text: str) -> None:
    assert text_format.Parse(text, DetectionModel()).WhichOneof("model")


def test_label_maps_agree_with_the_reader_of_label_maps(shared: Path) -> None:
    files = sorted((shared / "odapi" / "label_maps").glob("*.pbtxt"))
    assert len(files) > 10
    for file in files:
        items = text_format.Parse(file.read_text(encoding="utf-8"), StringIntLabelMap()).item
        found = [(one.id, one.name, one.display_name) for one in read_label_map(file).labels]
        assert found == [(one.id, one.name or one.display_name, one.display_name) for one in items if one.id]


@pytest.mark.slow
def test_runs_beside_tensorflow() -> None:
    code = """
from odflow.odapi.protos.pipeline_pb2 import TrainEvalPipelineConfig
import tensorflow as tf
assert TrainEvalPipelineConfig.FromString(b"").model.ssd.loss.localization_weight == 1
assert tf.train.Example.FromString(tf.train.Example().SerializeToString()) == tf.train.Example()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Protobuf gencode version" not in done.stderr


def test_importing_the_room_does_not_import_protobuf() -> None:
    code = "import sys, odflow.odapi; sys.exit('google.protobuf' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
