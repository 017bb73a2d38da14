//! The committed protobuf code is what its `.proto` file generates (without `protoc`).

use std::path::Path;

#[test]
fn code_is_generated_from_the_proto_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let proto = root.join("proto/onnx-ml.proto");
    let descriptors = protox::compile([&proto], [root.join("proto")]).expect("the proto file compiles");
    let out = tempfile::tempdir().expect("a temporary folder");
    prost_build::Config::new()
        .out_dir(out.path())
        .disable_comments(["."])
        .compile_fds(descriptors)
        .expect("code is generated");
    let fresh = std::fs::read_to_string(out.path().join("onnx.rs")).expect("the generated file");
    let committed_path = root.join("src/generated/onnx.rs");
    if std::env::var_os("BAYPLAN_BLESS").is_some() {
        std::fs::write(&committed_path, &fresh).expect("the committed file is replaced");
    }
    let committed = std::fs::read_to_string(&committed_path).expect("the committed file");
    assert!(
        fresh == committed,
        "src/generated/onnx.rs is stale; see proto/README.md for how to regenerate it"
    );
}
