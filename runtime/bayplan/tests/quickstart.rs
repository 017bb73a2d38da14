//! The example of the documentation, run.

include!("../examples/quickstart/quickstart.rs");

#[test]
fn the_example_runs() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::set_current_dir(root).expect("the folder of the workspace");
    main().expect("the example runs");
}
