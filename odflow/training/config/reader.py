"""Read the input reader of a pipeline.config."""

from __future__ import annotations

from odflow.odapi.protos.input_reader_pb2 import PNG_MASKS, TF_SEQUENCE_EXAMPLE
from odflow.odapi.section import Section
from odflow.training.settings import Reader


def read_reader(reader: Section, train: Section) -> Reader:
    """Read `train_input_reader`; its paths are the stage's inputs.

    Args:
        reader: the reader.
        train: the train_config, whose older field for the number of boxes counts where the
            reader has none.

    Raises:
        ConfigError: another form of input than examples in records.
    """
    _refuse_other_inputs(reader)
    _tell_what_is_not_read(reader)
    _tell_what_does_not_apply(reader)
    masks = "png" if reader.message.mask_type == PNG_MASKS else "numerical"
    reader.honour("mask_type")
    return Reader(
        shuffle=reader["shuffle"],
        shuffle_buffer=max(1, reader["shuffle_buffer_size"]),
        files_at_once=reader.to_train(lambda: reader.positive("num_readers"), 1),
        block_length=reader.to_train(lambda: reader.positive("read_block_length"), 1),
        sample_1_of_n=reader.to_train(lambda: reader.positive("sample_1_of_n_examples"), 1),
        max_boxes=reader.to_train(lambda: _max_boxes(reader, train), 1),
        masks=masks if reader["load_instance_masks"] else "",
        keypoints=reader["num_keypoints"],
    )


def _max_boxes(reader: Section, train: Section) -> int:
    if train.has("max_number_of_boxes") and not reader.has("max_number_of_boxes"):
        return train.positive("max_number_of_boxes")
    train.skip("max_number_of_boxes", "train_input_reader.max_number_of_boxes replaces it")
    return reader.positive("max_number_of_boxes")


def _refuse_other_inputs(reader: Section) -> None:
    if reader.message.load_context_features:
        raise reader.refuse("load_context_features", "true", "false, and a detector without context")
    if reader.message.input_type == TF_SEQUENCE_EXAMPLE:
        raise reader.refuse("input_type", "TF_SEQUENCE_EXAMPLE", "TF_EXAMPLE, one image a record")
    if reader.message.WhichOneof("input_reader") == "external_input_reader":
        raise reader.refuse("external_input_reader", "set", "tf_record_input_reader")
    reader.honour("load_context_features", "input_type", "label_map_path", "tf_record_input_reader")


def _tell_what_is_not_read(reader: Section) -> None:
    for name in (
        "num_additional_channels",
        "load_multiclass_scores",
        "load_context_image_ids",
        "load_dense_pose",
        "load_track_id",
        "load_keypoint_depth_features",
        "use_keypoint_label_map",
        "expand_labels_hierarchy",
        "keypoint_type_weight",
        "sample_from_datasets_weights",
    ):
        if getattr(reader.message, name):
            reader.unsupported(name, "images with boxes, masks and keypoints are read, all alike")
        else:
            reader.honour(name)


def _tell_what_does_not_apply(reader: Section) -> None:
    reader.honour("use_display_name", "include_source_id", "drop_remainder")
    if reader.message.num_epochs:
        reader.skip("num_epochs", "num_steps decides how long is trained")
    else:
        reader.honour("num_epochs")
    reader.skip("name", "reports name the records")
    reader.skip("filenames_shuffle_buffer_size", "all files are shuffled, each epoch anew")
    reader.skip("frame_index", "only of sequences")
    for name in ("num_parallel_batches", "num_prefetch_batches", "num_parallel_map_calls", "prefetch_size"):
        reader.skip(name, "the reader adapts to the machine")
    for name in ("queue_capacity", "min_after_dequeue"):
        reader.skip(name, "a queue of TensorFlow 1")
