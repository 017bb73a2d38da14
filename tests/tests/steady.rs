//! A session whose shape changes at every run takes no more memory for it: neither the device's nor the process's. One test
//! alone in its process, so that nothing else grows meanwhile.

use bayplan::{Device, Dims, Level, Model, Places, RecordingOptions, SessionOptions};
use bayplan_tests::backend::Backend;
use bayplan_tests::decoder::Decoder;
use bayplan_tests::random::Random;
use bayplan_tests::shapes::Shapes;
use bayplan_tests::{draw, session};

/// Shapes of the session, and those at hand at once.
const WITHIN: Shapes<'static> = Shapes(&[("batch", 1, 2), ("seq", 1, 4), ("past", 0, 15)]);
const AT_HAND: usize = 4;

/// Runs until all buffers of the process have the size that they need, then those that are looked at.
const BEFORE: usize = 400;
const RUNS: usize = 2000;

/// How often a session is looked at before it is said to take more: what is lost for each shape is lost every time, while what
/// a recorder that waits for a busy machine has queued is kept for the next time.
const LOOKS: usize = 3;

/// What the process may take more. SwiftShader, while a recording is made, takes some 600 bytes for each shape.
const MOST: u64 = 2 << 20;

/// Bytes of the process in memory.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says what a process takes");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it says so");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}

/// Switches shapes in one session; gives how many were instantiated, and what the process takes more for it.
fn switches(device: &Device, model: &Model, recording: Option<RecordingOptions>) -> (u64, i64) {
    let options = SessionOptions { shapes: AT_HAND, recording, ..SessionOptions::default() };
    let mut built =
        model.session(device, Dims::from(WITHIN.scope(model.graph())), options).expect("a session");
    let mut random = Random::new(11);
    let mut run = |built: &mut bayplan::Session| {
        let dims = WITHIN.draw(model.graph(), &mut random);
        let inputs = draw::inputs(model.graph(), &dims, &mut random);
        drop(session::run(built, &inputs));
    };
    (0..BEFORE).for_each(|_| run(&mut built));
    let (before, counted) = (resident(), built.counters());
    (0..RUNS).for_each(|_| run(&mut built));
    let (after, done) = (resident(), built.counters());
    assert_eq!(done.device_allocations, counted.device_allocations);
    assert_eq!(done.pipelines, counted.pipelines);
    (done.shapes - counted.shapes, after.cast_signed() - before.cast_signed())
}

#[test]
fn shapes_that_change_take_no_more_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = Model::open(Decoder::SMALL.write(folder.path(), 5)).expect("the model");
    let backends = [Backend::Lavapipe, Backend::SwiftShader, Backend::Host];
    let published = |backend: &Backend| cfg!(target_arch = "x86_64") || *backend != Backend::SwiftShader;
    for backend in backends.into_iter().filter(published) {
        let device = backend.device();
        for recorded in [false, true] {
            let recording = || {
                let mut options = RecordingOptions::new(Places::under(folder.path()));
                options.level = Level::Run;
                options
            };
            let look = |_| {
                let (shapes, grown) = switches(&device, &model, recorded.then(recording));
                println!("{backend}, recorded {recorded}: {grown} bytes more after {shapes} other shapes");
                assert!(shapes > RUNS as u64 / 2, "{shapes} of {RUNS}");
                grown
            };
            let steady = (0..LOOKS).map(look).any(|grown| grown <= MOST as i64);
            assert!(steady, "{backend}, recorded {recorded}: {LOOKS} times more than {MOST} bytes more");
        }
    }
}
