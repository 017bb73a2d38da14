#!/usr/bin/env python3
"""A receiver of OpenTelemetry metrics that reads requests by the published definitions.

Prints the port it listens on, then one line of JSON for each request: the resource's attributes, and of each metric its
kind, unit and points. Ends when its standard input does.
"""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)


def attributes(pairs):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def point(data):
    labels = attributes(data.attributes)
    if hasattr(data, "quantile_values"):
        quantiles = [[q.quantile, q.value] for q in data.quantile_values]
        return {"labels": labels, "count": data.count, "sum": data.sum, "quantiles": quantiles}
    return {"labels": labels, "value": getattr(data, data.WhichOneof("value"))}


def told(request):
    resource = request.resource_metrics[0]
    metrics = {}
    for metric in resource.scope_metrics[0].metrics:
        kind = metric.WhichOneof("data")
        points = [point(data) for data in getattr(metric, kind).data_points]
        metrics[metric.name] = {"kind": kind, "unit": metric.unit, "points": points}
    return {"resource": attributes(resource.resource.attributes), "metrics": metrics}


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sound = self.path == "/v1/metrics" and self.headers["Content-Type"] == "application/x-protobuf"
        if sound:
            print(json.dumps(told(ExportMetricsServiceRequest.FromString(body))), flush=True)
        answer = ExportMetricsServiceResponse().SerializeToString()
        self.send_response(200 if sound else 400)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def main():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    print(server.server_address[1], flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
