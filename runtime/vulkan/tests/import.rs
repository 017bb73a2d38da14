//! Files as device memory: their bytes are read where the system has them, and nothing is left of them afterwards.

mod common;

use std::os::unix::fs::{FileExt, MetadataExt};

use bayplan_vulkan::{Device, Error, Location, NoImport, Window, importable, needs_staging};
use common::{download, file_of, increment, limited, open, open_separate, run, whole};

/// A page.
const PAGE: u64 = 4096;

/// The words of a file of three pages and a bit.
fn words() -> Vec<u32> {
    (0..3097).map(|word: u32| word.wrapping_mul(2_654_435_761)).collect()
}

/// What the device reads of the first `count` words behind `offset`, each one more.
fn seen(device: &Device, imported: &bayplan_vulkan::Buffer, offset: u64, count: usize) -> Vec<u32> {
    let len = count as u64 * 4;
    let result = device.create_buffer("result", len, Location::Device).expect("a buffer");
    let mut recorder = device.record("look");
    let from = Window { buffer: imported, offset, len };
    let groups = count.div_ceil(64) as u32;
    recorder.dispatch(&increment(device), &[from, whole(&result)], [groups, 1, 1]).expect("a dispatch");
    run(device, recorder);
    download(device, &result, 0, count).into_iter().map(|word| word.wrapping_sub(1)).collect()
}

/// Whether the process has a mapping of a file.
fn is_mapped(file: &std::fs::File) -> bool {
    let inode = file.metadata().expect("a file").ino().to_string();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux");
    maps.lines().any(|line| line.split_whitespace().nth(4) == Some(&inode))
}

#[test]
fn a_files_bytes_are_read_without_a_copy() {
    limited(|| {
        let device = open();
        if let Err(why) = importable(device.info()) {
            assert!(matches!(why, NoImport::NotOffered), "{why}");
            return;
        }
        let (words, file) = (words(), file_of(&words()));
        let before = device.allocations();
        let imported = device.import("file", &file, PAGE..4 * PAGE).expect("an import");
        assert_eq!((imported.size(), is_mapped(&file)), (3 * PAGE, true));
        assert!(imported.is_imported() && imported.mapped().is_none() && imported.allocation().is_none());
        let counts = device.allocations();
        assert_eq!(counts.live_bytes, before.live_bytes, "no memory was taken");
        assert_eq!((counts.imported_bytes, counts.allocations), (3 * PAGE, before.allocations + 1));
        assert_eq!(seen(&device, &imported, 256, 1500), words[1024 + 64..][..1500]);
        // The last page: what is behind the end of the file is 0.
        let mut last = words[3072..].to_vec();
        last.resize(1024, 0);
        assert_eq!(seen(&device, &imported, 2 * PAGE, 1024), last);
        // What is written to the file is seen at once: the bytes are the file's own.
        file.write_all_at(&77u32.to_le_bytes(), PAGE + 256).expect("written");
        assert_eq!(seen(&device, &imported, 256, 2), [77, words[1024 + 65]]);
        drop(imported);
        let counts = device.allocations();
        assert!(!is_mapped(&file));
        assert_eq!((counts.imported_bytes, counts.live_bytes), (0, before.live_bytes));
        assert_eq!(counts.allocations - counts.frees, before.allocations - before.frees);
        let lost = device.drain_allocation_events();
        assert!(!format!("{lost:?}").contains(&(3 * PAGE).to_string()), "{lost:?}");
    });
}

/// Commands keep what they read, as they keep any buffer.
#[test]
fn an_import_lives_as_long_as_the_commands_that_read_it() {
    limited(|| {
        let device = open();
        if importable(device.info()).is_err() {
            return;
        }
        let file = file_of(&[5; 1024]);
        let imported = device.import("file", &file, 0..PAGE).expect("an import");
        let result = device.create_buffer("result", PAGE, Location::Device).expect("a buffer");
        let mut recorder = device.record("look");
        recorder.dispatch(&increment(&device), &[whole(&imported), whole(&result)], [16, 1, 1]).expect("one");
        let commands = recorder.finish().expect("commands");
        drop((imported, file));
        assert_eq!(device.allocations().imported_bytes, PAGE);
        let ticket = device.submit(&commands).expect("a submission");
        assert!(device.wait(&ticket, std::time::Duration::from_secs(60)).expect("a wait"));
        assert_eq!(download(&device, &result, 0, 1024), [6; 1024]);
        drop((commands, ticket));
        assert_eq!(device.allocations().imported_bytes, 0);
    });
}

#[test]
fn what_cannot_be_imported_is_refused_by_name() {
    limited(|| {
        let (device, apart, file) = (open(), open_separate(), file_of(&words()));
        assert!(needs_staging(apart.info()));
        let refused = |device: &Device, range| match device.import("the weights", &file, range) {
            Err(e) => e.to_string(),
            Ok(_) => panic!("imported"),
        };
        let told = refused(&apart, 0..PAGE);
        let offered = importable(device.info()).is_ok();
        assert!(told.contains("the weights is not imported: the device"), "{told}");
        assert_eq!(
            importable(apart.info()).err(),
            Some(if offered { NoImport::Apart } else { NoImport::NotOffered })
        );
        if !offered {
            return;
        }
        for range in [100..PAGE + 100, 0..PAGE + 4] {
            assert!(refused(&device, range).contains("whole pages"));
        }
        let told = refused(&device, 0..5 * PAGE);
        assert!(told.contains("ends at byte 20480, and its file at byte 12388"), "{told}");
        assert!(matches!(device.import("none", &file, 8..8), Err(Error::InvalidRange { .. })));
        #[expect(clippy::reversed_empty_ranges, reason = "what a wrong sum may give")]
        let backwards = device.import("backwards", &file, PAGE..0);
        assert!(matches!(backwards, Err(Error::InvalidRange { .. })));
        let most = device.info().limits.max_memory_allocation_size.next_multiple_of(PAGE) + PAGE;
        assert!(matches!(device.import("all", &file, 0..most), Err(Error::ExceedsLimit { .. })));
        assert_eq!(device.allocations().imported_bytes, 0);
        // Nothing writes to a file.
        let imported = device.import("file", &file, 0..PAGE).expect("an import");
        let other = device.create_buffer("other", PAGE, Location::Device).expect("a buffer");
        let mut recorder = device.record("write");
        for told in [recorder.fill(&imported, 0, 16, 1), recorder.copy(&other, 0, &imported, 0, 16)] {
            assert!(told.expect_err("refused").to_string().contains("only read"));
        }
        recorder.copy(&imported, 16, &other, 0, 16).expect("it is read");
        run(&device, recorder);
        assert_eq!(download(&device, &other, 0, 4), words()[4..8]);
    });
}
