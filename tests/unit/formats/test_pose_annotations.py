import json

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from odflow.errors import InputError
from odflow.formats import flic, lsp, mpii
from odflow.formats.coco_keypoints import read_coco_keypoints
from odflow.formats.flic import read_flic
from odflow.formats.keypoints import joints_of
from odflow.formats.lsp import read_lsp
from odflow.formats.mpii import read_mpii
from odflow.heads.pose.skeleton import read_skeleton


def whys(faults):
    return [fault.why for fault in faults]


@pytest.mark.parametrize("form", [mpii, lsp])
def test_a_format_has_the_joints_of_its_skeleton(form):
    assert read_skeleton(form.__name__.rpartition(".")[2]).joints == form.JOINTS


class TestMpii:
    @pytest.fixture
    def read(self, tmp_path):
        def of(entries):
            (tmp_path / "train.json").write_text(entries if isinstance(entries, str) else json.dumps(entries))
            return read_mpii(tmp_path / "train.json")

        return of

    @pytest.fixture
    def person(self):
        joints = [[10.0 * k, 5.0 * k] for k in range(16)]
        return {
            "image": "a.jpg",
            "joints": joints,
            "joints_vis": [1] * 16,
            "scale": 3.02,
            "center": [594, 257],
        }

    def test_a_person_is_read(self, read, person):
        table = read([person, person | {"image": "b.jpg"}, person]).table
        assert table[["filename", "person", "center_x", "center_y", "scale"]].to_numpy().tolist() == [
            ["a.jpg", 0, 594, 257, 3.02],
            ["b.jpg", 0, 594, 257, 3.02],
            ["a.jpg", 1, 594, 257, 3.02],
        ]
        assert joints_of(table, mpii.JOINTS)[0].tolist() == [[10 * k, 5 * k, 2] for k in range(16)]

    def test_a_joint_is_unlabelled_by_its_flag_or_at_minus_one(self, read, person):
        person["joints_vis"][2] = 0
        person["joints"][3] = [-1, -1]
        person["joints"][4] = [-8, -1]
        found = joints_of(read([person]).table, mpii.JOINTS)[0]
        assert found[2:5].tolist() == [[20, 10, 0], [-1, -1, 0], [-8, -1, 2]]

    def test_a_nan_joint_counts_as_not_labelled_and_is_told(self, read, person, tmp_path):
        person["joints"][1][0] = person["joints"][15][1] = float("nan")
        people = read([person])
        assert joints_of(people.table, mpii.JOINTS)[0, [0, 1, 15], 2].tolist() == [2, 0, 0]
        assert list(map(str, people.mended)) == [
            f"{tmp_path / 'train.json'}: [0] (a.jpg): right_knee, left_wrist at NaN"
        ]

    def test_center_and_scale_may_be_missing(self, read, person):
        table = read([person | {"center": None, "scale": -1}]).table
        assert table[["center_x", "center_y", "scale"]].isna().all(axis=None)

    def test_a_person_of_another_form_is_left_out_and_told(self, read, person, tmp_path):
        wrong = [
            person | {"joints": person["joints"][:14]},
            {"image": "b.jpg"},
            person | {"image": "../../etc/passwd"},
            person | {"image": 7},
            person | {"joints": [[1], [2, 3]]},
            person | {"joints": None},
            person | {"center": [1, 2, 3]},
            person | {"scale": "tall"},
            None,
            [],
            7,
        ]
        people = read([*wrong, person])
        assert people.table.index.to_list() == [len(wrong)]
        assert len(people.left_out) == len(wrong)
        assert str(people.left_out[0]) == (
            f"{tmp_path / 'train.json'}: [0] (a.jpg): it has 14 joints and 16 joints_vis; wanted 16"
        )
        assert str(people.left_out[1]).endswith("[1] (b.jpg): it lacks 'joints'")

    @pytest.mark.parametrize("text", ["", '[{"image": "a.jpg", ', "{}", "[" * 100_000, "\x00"])
    def test_something_else_is_an_error(self, read, text):
        with pytest.raises(InputError, match=r"train\.json: "):
            read(text)


class TestFlic:
    @pytest.fixture(scope="class")
    def path(self, shared):
        return shared / "data/flic/examples.mat"

    @pytest.fixture(scope="class")
    def people(self, path):
        return read_flic(path)

    def test_the_split_is_the_files_own(self, people):
        assert people.table["split"].value_counts().to_dict() == {"train": 3987, "test": 1016}
        assert not people.left_out
        assert not people.mended

    def test_joints_stay_where_they_are(self, people, path):
        coords = np.stack(loadmat(path)["examples"][0]["coords"])  # (5003, 2, 29)
        found = joints_of(people.table, flic.JOINTS)
        labelled = ~np.isnan(coords[:, 0])
        np.testing.assert_array_equal(found[:, :, 2] > 0, labelled)
        np.testing.assert_array_equal(
            found[:, :, :2][labelled], coords.swapaxes(1, 2)[labelled].astype(np.float32)
        )

    def test_joints_outside_the_image_are_occluded(self, people):
        x, y, v = np.moveaxis(joints_of(people.table, flic.JOINTS), 2, 0)
        outside = (v > 0) & ((x < 0) | (y < 0) | (x > 720) | (y > 480))
        assert 0 < outside.sum() < 100
        np.testing.assert_array_equal(v == 1, outside)

    def test_people_of_one_image_are_numbered(self, people):
        assert people.table["filename"].nunique() == 4552
        assert people.table["person"].value_counts().to_dict() == {0: 4552, 1: 434, 2: 17}

    def test_an_example_of_another_form_is_left_out_and_told(self, tmp_path):
        kinds = [(name, object) for name in ("coords", "filepath", "imgdims", "istrain", "istest")]
        good, size = np.ones((2, 29)), np.array([[480, 720, 3]])
        rows = [
            (np.ones((2, 14)), "a.jpg", size, 1, 0),
            (good, "../b.jpg", size, 1, 0),
            (good, "c.jpg", np.array([[480]]), 1, 0),
            (good * np.inf, "d.jpg", size, 0, 1),
            (good, "e.jpg", size, 0, 0),
        ]
        examples = np.array(rows, dtype=kinds)
        savemat(tmp_path / "examples.mat", {"examples": examples})
        people = read_flic(tmp_path / "examples.mat")
        assert [fault.where.rpartition(": ")[2] for fault in people.left_out] == [
            "examples[0] (a.jpg)",
            "examples[1] (../b.jpg)",
            "examples[2] (c.jpg)",
        ]
        assert people.table["split"].to_list() == ["test", ""]
        assert joints_of(people.table, flic.JOINTS)[:, :, 2].max(axis=1).tolist() == [0, 2]

    @pytest.mark.parametrize(
        "content", [{"joints": np.ones(3)}, {"examples": np.ones(3)}, {"examples": "hello"}]
    )
    def test_another_mat_file_is_no_flic_file(self, tmp_path, content):
        savemat(tmp_path / "other.mat", content)
        with pytest.raises(InputError, match=r"other\.mat: is no FLIC file"):
            read_flic(tmp_path / "other.mat")

    @pytest.mark.parametrize("share", [0, 0.0001, 0.5, 0.999])
    def test_a_file_that_is_cut_off_is_no_flic_file(self, tmp_path, path, share):
        data = path.read_bytes()
        (tmp_path / "cut.mat").write_bytes(data[: int(len(data) * share)])
        with pytest.raises(InputError, match=r"cut\.mat: is no FLIC file"):
            read_flic(tmp_path / "cut.mat")

    def test_a_missing_file_is_an_error(self, tmp_path):
        with pytest.raises(InputError, match=r"none\.mat"):
            read_flic(tmp_path / "none.mat")


class TestLsp:
    def test_lsp_extended_is_read_as_it_is(self, shared):
        path = shared / "data/lsp/joints.mat"
        people, truth = read_lsp(path), loadmat(path)["joints"]
        assert people.table["filename"].iloc[[0, 399]].to_list() == ["im00001.jpg", "im00400.jpg"]
        found = joints_of(people.table, lsp.JOINTS)
        np.testing.assert_array_equal(found[:, :, :2], np.moveaxis(truth, 2, 0)[:, :, :2].astype(np.float32))
        np.testing.assert_array_equal(found[:, :, 2], np.where(truth[:, 2].T == 1, 2, 0))
        names = {image.name for image in (shared / "data/lsp/images").iterdir()}
        assert set(people.table["filename"]) == names

    def test_lsp_marks_hidden_joints(self, tmp_path):
        joints = np.zeros((3, 14, 2))
        joints[:, 5, 1] = 30, 40, 1
        savemat(tmp_path / "joints.mat", {"joints": joints})
        people = read_lsp(tmp_path / "joints.mat")
        assert people.table["filename"].to_list() == ["im0001.jpg", "im0002.jpg"]
        assert joints_of(people.table, lsp.JOINTS)[1, 4:6].tolist() == [[0, 0, 2], [30, 40, 1]]

    @pytest.mark.parametrize(
        "joints", [np.zeros((16, 3, 4)), np.zeros((14, 3)), np.zeros((3, 3, 14)), "text"]
    )
    def test_other_joints_are_an_error(self, tmp_path, joints):
        savemat(tmp_path / "joints.mat", {"joints": joints})
        with pytest.raises(InputError, match=r"joints\.mat: is no LSP file"):
            read_lsp(tmp_path / "joints.mat")


class TestCoco:
    @pytest.fixture
    def coco(self):
        joints = list(read_skeleton("coco").joints)
        keypoints = [number for k in range(17) for number in ((3 * k, 2 * k + 0.5, k % 3))]
        one = {"image_id": 9, "category_id": 1, "keypoints": keypoints, "num_keypoints": 11, "iscrowd": 0}
        one |= {"bbox": [10.5, 20, 30, 40], "area": 612.5}
        return {
            "images": [
                {"id": 9, "file_name": "nine.jpg", "width": 640, "height": 480},
                {"id": 4, "file_name": "four.jpg", "width": 320, "height": 240},
            ],
            "annotations": [
                one | {"id": 100},
                one | {"id": 101, "iscrowd": 1, "keypoints": [0] * 51},
                one | {"id": 102, "image_id": 4},
                {"id": 103, "image_id": 4, "category_id": 2, "bbox": [1, 2, 3, 4]},
                one | {"id": 104, "keypoints": [0] * 51, "num_keypoints": 0},
            ],
            "categories": [{"id": 2, "name": "dog"}, {"id": 1, "name": "person", "keypoints": joints}],
        }

    @pytest.fixture
    def read(self, tmp_path):
        def of(data):
            (tmp_path / "people.json").write_text(json.dumps(data))
            return read_coco_keypoints(tmp_path / "people.json")

        return of

    @pytest.mark.parametrize("width", [None, "640", [640], {}, True, -1, 0, float("nan")])
    def test_a_size_that_is_no_number_counts_as_not_given(self, read, coco, width):
        coco["images"][0]["width"] = width
        people = read(coco)
        assert np.isnan(people.table["width"].to_numpy(float)).tolist() == [True, False, True]
        assert whys(people.left_out) == ["it is a crowd"]

    def test_joints_of_one_name_are_refused(self, read, coco):
        coco["categories"][1]["keypoints"][3] = "nose"
        with pytest.raises(InputError, match="names that come twice"):
            read(coco)

    def test_people_are_those_that_pycocotools_finds(self, read, coco, tmp_path):
        from pycocotools.coco import COCO

        people = read(coco)
        assert people.joints == read_skeleton("coco").joints
        oracle = COCO(str(tmp_path / "people.json"))
        ids = oracle.getAnnIds(catIds=oracle.getCatIds("person"), iscrowd=False)
        assert len(people.table) == len(ids) == 3
        for annotation, (_, row) in zip(oracle.loadAnns(ids), people.table.iterrows(), strict=True):
            image = oracle.loadImgs(annotation["image_id"])[0]
            assert row[["filename", "width", "height"]].to_list() == [
                image[key] for key in ("file_name", "width", "height")
            ]
            x, y, width, height = annotation["bbox"]
            box = row[["xmin", "ymin", "xmax", "ymax", "area"]].to_list()
            assert box == [x, y, x + width, y + height, annotation["area"]]
        found = joints_of(people.table, people.joints).reshape(3, -1)
        np.testing.assert_array_equal(found, [one["keypoints"] for one in oracle.loadAnns(ids)])

    def test_a_crowd_is_left_out_and_told(self, read, coco, tmp_path):
        assert list(map(str, read(coco).left_out)) == [
            f"{tmp_path / 'people.json'}: annotations[1] (nine.jpg): it is a crowd"
        ]

    def test_an_annotation_of_another_form_is_left_out_and_told(self, read, coco):
        first = coco["annotations"][0]
        wrong = [
            first | {"keypoints": first["keypoints"][:48]},
            first | {"image_id": 5},
            first | {"bbox": [1, 2]},
            first | {"keypoints": [1, 2, 3] * 17},
            first | {"image_id": [9]},
            "text",
            {},
        ]
        people = read(coco | {"annotations": [*wrong, first]})
        assert people.table.index.to_list() == [len(wrong)]
        assert whys(people.left_out)[0] == "it has 48 numbers in keypoints; wanted 51"
        assert len(people.left_out) == len(wrong)

    @pytest.mark.parametrize("key", ["images", "annotations", "categories"])
    def test_a_file_without_its_lists_is_no_coco_file(self, read, coco, key):
        del coco[key]
        with pytest.raises(InputError, match="is no COCO file"):
            read(coco)

    def test_boxes_alone_are_no_keypoints(self, read, coco):
        del coco["categories"][1]["keypoints"]
        with pytest.raises(InputError, match="0 categories have keypoints"):
            read(coco)
