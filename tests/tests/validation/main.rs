//! The validation layers, synchronization validation included, have nothing to say to whole models, where they do speak
//! to each of four programs that break a rule; on every driver.

mod changing;
mod conformance;
mod imported;

use bayplan::{Device, DeviceOptions, Model, Selector};
use bayplan_tests::{Case, on_every_driver, reference_case, reference_cases, reference_model, session};
use bayplan_vulkan::{Instance, InstanceOptions, controls, select};

/// Runs per session: a hazard between the end of one run and the start of the next shows from the second on.
const RUNS: usize = 2;

/// Runs a model on cases of its own on one device, closes it, and expects that nothing was said.
fn silent(device: Device, name: &str, cases: &[Case]) {
    let model = Model::open(reference_model(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    for case in cases {
        let mut built = session::session(&device, &model, case);
        let inputs = session::inputs(case);
        for _ in 0..RUNS {
            session::run(&mut built, &inputs);
        }
        for (output, error) in session::errors(&session::run(&mut built, &inputs), case) {
            assert!(error <= 1e-4, "{name} {}: {output} {error:.3e} under validation", case.name);
        }
        assert_eq!(device.message_count(), 0, "{name} {}: {:#?}", case.name, device.messages());
    }
    let said = device.close();
    assert!(said.is_empty(), "{name}, at the end: {said:#?}");
    println!("{name}: 0 messages over {} cases of {} runs", cases.len(), RUNS + 1);
}

/// Every negative control fires on the device that the models run on.
fn controls_fire(selector: &Selector) {
    let options = InstanceOptions { validation: true, ..InstanceOptions::default() };
    let instance = Instance::new(&options).expect("the validation layers are installed");
    let devices = instance.devices().expect("a driver");
    let info = &devices[select(&devices, selector).expect("a device")];
    let outcomes = controls::run_all(info).expect("the controls run");
    assert_eq!(outcomes.len(), 4);
    for outcome in &outcomes {
        println!("control {:?} on {}: fired {}", outcome.name, info.name, outcome.fired);
        assert!(outcome.fired, "{outcome:#?}");
    }
}

fn validated(separate_memory: bool) -> DeviceOptions {
    DeviceOptions { validation: true, separate_memory, ..DeviceOptions::default() }
}

on_every_driver! {
    /// One test, so that silence and controls are of the same run, and the layers' memory is needed once at a time.
    models_are_silent_where_controls_are_not => |on| {
        controls_fire(&on.selector());
        for name in ["digits", "chars", "squeezenet"] {
            silent(on.open(&validated(false)), name, &reference_cases(name));
        }
        for (name, case) in [
            ("encoder_l6", "2x7"),
            ("encoder_l6_ts", "3x33"),
            ("resnet50", "random0"),
            ("mobilenetv2", "3"),
            ("densenet121", "random0"),
            ("shufflenet", "random0"),
            ("vit_tiny", "1"),
            ("alexnet", "random0"),
            ("gpt2_small", "2x5+7"),
            ("llama_125m_ts", "2x5+7"),
        ] {
            silent(on.open(&validated(false)), name, &[reference_case(name, case)]);
        }
        silent(on.open(&validated(true)), "chars", &reference_cases("chars"));
        controls_fire(&on.selector());
    };

    /// Weights that the device reads in their file, where it can.
    imported_weights_are_silent_where_controls_are_not => |on| {
        controls_fire(&on.selector());
        imported::silent(&on.open(&validated(false)));
        controls_fire(&on.selector());
    };

    /// What measures the device keeps to the rules as well, in one memory and with memory apart.
    measuring_is_silent_where_controls_are_not => |on| {
        controls_fire(&on.selector());
        for separate_memory in [false, true] {
            let device = on.open(&validated(separate_memory));
            let roofs = device.measure_roofs().expect("it is measured").expect("a Vulkan device");
            assert!(roofs.bytes_per_second > 0 && roofs.flops_per_second > 0, "{roofs:?}");
            assert_eq!(device.message_count(), 0, "{:#?}", device.messages());
            let said = device.close();
            assert!(said.is_empty(), "at the end: {said:#?}");
        }
        controls_fire(&on.selector());
    };

    /// Shapes that change and come again, parameters written where others were, outputs that callers keep or have made in
    /// their buffers, functions of one family, Ifs: in one memory, and through staging buffers.
    changing_shapes_are_silent_where_controls_are_not => |on| {
        controls_fire(&on.selector());
        for separate_memory in [false, true] {
            let device = on.open(&validated(separate_memory));
            changing::shapes(&device);
            changing::generation(&device);
            changing::branches(&device);
            assert_eq!(device.message_count(), 0, "{:#?}", device.messages());
            let said = device.close();
            assert!(said.is_empty(), "at the end: {said:#?}");
        }
        controls_fire(&on.selector());
    };

    /// Every operator as the onnx package tests it.
    conformance_cases_are_silent_where_controls_are_not => |on| {
        controls_fire(&on.selector());
        conformance::silent(on.open(&validated(false)));
        controls_fire(&on.selector());
    };
}
