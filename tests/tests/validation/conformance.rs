//! The cases of the onnx package under the validation layers.

use bayplan::{Device, Options};
use bayplan_tests::conformance::Set;
use bayplan_tests::conformance::library::each;

/// Runs every case on one device, closes it, and expects that nothing was said.
pub(crate) fn silent(device: Device) {
    let set = Set::of_onnx();
    let mut told = 0;
    let tried = each(&device, &set.cases, |_, loaded| {
        let mut session = loaded.session(&device, &Options::default())?;
        // A hazard between the end of one run and the start of the next shows in the second.
        for _ in 0..2 {
            loaded.run(&mut session)?;
        }
        drop(session);
        let said = device.message_count() - told;
        told += said;
        if said == 0 { Ok(()) } else { Err(format!("{said} messages: {:#?}", device.messages().last())) }
    });
    let said = device.close();
    assert!(said.is_empty(), "at the end: {said:#?}");
    println!("{tried} conformance cases: 0 messages");
    assert!(tried > 1000, "{tried} cases");
}
