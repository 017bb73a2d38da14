//! A session whose weights stay in their file.

use bayplan::{Device, Io, Model, PackedFiles, Packer, SessionOptions, WeightsPath, weights_path};
use bayplan_tests::{reference_cases, root, session};

/// Runs a packed model on each of its cases, its weights read where the packed file has them, and expects that nothing was said.
pub(crate) fn silent(device: &Device) {
    let folder = tempfile::tempdir().expect("a folder");
    let (out, data) = (folder.path().join("chars.bay.onnx"), folder.path().join("chars.bay.onnx.data"));
    let mut packer = Packer::open(root().join("assets/chars.onnx"), None).expect("a packer");
    let to = PackedFiles { name: &out, data_name: &data, model: &out, data: &data };
    packer.write(to, &mut |_| true).expect("it is packed");
    let model = Model::open(&out).expect("the packed model");
    for case in reference_cases("chars") {
        let inputs = session::inputs(&case);
        let dims = session::dims(&case);
        let run = |io: Io| {
            let options = SessionOptions { io, ..SessionOptions::default() };
            let mut own = model.session(device, &dims, options).expect("a session");
            let imported = own.imported().map_or(0, |told| told.bytes);
            let outputs = session::run(&mut own, &inputs);
            let all = outputs.iter().map(|output| output.to_tensor().expect("a tensor").into_bytes());
            (imported, all.collect::<Vec<_>>())
        };
        let ((none, usual), (imported, same)) = (run(Io::Auto), run(Io::Import));
        let can = weights_path(device.info().expect("a driver"), Io::Import) == WeightsPath::Imported;
        assert_eq!((none, imported > 0), (0, can), "{}", case.name);
        assert!(usual == same, "{}: other outputs", case.name);
    }
    assert_eq!(device.message_count(), 0, "{:#?}", device.messages());
}
