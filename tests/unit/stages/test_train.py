"""What train refuses before it trains; the training itself is tested in training/ and by the quickstart."""

import subprocess
import sys

import numpy as np
import pytest
from pydantic import ValidationError

from odflow.errors import ConfigError, InputError
from odflow.formats.example import encode_example
from odflow.formats.tfrecord import write_records
from odflow.graph.execute import run_alone
from odflow.stages.train import Train


@pytest.fixture
def inputs(project, tmp_path):
    records = tmp_path / "train.record"
    records.write_bytes(b"")
    config = tmp_path / "pipeline.config"
    config.write_text((project / "pipelines/bccd.config").read_text())
    return {
        "config": config,
        "label_map": project / "label_maps/bccd.pbtxt",
        "train_records": records,
        "valid_records": records,
    }


def refuse(inputs, out, kind=ConfigError):
    with pytest.raises(kind) as error:
        run_alone(Train(**inputs), out)
    assert not out.exists(), "nothing is left behind, though train resumes when it is stopped"
    return str(error.value)


def test_a_label_map_that_does_not_fit_the_config_is_told_with_the_number_to_write(inputs, tmp_path):
    label_map = tmp_path / "two.pbtxt"
    label_map.write_text("item { id: 1 name: 'a' } item { id: 2 name: 'b' }")
    message = refuse(inputs | {"label_map": label_map}, tmp_path / "out")
    assert "num_classes is 3" in message
    assert "Set num_classes: 2" in message
    assert "two.pbtxt" in message


def test_every_unfilled_placeholder_is_listed_with_what_fills_it(inputs, tmp_path, project):
    config = inputs["config"]
    config.write_text((project / "pipelines/quickstart.config").read_text())
    message = refuse(inputs | {"label_map": project / "label_maps/solids.pbtxt"}, tmp_path / "out")
    assert message.count("PATH_TO_BE_CONFIGURED") == 1
    assert "train_config.fine_tune_checkpoint is PATH_TO_BE_CONFIGURED. Give the stage" in message


def test_placeholders_that_an_input_fills_are_no_error(inputs):
    config = Train(**inputs | {"num_steps": 7, "batch_size": 2})._filled_config()
    assert config.train_config.num_steps == 7
    assert config.train_config.batch_size == 2
    assert list(config.train_input_reader.tf_record_input_reader.input_path) == ["train.record"]
    assert config.eval_input_reader[0].label_map_path == "bccd.pbtxt"


def test_without_valid_records_the_trained_config_has_no_eval_input(inputs):
    del inputs["valid_records"]
    assert not Train(**inputs)._filled_config().eval_input_reader


def test_a_misspelt_field_is_told_with_line_and_nearest(inputs, tmp_path):
    text = inputs["config"].read_text().replace("num_classes", "num_clases")
    inputs["config"].write_text(text)
    message = refuse(inputs, tmp_path / "out")
    assert 'Did you mean "num_classes"' in message
    assert "pipeline.config:" in message


def test_records_without_an_example_are_refused(inputs, tmp_path):
    assert "no record" in refuse(inputs, tmp_path / "out", InputError)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"valid_records": None, "evaluate_every": 10}, "evaluate_every needs valid_records"),
        ({"patience": 2}, "patience needs evaluate_every"),
        ({"workers": 2}, "workers needs strategy: ray"),
    ],
)
def test_what_needs_another_field_says_so(inputs, given, message):
    with pytest.raises(ValidationError, match=message):
        Train(**inputs | given)


def test_fields_of_the_config_can_be_set_and_the_stages_inputs_win(inputs):
    changes = {"train_config.batch_size": 5, "train_config.num_steps": "9"}
    config = Train(**inputs, set=changes, num_steps=7)._filled_config()
    assert (config.train_config.batch_size, config.train_config.num_steps) == (5, 7)


def test_training_for_ever_is_refused(inputs, tmp_path):
    message = refuse(inputs | {"set": {"train_config.num_steps": 0}}, tmp_path / "out")
    assert "train_config.num_steps is 0 (for ever). Give the stage num_steps." in message


def test_strict_makes_an_error_of_what_is_not_followed(inputs, tmp_path):
    changes = {"train_config.data_augmentation_options[2]": "{ random_black_patches {} }"}
    message = refuse(inputs | {"set": changes, "strict": True}, tmp_path / "out")
    assert "random_black_patches" in message
    assert "unsupported" in message


def test_a_class_id_beyond_the_config_is_told_before_tensorflow_is_needed(inputs, tmp_path):
    write_records(inputs["train_records"], [example(classes=[1, 4])])
    assert "class" in refuse(inputs, tmp_path / "out", InputError)


def example(classes):
    import io

    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (40, 30)).save(picture, "PNG")
    corners = {"ymin": 0.1, "xmin": 0.1, "ymax": 0.5, "xmax": 0.6}
    return encode_example(
        {
            "image/encoded": [picture.getvalue()],
            "image/filename": [b"cells.png"],
            "image/object/class/label": np.array(classes),
            **{
                f"image/object/bbox/{side}": np.full(len(classes), at, np.float32)
                for side, at in corners.items()
            },
        }
    )


def test_damaged_records_are_refused(inputs, tmp_path):
    inputs["train_records"].write_bytes(b"no record at all")
    assert "train.record" in refuse(inputs, tmp_path / "out", InputError)


def test_refusing_needs_no_tensorflow(inputs, tmp_path):
    """A wrong config is told at once, not after seconds of imports."""
    text = inputs["config"].read_text().replace("num_classes: 3", "num_classes: 4")
    inputs["config"].write_text(text)
    flags = [f"--{name.replace('_', '-')}={path}" for name, path in inputs.items()]
    code = (
        "import sys; from odflow.cli import main; "
        f"code = main(['train', *{flags!r}, '--out', {str(tmp_path / 'out')!r}]); "
        "assert code == 2, code; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_files_of_a_checkpoint_count_as_read(inputs, tmp_path):
    for name in ("ckpt-7.index", "ckpt-7.data-00000-of-00001", "ckpt-70.index", "other"):
        (tmp_path / "start" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "start" / name).write_bytes(b"")
    of_index = Train(**inputs, fine_tune_checkpoint=tmp_path / "start/ckpt-7.index").also_reads()
    assert [path.name for path in of_index] == ["ckpt-7.data-00000-of-00001", "ckpt-7.index"]

    prefix = tmp_path / "start/ckpt-7"
    text = inputs["config"].read_text()
    inputs["config"].write_text(
        text.replace("train_config {", f'train_config {{ fine_tune_checkpoint: "{prefix}"')
    )
    assert Train(**inputs).also_reads() == list(of_index)
    assert Train(**inputs | {"fine_tune_checkpoint": tmp_path / "x"}).also_reads() == []
