"""Models with operations that reach files, Python or the network are run for those who trust them alone."""

import re
from pathlib import Path

import pytest
from PIL import Image

from odflow.errors import InputError
from odflow.graph.execute import run_alone
from odflow.inference.detector import load_detector
from odflow.inference.graph_operations import check_tflite, reaches_beyond
from odflow.stages.detect import Detect

tf = pytest.importorskip("tensorflow")

NAMED = re.compile(
    r"file|path|directory|logdir|url|address|^token$|vocab_file|patterns|prefix|output_stream|db_uri|^server"
)
HARMLESS = {
    # What such a name means here is no file, program or address.
    "CTCBeamSearchDecoder",  # top_paths
    "ExperimentalSetStatsAggregatorDataset",  # counter_prefix
    "SetStatsAggregatorDataset",
    "ShardedFilename",  # puts a name together
    "ShardedFilespec",
    "TensorSliceDataset",  # is_files is a hint about strings that it was given
    "PrintV2",  # refused where it prints to a file
}


def registered():
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session

    operations = op_def_pb2.OpList()
    operations.ParseFromString(pywrap_tf_session.TF_GetBuffer(pywrap_tf_session.TF_GetAllOpList()))
    return operations.op


def test_every_operation_of_tensorflow_that_takes_a_file_a_program_or_an_address_is_known():
    missed = {
        operation.name: words
        for operation in registered()
        if not reaches_beyond(operation.name)
        and (words := [one.name for one in (*operation.input_arg, *operation.attr) if NAMED.search(one.name)])
    }
    assert missed.keys() <= HARMLESS, missed


@pytest.mark.parametrize(
    "name",
    ["Conv2D", "NonMaxSuppressionV5", "StatefulPartitionedCall", "Print", "Assert", "LookupTableFindV2"],
)
def test_what_detectors_are_made_of_is_not_refused(name):
    assert not reaches_beyond(name)


def writes(image, place):
    with tf.control_dependencies([tf.io.write_file(place, "was here")]):
        return tf.identity(image)


def reads(image, place):
    return image + tf.cast(tf.strings.length(tf.io.read_file(place)) * 0, tf.uint8)


def looks(image, place):
    return image + tf.cast(tf.size(tf.io.matching_files(place)) * 0, tf.uint8)


def runs_python(image, place):
    def write(given):
        Path(place).write_text("was here")
        return given

    return tf.ensure_shape(tf.numpy_function(write, [image], tf.uint8), image.shape)


def prints_to_a_file(image, place):
    with tf.control_dependencies([tf.print("was here", output_stream=f"file://{place}")]):
        return tf.identity(image)


def saves(image, place):
    saved = tf.raw_ops.SaveV2(prefix=place, tensor_names=["a"], shape_and_slices=[""], tensors=[1.0])
    with tf.control_dependencies([saved]):
        return tf.identity(image)


def restores(image, place):
    found = tf.raw_ops.RestoreV2(prefix=place, tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32])
    return image + tf.cast(found[0] * 0, tf.uint8)


def in_a_branch(image, place):
    return tf.cond(tf.shape(image)[1] > 0, lambda: writes(image, place), lambda: image)


PLANTED = [
    (writes, "WriteFile"),
    (reads, "ReadFile"),
    (looks, "MatchingFiles"),
    (runs_python, "PyFunc"),
    (prints_to_a_file, "PrintV2"),
    (saves, "SaveV2"),
    (restores, "RestoreV2"),
    (in_a_branch, "WriteFile"),
]


def frozen_graph(plant, place, bright_model, folder):
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        for name, value in bright_model.outputs(plant(image, place)).items():
            tf.identity(value, name)
        (folder / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())
    return folder / "graph.pb"


def saved_model(plant, place, bright_model, folder):
    module = tf.Module()
    module.weight = tf.Variable(1.0)  # so that TensorFlow plants its own saving and restoring
    module.detect = tf.function(
        lambda image: bright_model.outputs(plant(image, place)),
        input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")],
    )
    tf.saved_model.save(module, str(folder / "model"), signatures=module.detect)
    return folder / "model"


def saved_model_of_tf1(plant, place, bright_model, folder):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        weight = tf.compat.v1.get_variable("weight", initializer=1.0)
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        outputs = bright_model.outputs(plant(image, place))
        session.run(weight.initializer)
        tf.compat.v1.saved_model.simple_save(session, str(folder / "model"), {"inputs": image}, outputs)
    return folder / "model"


FORMS = [frozen_graph, saved_model, saved_model_of_tf1]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("plant", "operation"), PLANTED)
def test_an_operation_that_reaches_beyond_is_refused_by_name(form, plant, operation, bright_model, tmp_path):
    model = form(plant, str(tmp_path / "planted"), bright_model, tmp_path)
    with pytest.raises(InputError) as refused:
        load_detector(model)
    assert str(refused.value).startswith(f"{model}: holds operations that reach files, Python or the network")
    assert operation in str(refused.value)
    assert str(refused.value).endswith("Where you trust who made it, set trust_model: true.")
    assert not list(tmp_path.glob("planted*"))


@pytest.mark.parametrize("form", FORMS)
def test_who_trusts_a_model_runs_it(form, bright_model, bright_image, tmp_path):
    model = form(writes, str(tmp_path / "planted"), bright_model, tmp_path)
    found = load_detector(model, trusted=True).detect(bright_image(40, 40, (3, 3, 20, 20)))
    assert len(found.scores) == 2
    assert (tmp_path / "planted").read_text() == "was here"


def test_a_stage_runs_what_it_is_told_to_trust(bright_model, bright_image, tmp_path):
    model = frozen_graph(writes, str(tmp_path / "planted"), bright_model, tmp_path)
    (tmp_path / "images").mkdir()
    Image.fromarray(bright_image(40, 40, (3, 3, 20, 20))).save(tmp_path / "images/a.png")
    stage = Detect(
        model=model, label_map=bright_model.label_map, images=tmp_path / "images", trust_model=True
    )
    run_alone(stage, tmp_path / "out")
    assert (tmp_path / "planted").exists()
    with pytest.raises(InputError, match="trust_model: true"):
        run_alone(stage.model_copy(update={"trust_model": False}), tmp_path / "again")


@pytest.mark.parametrize("form", FORMS)
def test_a_saved_models_own_saving_is_no_reason(form, bright_model, bright_image, tmp_path):
    model = form(lambda image, place: image, "", bright_model, tmp_path)
    assert len(load_detector(model).detect(bright_image(40, 40, (3, 3, 20, 20))).scores) == 2


def test_what_runs_as_a_saved_model_is_loaded_is_looked_at(bright_model, tmp_path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        image = tf.compat.v1.placeholder(tf.uint8, [None, None, None, 3], name="image_tensor")
        signature = tf.compat.v1.saved_model.predict_signature_def(
            {"inputs": image}, bright_model.outputs(image)
        )
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "model"))
        builder.add_meta_graph_and_variables(
            session,
            [tf.saved_model.SERVING],
            {"serving_default": signature},
            main_op=tf.io.write_file(str(tmp_path / "planted"), "was here"),
        )
        builder.save()
    with pytest.raises(InputError, match=r"reach files, Python or the network \(WriteFile\)"):
        load_detector(tmp_path / "model")
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x01\x12\xff\xff\xff\xff\x0f"])
def test_a_damaged_saved_model_is_one_line(content, tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(InputError) as refused:
        load_detector(tmp_path)
    assert "\n" not in str(refused.value)


def test_operations_of_tensorflow_in_a_tflite_file(tmp_path):
    module = tf.Module()
    module.run = tf.function(
        lambda image: writes(image, str(tmp_path / "planted")), [tf.TensorSpec([1, 8, 8, 3])]
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.run.get_concrete_function()], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    (tmp_path / "flex.tflite").write_bytes(converter.convert())
    with pytest.raises(InputError, match=r"flex.tflite: holds operations .* \(WriteFile\)"):
        check_tflite(tmp_path / "flex.tflite")
