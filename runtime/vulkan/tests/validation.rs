//! The validation layers are silent on a correct program and speak to each of the negative controls.

mod common;

use std::time::Duration;

use bayplan_vulkan::{
    ApiVersion, Barrier, BindingKind, Device, Instance, InstanceOptions, Location, Window, controls,
    importable,
};
use common::{
    SCALE, best, compile, download, file_of, increment, instance, limited, pipeline, run, upload, whole,
};

/// Everything this crate can do, done right.
fn correct_program(instance: &Instance) {
    let device = Device::new(instance, &best(instance)).expect("the device opens");
    let inc = increment(&device);
    let scale =
        pipeline(&device, SCALE, &[BindingKind::Storage, BindingKind::Uniform, BindingKind::Storage], 0);
    let arena = device.create_buffer("arena", 1 << 16, Location::Device).expect("a buffer");
    let factor = device.create_buffer("factor", 256, Location::Device).expect("a buffer");
    let readback = device.create_buffer("readback", 1024, Location::Readback).expect("a buffer");
    upload(&device, &factor, 0, &[3, 0, 0, 0]);
    let pool = device.create_query_pool("times", 4).ok();
    let progress = device.create_progress("playhead", 2).expect("marks");
    let window = |offset| Window { buffer: &arena, offset, len: 1024 };
    let mut recorder = device.record("correct");
    if let Some(pool) = &pool {
        recorder.reset_queries(pool, 0..4).expect("a reset");
        recorder.timestamp(pool, 0).expect("a timestamp");
    }
    recorder.reset_progress(&progress).expect("a reset");
    recorder.fill(&arena, 0, 1 << 16, 1).expect("a fill");
    recorder.barrier(Barrier::TransferToCompute);
    recorder.dispatch(&inc, &[window(0), window(1024)], [4, 1, 1]).expect("a dispatch");
    recorder.barrier(Barrier::ComputeToCompute);
    recorder.mark(&progress, 0).expect("a mark");
    recorder.dispatch(&scale, &[window(1024), whole(&factor), window(0)], [4, 1, 1]).expect("a dispatch");
    recorder.barrier(Barrier::ComputeToTransfer);
    recorder.mark(&progress, 1).expect("a mark");
    recorder.copy(&arena, 0, &readback, 0, 1024).expect("a copy");
    if let Some(pool) = &pool {
        recorder.timestamp(pool, 1).expect("a timestamp");
    }
    let commands = recorder.finish().expect("commands");
    for _ in 0..20 {
        device.submit(&commands).expect("a submission");
    }
    let ticket = device.submit(&commands).expect("a submission");
    assert!(device.wait(&ticket, Duration::from_secs(60)).expect("a wait"));
    assert_eq!(download(&device, &readback, 0, 256), [6; 256]);
    assert_eq!(progress.reached(), Ok(2));
    if importable(device.info()).is_ok() {
        let file = file_of(&[41; 2000]);
        let imported = device.import("file", &file, 0..8192).expect("an import");
        let mut recorder = device.record("imported");
        let from = Window { buffer: &imported, offset: 4096, len: 1024 };
        recorder.dispatch(&inc, &[from, window(2048)], [4, 1, 1]).expect("a dispatch");
        run(&device, recorder);
        assert_eq!(download(&device, &arena, 2048, 256), [42; 256]);
    }
    if let Some(pool) = &pool {
        let times = pool.results_nowait(0..4).expect("results");
        assert!(times[0].is_some() && times[1].is_some() && times[2].is_none());
    }
}

#[test]
fn silence_and_the_four_controls() {
    limited(|| {
        let instance = instance(true);
        correct_program(&instance);
        let messages = instance.messages();
        assert!(messages.is_empty(), "{messages:#?}");
        assert_eq!(instance.message_count(), 0);
        let outcomes = controls::run_all(&best(&instance)).expect("the controls run");
        assert_eq!(outcomes.len(), 4);
        for outcome in &outcomes {
            assert!(outcome.fired, "{outcome:#?}");
        }
        assert_eq!(instance.message_count(), 0, "the controls speak to instances of their own");
    });
}

/// The layers look at what is imported, too.
#[test]
fn an_import_that_breaks_a_rule_is_told() {
    limited(|| {
        let instance = instance(true);
        let device = Device::new(&instance, &best(&instance)).expect("the device opens");
        if importable(device.info()).is_err() {
            return;
        }
        let file = file_of(&[1; 1024]);
        device.import("file", &file, 0..4096).expect("an import");
        assert_eq!(instance.message_count(), 0);
        device.import_unannounced("file", &file, 0..4096).expect("an import");
        let messages = instance.messages();
        // The same rule under its newer and its older number.
        let told = |id: &str| messages.iter().any(|message| message.id.starts_with(id));
        assert!(
            told("VUID-vkBindBufferMemory-memory-02985") || told("VUID-vkBindBufferMemory-memory-02727"),
            "{messages:#?}"
        );
    });
}

/// On older Vulkan the same things come from extensions, under other names.
#[test]
fn silence_on_older_versions() {
    limited(|| {
        for minor in [1, 2] {
            let max_version = Some(ApiVersion::new(1, minor));
            let options = InstanceOptions { validation: true, max_version, ..Default::default() };
            let instance = Instance::new(&options).expect("an instance");
            let info = best(&instance);
            assert_eq!((info.api_version.major, info.api_version.minor), (1, minor));
            correct_program(&instance);
            let messages = instance.messages();
            assert!(messages.is_empty(), "1.{minor}: {messages:#?}");
        }
    });
}

#[test]
fn a_leak_is_told_by_name_without_a_layer_too() {
    limited(|| {
        let instance = instance(false);
        let device = Device::new(&instance, &best(&instance)).expect("the device opens");
        device.create_buffer("the lost arena", 4096, Location::Device).expect("a buffer").leak();
        assert_eq!(instance.message_count(), 0);
        drop(device);
        let messages = instance.messages();
        assert!(
            messages.len() == 1
                && messages[0].id == "bayplan-leaked-object"
                && messages[0].text.contains("buffer the lost arena"),
            "{messages:?}"
        );
    });
}

/// The committed code of the controls' kernel is what its source compiles to. To write it anew, run this test with
/// BAYPLAN_BLESS=1.
#[test]
fn the_controls_kernel_is_its_source() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/controls/copy.spv");
    let source = include_str!("../src/controls/copy.wgsl");
    let bytes: Vec<u8> = compile(source).iter().flat_map(|w| w.to_le_bytes()).collect();
    if std::env::var_os("BAYPLAN_BLESS").is_some() {
        std::fs::write(path, &bytes).expect("written");
    }
    assert_eq!(std::fs::read(path).expect("committed"), bytes, "copy.spv is not what copy.wgsl compiles to");
}
