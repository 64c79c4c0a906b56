"""What a CenterNet takes of another one's checkpoint."""

import dataclasses

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def checkpoint(settings, tmp_path_factory):
    """Of a CenterNet for five classes, every variable drawn."""
    from odflow.odapi.checkpoint import read_checkpoint
    from odflow.training.architecture import architecture
    from odflow.training.checkpoints import save_weights

    model = dataclasses.replace(settings.model, num_classes=5)
    network = architecture(dataclasses.replace(settings, model=model)).build()
    rng = np.random.default_rng(2)
    for variable in network.variables:
        variable.assign(rng.random(variable.shape))
    folder = tmp_path_factory.mktemp("five")
    save_weights(network, folder, 7)
    return read_checkpoint(folder)


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        ("classification", {"object_center", "box.Sscale", "box.Soffset"}),
        ("detection", {"object_center", "box.Sscale", "box.Soffset"}),
        ("full", {"object_center"}),
    ],
)
def test_other_classes_keep_all_but_the_last_class_layer(settings, checkpoint, kind, left):
    from odflow.training.architecture import architecture
    from odflow.training.checkpoints import fill, variables_by_name

    center_net = architecture(settings)
    network = center_net.build()
    report = fill(network, checkpoint, center_net.parts, kind)
    heads = "model/_prediction_head_dict/"
    assert {name.split("/")[2] for name in report.left} == left
    assert all(name.startswith(heads) for name in report.left)
    if kind == "full":
        last = f"{heads}object_center/0/layer_with_weights-1/"
        assert set(report.left) == {f"{last}kernel", f"{last}bias"}
    variables = variables_by_name(network)
    for name in report.loaded:
        np.testing.assert_array_equal(variables[name], checkpoint[name])
