//! What one session made is what another reads, on the same device without a way through the host.

use bayplan::{DType, Device, DeviceTensor, Input, InputPolicy, Options, Owned, Policies, Session};
use bayplan_tests::backend::Backend;
use bayplan_tests::on_every_backend;

use crate::model::{arena, each_its_own, expected, same, session, x};

/// Runs a session on what lies somewhere, and demands what it makes of it.
fn reads(
    what: &str,
    session: &mut Session,
    input: Input<'_>,
    mine: &mut DeviceTensor,
    expected: &[Vec<f32>; 3],
) {
    let mut outputs =
        session.call(Default::default(), &[("x", input)], &mut [("mine", mine)]).expect("a run");
    let [minus, relu, both] = expected;
    same(what, outputs.get("lent").expect("it is lent").to_tensor(), minus);
    same(what, outputs.take("kept").expect("it is kept").to_tensor(), relu);
    same(what, mine.to_tensor(), both);
}

/// A buffer with the numbers of `x`, and a kept output that holds them where they are not negative.
fn made(device: &Device, session: &mut Session) -> (DeviceTensor, Owned) {
    let x = x(9, 6);
    let mut written = device.tensor(DType::F32, &[20, 8]).expect("a buffer");
    written.write(&x).expect("it fits");
    let mut mine = device.tensor(DType::F32, &[20, 16]).expect("a buffer");
    let mut outputs = session.run_into(&[("x", &x)], &mut [("mine", &mut mine)]).expect("a run");
    let kept = outputs.take("kept").expect("it is kept");
    (written, kept)
}

fn across_sessions(backend: Backend) {
    let device = backend.device();
    let mut maker = session(&device, &each_its_own(), arena(4096));
    let (written, kept) = made(&device, &mut maker);
    let inputs = [written.to_tensor(), kept.to_tensor()].map(|tensor| tensor.expect("a copy"));
    // Inputs are planned, and copied into the arena, or the caller's, and read where they lie.
    for inputs_are in [InputPolicy::Planned, InputPolicy::Caller] {
        let options = Options { inputs: Policies::all(inputs_are), ..each_its_own() };
        let mut reader = session(&device, &options, arena(4096));
        let mut mine = device.tensor(DType::F32, &[20, 16]).expect("a buffer");
        for (input, numbers) in [Input::from(&written), Input::from(&kept)].into_iter().zip(&inputs) {
            let what = format!("{inputs_are:?}");
            reads(&what, &mut reader, input, &mut mine, &expected(numbers));
            reads(&what, &mut reader, Input::from(numbers), &mut mine, &expected(numbers));
        }
    }
    // What was read is as it was.
    for (tensor, before) in [written.to_tensor(), kept.to_tensor()].into_iter().zip(&inputs) {
        assert_eq!(&tensor.expect("a copy"), before);
    }
    drop(maker);
    let mut reader = session(&device, &each_its_own(), arena(4096));
    let mut mine = device.tensor(DType::F32, &[20, 16]).expect("a buffer");
    reads("kept beyond its session", &mut reader, Input::from(&kept), &mut mine, &expected(&inputs[1]));
}

/// What lies on another device goes through the host, for inputs.
fn across_devices(backend: Backend) {
    let device = backend.device();
    let mut reader = session(&device, &each_its_own(), arena(4096));
    let mut mine = device.tensor(DType::F32, &[20, 16]).expect("a buffer");
    // The same driver opened once more is another device.
    for other in [Backend::Host, Backend::Lavapipe].map(Backend::device) {
        let mut maker = session(&other, &each_its_own(), arena(4096));
        let (written, kept) = made(&other, &mut maker);
        for (input, numbers) in
            [(Input::from(&written), written.to_tensor()), (Input::from(&kept), kept.to_tensor())]
        {
            reads(other.name(), &mut reader, input, &mut mine, &expected(&numbers.expect("a copy")));
        }
    }
}

on_every_backend! {
    outputs_are_inputs_of_other_sessions => across_sessions;
    outputs_of_other_devices_are_copied => across_devices;
}
