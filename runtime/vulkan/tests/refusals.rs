//! What is refused, and with which words.

mod common;

use std::process::Command;
use std::time::Duration;

use bayplan_vulkan::{Device, Error, Instance, InstanceOptions, Location, Window, select};
use common::{best, increment, instance, limited, open, whole};

#[test]
fn buffers_that_cannot_be() {
    limited(|| {
        let device = open();
        let limits = device.info().limits.clone();
        let check = |size, expect: &str| {
            let text = device.create_buffer("arena", size, Location::Device).err().map(|e| e.to_string());
            assert!(
                text.as_ref().is_some_and(|t| t.contains("arena") && t.contains(expect)),
                "{size}: {text:?}"
            );
        };
        check(0, "0 bytes");
        check(u64::MAX, "exceeds the device's max");
        check(limits.max_memory_allocation_size + 1, "exceeds the device's max");
        assert_eq!(device.allocations().live_bytes, 0);
        assert!(device.live_objects().is_empty());
    });
}

#[test]
fn a_full_heap_is_told_by_name_and_budget() {
    limited(|| {
        let device = open();
        let heap = device.info().heaps.iter().map(|h| h.size).max().unwrap_or(0);
        // Two buffers of a little more than half the heap; nothing touches their memory.
        let size = heap / 2 + (1 << 20);
        let limits = &device.info().limits;
        if size > limits.max_memory_allocation_size.min(limits.max_buffer_size.unwrap_or(u64::MAX)) {
            return;
        }
        let _first = device.create_buffer("first", size, Location::Device).expect("half the heap");
        let before = device.allocations();
        match device.create_buffer("second", size, Location::Device).map(drop) {
            Err(error @ Error::OutOfDeviceMemory { .. }) => {
                let text = error.to_string();
                assert!(text.contains("no device memory for second") && text.contains("GiB"), "{text}");
                let Error::OutOfDeviceMemory { bytes, heap: told, .. } = error else { return };
                assert!(bytes >= size && told == heap, "{text}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(device.allocations().live_bytes, before.live_bytes);
        assert_eq!(device.live_objects(), ["buffer first"]);
    });
}

#[test]
fn accesses_past_a_buffer() {
    limited(|| {
        let device = open();
        let buffer = device.create_buffer("small", 64, Location::Upload).expect("a buffer");
        let mapped = buffer.mapped().expect("mapped");
        let past = |offset, len| Err(Error::OutOfBounds { name: "small".into(), offset, len, size: 64 });
        mapped.write(0, &[1; 64]).expect("the whole buffer");
        mapped.write(64, &[]).expect("nothing at its end");
        assert_eq!(mapped.write(1, &[1; 64]), past(1, 64));
        assert_eq!(mapped.write(u64::MAX, &[1; 2]), past(u64::MAX, 2));
        assert_eq!(mapped.read(65, &mut []), past(65, 0));
        assert_eq!(mapped.read(60, &mut [0; 5]), past(60, 5));
        let mut back = [0; 4];
        mapped.write_with(8, 4, |target| target.copy_from_slice(&[9, 8, 7, 6])).expect("in place");
        mapped.read(8, &mut back).expect("a read");
        assert_eq!(back, [9, 8, 7, 6]);
    });
}

#[test]
fn commands_that_cannot_be() {
    limited(|| {
        let device = open();
        let other = open();
        let kernel = increment(&device);
        let a = device.create_buffer("a", 4096, Location::Device).expect("a buffer");
        let b = device.create_buffer("b", 4096, Location::Device).expect("a buffer");
        let foreign = other.create_buffer("foreign", 4096, Location::Device).expect("a buffer");
        let mut recorder = device.record("wrong");
        let w = |offset, len| Window { buffer: &a, offset, len };
        let align = device.info().limits.min_storage_buffer_offset_alignment;
        let mut check = |windows: &[Window<'_>], groups, expect: &str| {
            let text = recorder.dispatch(&kernel, windows, groups).err().map(|e| e.to_string());
            assert!(text.as_ref().is_some_and(|t| t.contains(expect)), "{expect}: {text:?}");
        };
        let one = [1, 1, 1];
        check(&[whole(&a)], one, "takes 2 windows, not 1");
        check(&[whole(&a), w(0, 4097)], one, "reach past a");
        check(&[whole(&b), w(4096, 4)], one, "reach past a");
        check(&[whole(&b), w(u64::MAX, 4)], one, "reach past a");
        check(&[whole(&b), w(0, 0)], one, "window of 0 bytes");
        if align > 1 {
            check(&[whole(&b), w(align / 2, 4)], one, "not a multiple of");
        }
        check(&[whole(&b), whole(&foreign)], one, "another device");
        check(&[whole(&a), whole(&b)], [1, u32::MAX, 1], "maxComputeWorkGroupCount");
        let text = |result: Result<(), Error>| result.expect_err("refused").to_string();
        assert!(text(recorder.copy(&a, 0, &b, 4000, 100)).contains("reach past b"));
        assert!(text(recorder.copy(&a, 0, &a, 50, 100)).contains("onto itself"));
        assert!(text(recorder.copy(&a, 0, &b, 0, 0)).contains("0 bytes"));
        assert!(text(recorder.fill(&a, 2, 4, 0)).contains("multiple of 4"));
        assert!(text(recorder.fill(&a, 0, 8192, 0)).contains("reach past a"));
        assert!(text(recorder.fill(&foreign, 0, 4, 0)).contains("another device"));
        assert!(text(recorder.dispatch_with(&kernel, &[w(0, 4), whole(&b)], &[0; 4], one)).contains("push"));
        let commands = recorder.finish().expect("nothing was added");
        assert!(commands.windows().is_empty());
        assert!(matches!(other.submit(&commands), Err(Error::ForeignObject { .. })));
        let ticket = device.submit(&commands).expect("no commands are commands");
        assert!(device.wait(&ticket, Duration::from_secs(60)).expect("a wait"));
        assert!(matches!(other.wait(&ticket, Duration::ZERO), Err(Error::ForeignObject { .. })));
        assert!(matches!(other.is_complete(&ticket), Err(Error::ForeignObject { .. })));
        let progress = device.create_progress("marks", 4).expect("marks");
        let mut recorder = device.record("wrong");
        assert!(text(recorder.mark(&progress, 4)).contains("reach past marks"));
        let mut recorder = other.record("elsewhere");
        assert!(text(recorder.mark(&progress, 0)).contains("another device"));
        assert!(text(device.create_progress("marks", u32::MAX).map(drop)).contains("exceeds"));
        assert!(text(device.create_query_pool("times", u32::MAX).map(drop)).contains("exceeds"));
    });
}

#[test]
fn a_device_that_is_not_as_described() {
    limited(|| {
        let instance = instance(false);
        let mut info = best(&instance);
        info.uuid.0[0] ^= 1;
        assert!(matches!(Device::new(&instance, &info).map(drop), Err(Error::DeviceGone { .. })));
        let mut info = best(&instance);
        info.index = 1000;
        assert!(matches!(Device::new(&instance, &info).map(drop), Err(Error::DeviceGone { .. })));
        let mut info = best(&instance);
        info.features.timeline_semaphore = false;
        let text = Device::new(&instance, &info).map(drop).expect_err("refused").to_string();
        assert!(text.contains("lacks timelineSemaphore") && text.contains("choose another"), "{text}");
    });
}

#[test]
fn a_selector_for_nothing() {
    limited(|| {
        let devices = instance(false).devices().expect("devices");
        let text = select(&devices, &"no such device".parse().expect("reads")).expect_err("none").to_string();
        assert!(text.contains("no such device") && text.contains(&devices[0].uuid.to_string()), "{text}");
    });
}

#[test]
fn no_loader() {
    let options =
        InstanceOptions { loader: Some("/nonexistent/libvulkan.so.1".into()), ..Default::default() };
    let error = Instance::new(&options).map(drop).expect_err("no such file");
    assert!(matches!(error, Error::NoLoader { .. }), "{error:?}");
    assert!(error.to_string().contains("apt-get install libvulkan1"), "{error}");
}

/// The part of the tests below that runs in a process of its own; the loader reads its environment but once.
#[test]
fn child() {
    let Ok(validation) = std::env::var("BAYPLAN_TEST_CHILD") else { return };
    let options = InstanceOptions { validation: validation == "validation", ..Default::default() };
    match Instance::new(&options).and_then(|instance| instance.devices()) {
        Ok(devices) => println!("child: {} devices", devices.len()),
        Err(e) => println!("child: {e:?}: {e}"),
    }
}

fn in_child(mode: &str, variables: &[(&str, &str)]) -> String {
    let this = std::env::current_exe().expect("this program");
    let mut command = Command::new(this);
    // This file is a module of another program too.
    let child = module_path!().split_once("::").map_or("child".into(), |(_, file)| format!("{file}::child"));
    command.args([&child, "--exact", "--nocapture"]).env("BAYPLAN_TEST_CHILD", mode);
    command.envs(variables.iter().copied());
    let output = command.output().expect("a child");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn no_driver() {
    limited(|| {
        let none = [("VK_DRIVER_FILES", "/nonexistent"), ("VK_ICD_FILENAMES", "/nonexistent")];
        let text = in_child("plain", &none);
        assert!(text.contains("child: NoDriver: no Vulkan driver; install one"), "{text}");
        let text = in_child("plain", &[]);
        assert!(text.contains("devices") && !text.contains("NoDriver"), "with drivers: {text}");
    });
}

#[test]
fn no_validation_layer() {
    limited(|| {
        let text = in_child("validation", &[("VK_LAYER_PATH", "/nonexistent")]);
        assert!(text.contains("child: MissingLayer") && text.contains("vulkan-validationlayers"), "{text}");
    });
}
