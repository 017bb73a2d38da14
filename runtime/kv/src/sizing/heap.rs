//! What may be used of a device's memory.

/// A heap as its driver tells of it, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heap {
    /// Its size.
    pub size: u64,
    /// What a process may use of it (`VK_EXT_memory_budget`), where the driver tells. Some tell more than there is.
    pub budget: Option<u64>,
    /// What is in use already.
    pub usage: u64,
}

impl Heap {
    /// Bytes that can still be had. More usage than budget leaves nothing.
    pub fn available(&self) -> u64 {
        self.limit().saturating_sub(self.usage)
    }

    /// Bytes that may be used, those in use included: never more than there are.
    pub fn limit(&self) -> u64 {
        self.budget.unwrap_or(self.size).min(self.size)
    }

    /// Bytes in use, and the budget, where there is more in use than that: the reason to admit nobody.
    pub fn pressure(&self) -> Option<crate::Pressure> {
        let (usage, budget) = (self.usage, self.limit());
        (usage > budget).then_some(crate::Pressure { usage, budget })
    }
}

/// Where a budget comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was asked for.
    Asked,
    /// The driver's budget.
    Driver,
    /// The size of the heap.
    Size,
}

/// Bytes that may be used, and where the number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Bytes.
    pub bytes: u64,
    /// Whence.
    pub from: Source,
}

/// The budget within one heap: what is asked for, at most what can be had.
pub fn budget(heap: Heap, asked: Option<u64>) -> Budget {
    let available = heap.available();
    match asked.filter(|asked| *asked <= available) {
        Some(bytes) => Budget { bytes, from: Source::Asked },
        None if heap.budget.is_some_and(|budget| budget <= heap.size) => {
            Budget { bytes: available, from: Source::Driver }
        }
        None => Budget { bytes: available, from: Source::Size },
    }
}

/// The position of the heap of which most can be had, the first of several. What lies in one arena lies in one heap: two are
/// never added up.
pub fn roomiest(heaps: &[Heap]) -> Option<usize> {
    let most = heaps.iter().map(Heap::available).max()?;
    heaps.iter().position(|heap| heap.available() == most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn heap(size: f64, budget: Option<f64>, usage: f64) -> Heap {
        let bytes = |gib: f64| (gib * GIB as f64) as u64;
        Heap { size: bytes(size), budget: budget.map(bytes), usage: bytes(usage) }
    }

    #[test]
    fn a_budget_lies_within_one_heap() {
        let check = |heap: Heap, asked: Option<f64>, gib: f64, from: Source| {
            let asked = asked.map(|asked| (asked * GIB as f64) as u64);
            assert_eq!(budget(heap, asked), Budget { bytes: (gib * GIB as f64) as u64, from }, "{heap:?}");
        };
        check(heap(36.2, Some(46.8), 0.0), None, 36.2, Source::Size);
        check(heap(36.2, Some(30.5), 0.0), None, 30.5, Source::Driver);
        check(heap(36.5, None, 1.5), None, 35.0, Source::Size);
        check(heap(16.0, Some(8.0), 9.0), None, 0.0, Source::Driver);
        check(heap(16.0, Some(8.0), 2.0), Some(4.0), 4.0, Source::Asked);
        check(heap(16.0, Some(8.0), 2.0), Some(7.0), 6.0, Source::Driver);
        check(heap(16.0, Some(8.0), 8.5), Some(1.0), 0.0, Source::Driver);
    }

    #[test]
    fn heaps_are_never_added_up() {
        let heaps = [heap(8.0, None, 0.0), heap(16.0, Some(12.0), 0.5), heap(16.0, Some(12.0), 0.5)];
        let at = roomiest(&heaps).expect("a heap");
        assert_eq!((at, budget(heaps[at], None).bytes), (1, (11.5 * GIB as f64) as u64));
        assert_eq!(budget(heaps[at], Some(20 * GIB)).bytes, (11.5 * GIB as f64) as u64);
        assert_eq!(roomiest(&[]), None);
    }

    #[test]
    fn pressure_is_usage_beyond_the_budget() {
        assert_eq!(heap(8.0, Some(4.0), 4.0).pressure(), None);
        let over = heap(8.0, Some(4.0), 5.0).pressure();
        assert_eq!(over, Some(crate::Pressure { usage: 5 * GIB, budget: 4 * GIB }));
    }
}
