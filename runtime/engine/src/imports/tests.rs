use std::ops::Range;

use bayplan_graph::FileId;
use bayplan_vulkan::ImportRules;

use super::plan::{Extent, Left, Why, segments};

const PAGE: u64 = 4096;

fn rules(most: u64, count: usize) -> ImportRules {
    ImportRules { alignment: PAGE, most, count }
}

fn extent(file: u32, bytes: Range<u64>) -> Extent {
    let stored = bytes.end - bytes.start;
    Extent { arena: bytes.clone(), file: FileId(file), bytes, stored }
}

/// The ranges of segments, each with how many weights are in it.
fn cut(extents: &[Extent], rules: &ImportRules) -> (Vec<(u32, Range<u64>, usize)>, Left) {
    let mut left = Left::new();
    let all = segments(extents.to_vec(), rules, &mut left);
    let told = all.into_iter().map(|segment| (segment.file.0, segment.bytes, segment.extents.len()));
    let mut told: Vec<_> = told.collect();
    told.sort_by_key(|(file, bytes, _)| (*file, bytes.start));
    (told, left)
}

#[test]
fn neighbours_are_imported_together_in_whole_pages() {
    let all = [extent(0, 100 * 16..5000), extent(0, 5008..9000), extent(1, 0..16)];
    let (told, left) = cut(&all, &rules(1 << 30, 9));
    assert_eq!(told, [(0, 0..3 * PAGE, 2), (1, 0..PAGE, 1)]);
    assert!(left.is_empty());
    // What is far away is imported alone, and none is in two.
    let far = [extent(0, 0..PAGE), extent(0, 1 << 30..(1 << 30) + 5)];
    assert_eq!(cut(&far, &rules(1 << 40, 9)).0, [(0, 0..PAGE, 1), (0, 1 << 30..(1 << 30) + PAGE, 1)]);
    let (told, _) = cut(&all, &rules(2 * PAGE, 9));
    assert_eq!(
        told,
        [(0, 0..2 * PAGE, 1), (0, PAGE..3 * PAGE, 1), (1, 0..PAGE, 1)],
        "the page between is in both"
    );
}

#[test]
fn what_exceeds_the_devices_limits_is_left() {
    let all = [extent(0, 0..3 * PAGE), extent(0, 1 << 30..(1 << 30) + 10), extent(1, 0..100)];
    let (told, left) = cut(&all, &rules(2 * PAGE, 9));
    assert_eq!((told.len(), left), (2, Left::from([(Why::TooMany, 3 * PAGE)])));
    let (told, left) = cut(&all, &rules(1 << 20, 2));
    assert_eq!(told, [(0, 0..3 * PAGE, 1), (1, 0..PAGE, 1)], "the largest are kept");
    assert_eq!(left, Left::from([(Why::TooMany, 10)]));
    assert_eq!(cut(&all, &rules(1 << 20, 0)).0, []);
}

/// Whatever lies where, each weight is in one segment or left, and each segment keeps to the rules.
#[test]
fn every_weight_is_in_one_segment_or_left() {
    let mut seed = 3u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % below
    };
    for _ in 0..300 {
        let (mut all, mut at) = (Vec::new(), 0);
        for index in 0..random(40) {
            at += 16 * [0, random(10), random(1000), random(1 << 20)][random(4) as usize];
            let most = [10, 1000, 20_000][random(3) as usize];
            let len = 16 * (1 + random(most));
            all.push(extent((index / 16) as u32, at..at + len));
            at += len;
        }
        let rules = rules(PAGE * (1 + random(50)), 1 + random(12) as usize);
        let mut left = Left::new();
        let made = segments(all.clone(), &rules, &mut left);
        assert!(made.len() <= rules.count);
        for segment in &made {
            let Range { start, end } = segment.bytes;
            assert!(start.is_multiple_of(PAGE) && end.is_multiple_of(PAGE) && end - start <= rules.most);
            for extent in &segment.extents {
                assert!(
                    extent.file == segment.file && start <= extent.bytes.start && extent.bytes.end <= end
                );
            }
        }
        let mut kept: Vec<_> = made.iter().flat_map(|segment| segment.extents.clone()).collect();
        let stored: u64 = kept.iter().map(|extent| extent.stored).sum();
        let lost: u64 = left.values().sum();
        assert_eq!(stored + lost, all.iter().map(|extent| extent.stored).sum::<u64>());
        kept.sort_by_key(|extent| (extent.file.0, extent.bytes.start));
        kept.dedup();
        assert!(kept.iter().all(|extent| all.contains(extent)));
        assert_eq!(kept.iter().map(|extent| extent.stored).sum::<u64>(), stored, "none is in two");
    }
}
