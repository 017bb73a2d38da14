"""Writing an exported graph to one self-contained ONNX file, and saying what is in it."""

from pathlib import Path

import onnx

OPSET = 18


def save(model, path, renamed=None):
    """Tidy the exporter's graph, check it and write it to `path`, the same bytes for the same graph.

    Dropped is what the exporter notes about its own run, which names source files. `renamed` maps the exporter's expressions for
    symbolic dims (such as `past + seq`) to the names wanted.
    """
    graph = model.graph
    del model.metadata_props[:], graph.metadata_props[:]
    graph.doc_string = ""
    for item in [*graph.node, *graph.value_info, *graph.initializer, *graph.input, *graph.output]:
        item.doc_string = ""
        del item.metadata_props[:]
    for value in [*graph.input, *graph.output, *graph.value_info]:
        for dim in value.type.tensor_type.shape.dim:
            if renamed and dim.dim_param in renamed:
                dim.dim_param = renamed[dim.dim_param]
    onnx.checker.check_model(model, full_check=True)
    Path(path).write_bytes(model.SerializeToString(deterministic=True))


def describe(model):
    """One line: operators by count, symbolic dims and size."""
    counts = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    operators = ", ".join(f"{name} {count}" for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
    edges = [*model.graph.input, *model.graph.output]
    symbols = sorted({dim.dim_param for value in edges for dim in value.type.tensor_type.shape.dim if dim.dim_param})
    return f"{len(model.graph.node)} nodes ({operators}); symbolic dims {', '.join(symbols)}; {model.ByteSize():,} bytes"
