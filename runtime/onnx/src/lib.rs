//! ONNX models to graphs.
