//! Protobuf messages of ONNX, generated (see `proto/README.md`).

#[rustfmt::skip]
#[allow(missing_docs, unreachable_pub, clippy::all, reason = "generated code")]
pub(crate) mod onnx;
