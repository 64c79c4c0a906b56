"""Operations that reach beyond a graph: a model is a program, and may read and write files as one.

A graph from elsewhere is run only when it holds none of them, or when its user trusts it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from odflow.errors import InputError
from odflow.inference.session import first_line
from odflow.left_out import first_names
from odflow.regular import read_regular

_FILES = (
    r"ReadFile|WriteFile|MatchingFiles|RecordInput|DumpTensor|FileSystemSetConfiguration|LoadAndRemapMatrix|"
    r"GenerateVocabRemapping|InitializeTableFromTextFile|FixedUnigramCandidateSampler|Skipgram|"
    r"CalibrationStatisticsSaver|MergeV2Checkpoints|DistributedSave|Debug(Identity|NanCount|NumericSummary)|"
    r"(Create|Close|Flush|StatsAggregatorSet)?Summary(File|Db)?Writer|"
    r"Write\w*Summary|(LMDB|WholeFile|TextLine|TFRecord|FixedLengthRecord)Reader|"
    r"(DTensor)?(Save|Restore)(Slices?)?|"
    r"(Experimental)?(LMDB|CSV|TextLine|TFRecord|FixedLengthRecord|MatchingFiles|Cache|Snapshot|Save|Load|Sql|"
    r"ListSnapshotChunks|SnapshotChunk|SnapshotNested)Dataset(Reader)?|SnapshotNestedDatasetReader|"
    r"(Experimental)?DatasetToTFRecord"
)
_PYTHON = r"PyFunc|PyFuncStateless|EagerPyFunc"
_NETWORK = (
    r"Rpc\w+|DeleteRpcFutureResource|RegisterDataset|DataServiceDataset|RemoteCall|Collective\w+|"
    r"BigQueryReader|BigtableClient|(Host)?(Send|Recv)|ConfigureDistributedTPU|XlaCustomCall"
)
_REACHES = re.compile(rf"_?({_FILES}|{_PYTHON}|{_NETWORK})(V\d+)?")
_RESTORES = re.compile(r"Restore(V2|Slice)?")
_TO_FILE = b"file://"  # where PrintV2 prints to a file
_SELECTED = re.compile(rb"Flex([A-Za-z0-9]+)")  # TensorFlow's operations in a TFLite file, by its own names


def reaches_beyond(operation: str) -> bool:
    """Whether an operation of TensorFlow can touch files, Python or the network.

    >>> [name for name in ("Conv2D", "WriteFile", "EagerPyFunc", "RestoreV2") if reaches_beyond(name)]
    ['WriteFile', 'EagerPyFunc', 'RestoreV2']
    """
    return _REACHES.fullmatch(operation) is not None


def check_graph(graph_def: Any, place: str) -> None:
    """See that a frozen graph reaches nothing beyond it.

    Args:
        graph_def: a `GraphDef`. Its functions count too.
        place: what messages call the model.

    Raises:
        InputError: it holds such an operation.
    """
    functions = (node for function in graph_def.library.function for node in function.node_def)
    _refuse(_reaching([*graph_def.node, *functions]), place)


def check_saved_model(folder: Path) -> None:
    """See that what a SavedModel computes reaches nothing beyond it.

    Its own saving and restoring do not count: what writes its variables is never run, and what
    reads them is run by TensorFlow's loader.

    Args:
        folder: of the SavedModel.

    Raises:
        InputError: it is damaged, or holds such an operation.
    """
    from tensorflow.python.saved_model.loader_impl import parse_saved_model

    try:
        graphs = parse_saved_model(str(folder)).meta_graphs
    except Exception as error:  # OSError, and several of protobuf's
        raise InputError(f"{folder}: TensorFlow cannot load it ({first_line(error)}).") from None
    for meta in graphs:
        restoring = {meta.saver_def.restore_op_name}
        computed = _reaching(_run(meta.graph_def, _starts(meta)))
        loaded = _reaching(_run(meta.graph_def, restoring), but=_RESTORES)
        _refuse([*computed, *loaded], str(folder))


def check_tflite(path: Path) -> None:
    """See that a TFLite file holds no operation of TensorFlow that reaches beyond it.

    Raises:
        InputError: it holds one.
    """
    names = {name.decode() for name in _SELECTED.findall(read_regular(path))}
    _refuse(sorted(filter(reaches_beyond, names)), str(path))


def _refuse(operations: Iterable[str], place: str) -> None:
    found = list(dict.fromkeys(operations))
    if found:
        raise InputError(
            f"{place}: holds operations that reach files, Python or the network ({first_names(found)}). "
            "Where you trust who made it, set trust_model: true."
        )


def _reaching(nodes: Iterable[Any], but: re.Pattern[str] | None = None) -> list[str]:
    """The operations of some nodes that reach beyond the graph."""
    return [
        node.op
        for node in nodes
        if (reaches_beyond(node.op) and not (but and but.fullmatch(node.op)))
        or (node.op == "PrintV2" and node.attr["output_stream"].s.startswith(_TO_FILE))
    ]


def _starts(meta: Any) -> set[str]:
    """The nodes of which TensorFlow computes what loading and the signatures need."""
    outputs = {tensor.name for one in meta.signature_def.values() for tensor in one.outputs.values()}
    begins = {name for held in meta.collection_def.values() for name in held.node_list.value}
    return outputs | begins


def _run(graph_def: Any, starts: Collection[str]) -> Iterator[Any]:
    """All nodes that are run to compute some, those of functions among them."""
    nodes = {node.name: node for node in graph_def.node}
    functions = {function.signature.name: function for function in graph_def.library.function}
    called: set[str] = set()
    waiting = [nodes[name] for name in {_node_name(start) for start in starts} if name in nodes]
    seen = {node.name for node in waiting}
    while waiting:
        node = waiting.pop()
        yield node
        for name in map(_node_name, node.input):
            if name in nodes and name not in seen:
                seen.add(name)
                waiting.append(nodes[name])
        for name in _functions(node):
            if name in functions and name not in called:
                called.add(name)
                # A node of a function may be called as one outside, and its inputs as none.
                waiting.extend(_inside(functions[name]))


def _inside(function: Any) -> Iterator[Any]:
    for node in function.node_def:
        inner = type(node)()
        inner.CopyFrom(node)
        del inner.input[:]
        yield inner


def _functions(node: Any) -> Iterator[str]:
    """The functions that a node calls: by its operation, or by its attributes."""
    yield node.op
    waiting = list(node.attr.values())
    while waiting:
        value = waiting.pop()
        for function in (value.func, *value.list.func):
            yield function.name
            waiting.extend(function.attr.values())


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]
