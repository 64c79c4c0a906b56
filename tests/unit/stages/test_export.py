"""What the stage export writes and refuses; what its files detect is tested in training/export/."""

import shutil

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from odflow.errors import InputError, StageError
from odflow.graph.execute import run_alone
from odflow.stages.export import Export


@pytest.fixture(scope="module")
def trained(project, tmp_path_factory):
    """A folder as train writes it, of a small detector with drawn weights."""
    pytest.importorskip("tensorflow")
    from odflow.odapi.pipeline_config import read_pipeline_config
    from odflow.training.architecture import architecture
    from odflow.training.checkpoints import save_weights
    from odflow.training.translation import translate

    folder = tmp_path_factory.mktemp("export") / "trained"
    folder.mkdir()
    text = (project / "pipelines/quickstart.config").read_text()
    text = text.replace("height: 192 width: 256", "height: 64 width: 96").replace(
        "PATH_TO_BE_CONFIGURED", "/home/somebody/teacher"
    )
    (folder / "pipeline.config").write_text(text)
    shutil.copyfile(project / "label_maps/solids.pbtxt", folder / "label_map.pbtxt")
    settings, _ = translate(read_pipeline_config(folder / "pipeline.config"), "pipeline.config")
    network = architecture(settings).build()
    rng = np.random.default_rng(1)
    for weight in network.variables:
        if len(weight.shape) > 1:
            weight.assign(rng.normal(0, 1.4 / np.sqrt(np.prod(weight.shape[:-1])), weight.shape))
    save_weights(network, folder / "checkpoint", 7)
    return folder


@pytest.mark.slow
def test_what_is_written_is_whole_and_the_same_each_time(trained, tmp_path, capsys):
    from odflow.inference.detector import load_detector
    from odflow.odapi.pipeline_config import read_pipeline_config

    run_alone(Export(trained=trained), tmp_path / "out")
    exported = tmp_path / "out/exported"
    assert sorted(one.name for one in exported.iterdir()) == [
        "checkpoint",
        "frozen_inference_graph.pb",
        "label_map.pbtxt",
        "pipeline.config",
        "saved_model",
    ]
    told = capsys.readouterr().out.splitlines()
    assert "frozen_inference_graph.pb, " in told[0]
    assert " detections in 3 images are the checkpoint's, scores within " in told[0]
    assert "saved_model, " in told[1]
    config = read_pipeline_config(exported / "pipeline.config")
    assert config.train_config.fine_tune_checkpoint == "teacher"
    assert config.model == read_pipeline_config(trained / "pipeline.config").model
    assert (exported / "label_map.pbtxt").read_bytes() == (trained / "label_map.pbtxt").read_bytes()
    image = np.random.default_rng(2).integers(0, 256, (70, 100, 3), np.uint8)
    frozen, saved = load_detector(exported), load_detector(exported / "saved_model")
    np.testing.assert_allclose(frozen.detect(image).scores, saved.detect(image).scores, atol=1e-5)

    run_alone(Export(trained=trained, formats=["frozen"]), tmp_path / "again")
    again = tmp_path / "again/exported"
    assert not (again / "saved_model").exists()
    name = "frozen_inference_graph.pb"
    assert (again / name).read_bytes() == (exported / name).read_bytes()
    shutil.rmtree(exported / "saved_model")
    run_alone(Export(trained=exported, formats=["frozen"]), tmp_path / "third")
    assert (tmp_path / "third/exported" / name).read_bytes() == (exported / name).read_bytes()


@pytest.mark.slow
def test_a_file_that_detects_something_else_ends_the_stage(trained, tmp_path, monkeypatch):
    from odflow.training.export import graphs

    plain = graphs.write_frozen_graph

    def broken(detector, file):
        for weight in detector.network.trainable_variables:
            weight.assign(weight * 1.1)
        plain(detector, file)
        for weight in detector.network.trainable_variables:
            weight.assign(weight / 1.1)

    monkeypatch.setattr(graphs, "write_frozen_graph", broken)
    with pytest.raises(StageError, match=r"does not detect what the checkpoint does: \d+ of \d+ detections"):
        run_alone(Export(trained=trained, formats=["frozen"]), tmp_path / "out")
    assert not (tmp_path / "out/exported").exists()


@pytest.mark.parametrize("part", ["pipeline.config", "label_map.pbtxt", "checkpoint"])
def test_a_folder_that_train_did_not_write(tmp_path, part):
    folder = tmp_path / "trained"
    (folder / "checkpoint").mkdir(parents=True)
    for name in ("pipeline.config", "label_map.pbtxt"):
        (folder / name).touch()
    (shutil.rmtree if part == "checkpoint" else type(folder).unlink)(folder / part)
    with pytest.raises(InputError, match=f"has no {part}"):
        run_alone(Export(trained=folder), tmp_path / "out")


def test_int8_needs_images(tmp_path):
    (tmp_path / "trained/checkpoint").mkdir(parents=True)
    for name in ("pipeline.config", "label_map.pbtxt"):
        (tmp_path / "trained" / name).touch()
    with pytest.raises(ValidationError, match="tflite_int8 needs images"):
        Export(trained=tmp_path / "trained", formats=["tflite_int8"])


def test_forms_are_known_ones(tmp_path):
    for formats in ([], ["onnx"]):
        with pytest.raises(ValidationError):
            Export(trained=tmp_path, formats=formats)


def test_the_images_of_a_list_are_read_too(tmp_path):
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    (tmp_path / "list.txt").write_text("b.png\n")
    stage = Export(trained=tmp_path, check_images=tmp_path / "list.txt", images=tmp_path)
    assert list(stage.also_reads()) == [tmp_path / "b.png"]
