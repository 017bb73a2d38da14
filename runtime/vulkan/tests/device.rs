//! Programs on the real device: what is written, computed, copied, timed and counted.

mod common;

use std::time::Duration;

use bayplan_vulkan::{
    AllocationEvent, Barrier, BindingKind, Device, DeviceOptions, Error, Location, PipelineDesc, Window,
    needs_staging,
};
use common::{
    ADD_PUSHED, LANES, SCALE, best, compile, download, increment, instance, limited, open, open_separate,
    pipeline, run, upload, whole,
};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn write_dispatch_read_back() {
    limited(|| {
        for device in [open(), open_separate()] {
            let kernel = increment(&device);
            let arena = device.create_buffer("arena", 64 << 10, Location::Device).expect("a buffer");
            assert_eq!(arena.mapped().is_none(), needs_staging(device.info()));
            let input: Vec<u32> = (0..1000).collect();
            upload(&device, &arena, 1024, &input);
            let mut recorder = device.record("increment");
            let window = |offset| Window { buffer: &arena, offset, len: 4000 };
            recorder.dispatch(&kernel, &[window(1024), window(8192)], [16, 1, 1]).expect("a dispatch");
            run(&device, recorder);
            let expect: Vec<u32> = (1..=1000).collect();
            assert_eq!(download(&device, &arena, 8192, 1000), expect);
            assert_eq!(download(&device, &arena, 1024, 1000), input);
        }
        assert!(needs_staging(open_separate().info()));
    });
}

/// Sessions move between threads.
#[test]
fn objects_are_shared_between_threads() {
    fn check<T: Send + Sync>() {}
    check::<bayplan_vulkan::Instance>();
    check::<Device>();
    check::<bayplan_vulkan::Buffer>();
    check::<bayplan_vulkan::Pipeline>();
    check::<bayplan_vulkan::QueryPool>();
    check::<bayplan_vulkan::Progress>();
    check::<bayplan_vulkan::Recorder>();
    check::<bayplan_vulkan::Commands>();
}

#[test]
fn uniforms_push_constants_fills_and_copies() {
    limited(|| {
        let device = open();
        let scale =
            pipeline(&device, SCALE, &[BindingKind::Storage, BindingKind::Uniform, BindingKind::Storage], 0);
        let add = pipeline(&device, ADD_PUSHED, &[BindingKind::Storage], 4);
        let [x, y, z] =
            ["x", "y", "z"].map(|n| device.create_buffer(n, 1024, Location::Device).expect("a buffer"));
        let factor = device.create_buffer("factor", 16, Location::Device).expect("a buffer");
        upload(&device, &factor, 0, &[7, 0, 0, 0]);
        let mut recorder = device.record("chain");
        recorder.fill(&x, 0, 1024, 5).expect("a fill");
        recorder.barrier(Barrier::TransferToCompute);
        recorder.dispatch(&scale, &[whole(&x), whole(&factor), whole(&y)], [4, 1, 1]).expect("a dispatch");
        recorder.barrier(Barrier::ComputeToCompute);
        recorder.dispatch_with(&add, &[whole(&y)], &100u32.to_le_bytes(), [4, 1, 1]).expect("a dispatch");
        recorder.barrier(Barrier::ComputeToTransfer);
        recorder.copy(&y, 0, &z, 512, 512).expect("a copy");
        recorder.barrier(Barrier::TransferToTransfer);
        recorder.copy(&z, 512, &z, 0, 256).expect("a copy");
        run(&device, recorder);
        assert_eq!(download(&device, &z, 0, 64), [135; 64]);
        assert_eq!(download(&device, &z, 512, 128), [135; 128]);
    });
}

#[test]
fn a_thousand_replays() {
    limited(|| {
        let device = open();
        let kernel = increment(&device);
        let x = device.create_buffer("x", 256, Location::Device).expect("a buffer");
        let y = device.create_buffer("y", 256, Location::Device).expect("a buffer");
        upload(&device, &x, 0, &[0; 64]);
        let mut recorder = device.record("there and back");
        recorder.dispatch(&kernel, &[whole(&x), whole(&y)], [1, 1, 1]).expect("a dispatch");
        recorder.barrier(Barrier::ComputeToCompute);
        recorder.dispatch(&kernel, &[whole(&y), whole(&x)], [1, 1, 1]).expect("a dispatch");
        let commands = recorder.finish().expect("commands");
        let before = device.allocations();
        let mut last = None;
        for i in 0..1000 {
            let ticket = device.submit(&commands).expect("a submission");
            assert!(last < Some(ticket), "tickets rise");
            last = Some(ticket);
            // Some are waited for, most are submitted while the one before still runs.
            if i % 100 == 0 {
                assert!(device.wait(&ticket, MINUTE).expect("a wait"));
                assert!(device.is_complete(&ticket).expect("an answer"));
            }
        }
        assert!(device.wait(&last.expect("a ticket"), MINUTE).expect("a wait"));
        assert_eq!(download(&device, &x, 0, 64), [2000; 64]);
        if !needs_staging(device.info()) {
            assert_eq!(device.allocations(), before, "replays allocate nothing");
        }
    });
}

#[test]
fn submissions_in_progress_are_bounded() {
    limited(|| {
        let device = open();
        let kernel = increment(&device);
        let x = device.create_buffer("x", 1 << 17, Location::Device).expect("a buffer");
        let y = device.create_buffer("y", 1 << 17, Location::Device).expect("a buffer");
        let mut recorder = device.record("slower than its submission");
        recorder.dispatch(&kernel, &[whole(&x), whole(&y)], [512, 1, 1]).expect("a dispatch");
        let commands = recorder.finish().expect("commands");
        let mut tickets = Vec::new();
        for i in 0..1500 {
            tickets.push(device.submit(&commands).expect("a submission"));
            if i >= 1024 {
                assert!(device.is_complete(&tickets[i - 1024]).expect("an answer"), "submission {i}");
            }
        }
    });
}

#[test]
fn timestamps_rise() {
    limited(|| {
        let device = open();
        let Some(scale) = device.timestamp_scale() else { return };
        let kernel = increment(&device);
        let x = device.create_buffer("x", 1 << 16, Location::Device).expect("a buffer");
        let y = device.create_buffer("y", 1 << 16, Location::Device).expect("a buffer");
        let pool = device.create_query_pool("times", 21).expect("a pool");
        assert_eq!(pool.results_nowait(0..21).expect("results"), vec![None; 21], "new queries are empty");
        let mut recorder = device.record("timed");
        recorder.reset_queries(&pool, 0..21).expect("a reset");
        recorder.timestamp(&pool, 0).expect("a timestamp");
        for i in 1..=19 {
            recorder.dispatch(&kernel, &[whole(&x), whole(&y)], [256, 1, 1]).expect("a dispatch");
            recorder.barrier(Barrier::ComputeToCompute);
            recorder.timestamp(&pool, i).expect("a timestamp");
        }
        let commands = recorder.finish().expect("commands");
        let mut before = 0;
        for _ in 0..3 {
            let ticket = device.submit(&commands).expect("a submission");
            assert!(device.wait(&ticket, MINUTE).expect("a wait"));
            let results = pool.results_nowait(0..21).expect("results");
            assert_eq!(results[20], None, "the last query is not written");
            let ticks: Vec<u64> = results[..20].iter().map(|t| t.expect("written")).collect();
            assert!(ticks.is_sorted(), "{ticks:?}");
            let elapsed = scale.elapsed_ns(ticks[0], ticks[19]);
            assert!(elapsed > 0.0 && elapsed < 60e9, "{elapsed} ns");
            assert!(scale.elapsed_ns(before, ticks[0]) > 0.0, "a replay is later");
            before = ticks[19];
        }
        assert!(matches!(pool.results_nowait(20..22), Err(Error::OutOfBounds { .. })));
        assert!(pool.results_nowait(3..3).expect("nothing").is_empty());
    });
}

#[test]
fn windows_end_where_they_say() {
    limited(|| {
        let device = open();
        let kernel = increment(&device);
        let x = device.create_buffer("x", 4096, Location::Device).expect("a buffer");
        let y = device.create_buffer("y", 4096, Location::Device).expect("a buffer");
        upload(&device, &x, 0, &[6; 1024]);
        upload(&device, &y, 0, &[0; 1024]);
        let mut recorder = device.record("ends");
        // The same pipeline and buffers each time: only offset or length differ.
        for (offset, len) in [(0, 64), (0, 128), (1024, 256), (2048, 256), (2048, 64)] {
            let target = Window { buffer: &y, offset, len };
            recorder.dispatch(&kernel, &[whole(&x), target], [16, 1, 1]).expect("a dispatch");
            recorder.barrier(Barrier::ComputeToCompute);
        }
        run(&device, recorder);
        let written = |i: usize| [0..32, 256..320, 512..576].iter().any(|r| r.contains(&i));
        let expect: Vec<u32> = (0..1024).map(|i| if written(i) { 7 } else { 0 }).collect();
        assert_eq!(download(&device, &y, 0, 1024), expect);
    });
}

#[test]
fn windows_are_reported_as_bound() {
    limited(|| {
        let device = open();
        let kernel = increment(&device);
        let arena = device.create_buffer("arena", 4096, Location::Device).expect("a buffer");
        let other = device.create_buffer("other", 4096, Location::Device).expect("a buffer");
        let mut recorder = device.record("reported");
        let w = |buffer, offset, len| Window { buffer, offset, len };
        let bound = [
            [w(&arena, 0, 256), w(&other, 512, 128)],
            [w(&other, 512, 128), w(&arena, 1024, 64)],
            [w(&arena, 0, 256), w(&other, 512, 128)],
        ];
        for windows in &bound {
            recorder.dispatch(&kernel, windows, [1, 1, 1]).expect("a dispatch");
            recorder.barrier(Barrier::ComputeToCompute);
        }
        let commands = recorder.finish().expect("commands");
        let got: Vec<_> =
            commands.windows().iter().map(|w| (w.dispatch, w.binding, w.buffer, w.offset, w.len)).collect();
        let (a, o) = (arena.id(), other.id());
        let expect = [
            (0, 0, a, 0, 256),
            (0, 1, o, 512, 128),
            (1, 0, o, 512, 128),
            (1, 1, a, 1024, 64),
            (2, 0, a, 0, 256),
            (2, 1, o, 512, 128),
        ];
        assert_eq!(got, expect);
    });
}

#[test]
fn allocations_are_counted_by_the_shim() {
    limited(|| {
        let device = open();
        let (other, before) = (open(), device.allocations());
        let elsewhere = other.allocations();
        let _ = device.drain_allocation_events();
        let a = device.create_buffer("a", 1 << 20, Location::Device).expect("a buffer");
        let b = device.create_buffer("b", 1 << 16, Location::Readback).expect("a buffer");
        let id = a.allocation().expect("counted");
        assert_ne!(Some(id), b.allocation());
        let counts = device.allocations();
        assert_eq!(counts.allocations, before.allocations + 2);
        assert!(counts.live_bytes >= before.live_bytes + (1 << 20) + (1 << 16));
        drop(a);
        let counts = device.allocations();
        assert_eq!(counts.frees, before.frees + 1);
        assert!(counts.live_bytes < before.live_bytes + (1 << 20));
        assert!(counts.peak_bytes >= (1 << 20) + (1 << 16));
        drop(b);
        assert_eq!(device.allocations().live_bytes, before.live_bytes);
        let events = device.drain_allocation_events();
        assert_eq!(events.lost, 0);
        assert_eq!(events.events.len(), 4);
        assert!(
            matches!(events.events[0], AllocationEvent::Allocated { id: i, bytes, .. } if i == id && bytes >= 1 << 20)
        );
        assert_eq!(events.events[2], AllocationEvent::Freed { id });
        assert!(device.drain_allocation_events().events.is_empty());
        assert_eq!(other.allocations(), elsewhere, "each device counts for itself");
    });
}

#[test]
fn a_buffer_in_use_is_kept_from_the_host() {
    limited(|| {
        let device = open();
        let kernel = increment(&device);
        let x = device.create_buffer("x", 1 << 22, Location::Device).expect("a buffer");
        let y = device.create_buffer("y", 1 << 22, Location::Device).expect("a buffer");
        let Some(mapped) = y.mapped() else { return };
        let mut recorder = device.record("long");
        for _ in 0..200 {
            recorder.dispatch(&kernel, &[whole(&x), whole(&y)], [1 << 14, 1, 1]).expect("a dispatch");
            recorder.barrier(Barrier::ComputeToCompute);
        }
        let commands = recorder.finish().expect("commands");
        let ticket = device.submit(&commands).expect("a submission");
        let early = mapped.write(0, &[1, 2, 3, 4]);
        if !device.wait(&ticket, Duration::ZERO).expect("a wait") {
            // It still runs now, so it ran when the host tried.
            assert_eq!(early, Err(Error::BufferInUse { name: "y".into() }));
        }
        assert!(device.wait(&ticket, MINUTE).expect("a wait"));
        mapped.write(0, &[1, 2, 3, 4]).expect("the buffer is free");
        // Dropped while they run, commands wait for themselves.
        device.submit(&commands).expect("a submission");
        drop(commands);
        mapped.write(0, &[1, 2, 3, 4]).expect("the buffer is free");
    });
}

#[test]
fn objects_outlive_their_owners_while_commands_use_them() {
    limited(|| {
        let device = open();
        let (commands, y) = {
            let kernel = increment(&device);
            let x = device.create_buffer("x", 256, Location::Device).expect("a buffer");
            let y = device.create_buffer("y", 256, Location::Device).expect("a buffer");
            upload(&device, &x, 0, &[41; 64]);
            let mut recorder = device.record("kept");
            recorder.dispatch(&kernel, &[whole(&x), whole(&y)], [1, 1, 1]).expect("a dispatch");
            (recorder.finish().expect("commands"), y)
        };
        let mut live = device.live_objects();
        live.sort();
        assert_eq!(live, ["buffer x", "buffer y", "commands kept", "pipeline kernel"]);
        let ticket = device.submit(&commands).expect("a submission");
        assert!(device.wait(&ticket, MINUTE).expect("a wait"));
        assert_eq!(download(&device, &y, 0, 64), [42; 64]);
        drop(commands);
        assert_eq!(device.live_objects(), ["buffer y"]);
    });
}

#[test]
fn subgroups_have_the_size_that_is_described() {
    limited(|| {
        let device = open();
        let subgroup = device.info().subgroup;
        if !subgroup.compute {
            return;
        }
        let spirv = compile(LANES);
        let make = |lanes| {
            device.create_pipeline(&PipelineDesc {
                name: "lanes",
                spirv: &spirv,
                entry: "main",
                bindings: &[BindingKind::Storage],
                push_constants: 0,
                required_subgroup_size: lanes,
            })
        };
        let mut asked = vec![(None, subgroup.size)];
        if subgroup.size_control {
            asked.extend([subgroup.min_size, subgroup.max_size].map(|s| (Some(s), s)));
        } else {
            asked.push((Some(subgroup.size), subgroup.size));
        }
        let x = device.create_buffer("x", 256, Location::Device).expect("a buffer");
        for (lanes, expect) in asked {
            let kernel = make(lanes).expect("a pipeline");
            let mut recorder = device.record("lanes");
            recorder.dispatch(&kernel, &[whole(&x)], [1, 1, 1]).expect("a dispatch");
            run(&device, recorder);
            assert_eq!(download(&device, &x, 0, 64), vec![expect; 64], "asked for {lanes:?}");
        }
        assert!(matches!(make(Some(subgroup.max_size * 2)).map(drop), Err(Error::Missing { .. })));
    });
}

#[test]
fn heaps_are_sampled() {
    limited(|| {
        let device = open();
        let before = device.heap_budget();
        assert_eq!(before.len(), device.info().heaps.len());
        let buffer = device.create_buffer("eight MiB", 8 << 20, Location::Device).expect("a buffer");
        let sample = device.heap_budget()[buffer.memory().heap];
        assert!(sample.budget.is_none_or(|b| b <= sample.size), "{sample:?}");
        assert!(sample.available() <= sample.size);
        if sample.budget.is_none() {
            assert!(sample.usage >= before[buffer.memory().heap].usage + (8 << 20), "{sample:?}");
        }
    });
}

#[test]
fn the_pipeline_cache_goes_out_and_in() {
    limited(|| {
        let instance = instance(false);
        let info = best(&instance);
        let device = Device::new(&instance, &info).expect("a device");
        let _kernel = increment(&device);
        let data = device.pipeline_cache_data().expect("data");
        assert!(data.len() >= 32, "{} bytes", data.len());
        let mut foreign = data.clone();
        foreign[16] ^= 1;
        for pipeline_cache in [data, foreign, vec![0xff; 100], vec![]] {
            let options = DeviceOptions { pipeline_cache, robust_buffer_access: true, ..Default::default() };
            let device = Device::with_options(&instance, &info, &options).expect("a device");
            let _kernel = increment(&device);
        }
    });
}

#[test]
fn many_threads_submit() {
    limited(|| {
        let device = open();
        let kernel = increment(&device);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let x = device.create_buffer("x", 256, Location::Device).expect("a buffer");
                    let mut recorder = device.record("own");
                    // In place through two windows of one buffer: half to half.
                    let half = |i: u64| Window { buffer: &x, offset: i * 128, len: 128 };
                    recorder.fill(&x, 0, 256, 9).expect("a fill");
                    recorder.barrier(Barrier::TransferToCompute);
                    if device.info().limits.min_storage_buffer_offset_alignment > 128 {
                        return;
                    }
                    recorder.dispatch(&kernel, &[half(0), half(1)], [1, 1, 1]).expect("a dispatch");
                    let commands = recorder.finish().expect("commands");
                    for _ in 0..50 {
                        let ticket = device.submit(&commands).expect("a submission");
                        assert!(device.wait(&ticket, MINUTE).expect("a wait"));
                    }
                    assert_eq!(download(&device, &x, 128, 32), [10; 32]);
                });
            }
        });
    });
}
