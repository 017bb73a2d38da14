//! How a random graph is compiled: drawn from its seed, like the graph.

use core::fmt;

use bayplan_compile::{Options, Order};
use bayplan_engine::Limits;
use bayplan_plan::Effort;
use bayplan_shaders::{Class, Target};

use crate::random::Random;

/// Options of the compiler, and what a device is made worse by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whether the graph is rewritten first.
    pub simplify: bool,
    /// Whether elementwise operators join their neighbours.
    pub fuse: bool,
    /// Whether results overwrite operands.
    pub in_place: bool,
    /// Whether buffers share bytes.
    pub share: bool,
    /// Bytes between buffers.
    pub guard: u64,
    /// Whether kernels are those for GPUs: tiles in shared memory.
    pub gpu: bool,
    /// Limits stricter than the device's.
    pub limits: Limits,
}

impl Settings {
    /// As programs are compiled for people.
    pub const USUAL: Self = Self {
        simplify: true,
        fuse: true,
        in_place: true,
        share: true,
        guard: 0,
        gpu: false,
        limits: Limits { max_storage_range: None, max_allocation: None, storage_alignment: None },
    };

    /// The settings of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5e77_1265_0000_0000);
        let tight = random.once_in(5);
        let mut limit =
            |least: u32| (tight && random.once_in(2)).then(|| 1_u64 << (least + random.below(8) as u32));
        let limits = Limits {
            max_storage_range: limit(11),
            max_allocation: limit(15),
            storage_alignment: random.once_in(6).then_some(256),
        };
        Self {
            simplify: !random.once_in(3),
            fuse: !random.once_in(4),
            in_place: !random.once_in(4),
            share: !random.once_in(8),
            guard: if random.once_in(4) { 256 } else { 0 },
            gpu: random.once_in(5),
            limits,
        }
    }

    /// The device as this program sees it.
    pub fn target(&self, device: &Target) -> Target {
        let mut target = self.limits.apply(device.clone());
        if self.gpu {
            target.class = Class::Gpu;
        }
        target
    }

    /// The compiler's options.
    pub fn options(&self) -> Options {
        // What the exact search finds in so many steps is enough for graphs of some dozen buffers.
        let effort = Effort::Steps(20_000);
        let Self { simplify, fuse, in_place, share, guard, .. } = *self;
        Options { simplify, fuse, in_place, share, guard, effort, order: Order::Search, ..Options::default() }
    }

    /// Every set that differs from this one in one thing set back to what is usual.
    pub(super) fn simpler(&self) -> Vec<Self> {
        let (usual, limits) = (Self::USUAL, self.limits);
        let all = [
            Self { limits: Limits { max_storage_range: None, ..limits }, ..*self },
            Self { limits: Limits { max_allocation: None, ..limits }, ..*self },
            Self { limits: Limits { storage_alignment: None, ..limits }, ..*self },
            Self { gpu: usual.gpu, ..*self },
            Self { guard: usual.guard, ..*self },
            Self { share: usual.share, ..*self },
            // Less happens without these.
            Self { simplify: false, ..*self },
            Self { fuse: false, ..*self },
            Self { in_place: false, ..*self },
        ];
        all.into_iter().filter(|simpler| simpler != self).collect()
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { simplify, fuse, in_place, share, guard, gpu, limits } = self;
        write!(
            f,
            "simplify {simplify}, fuse {fuse}, in place {in_place}, share {share}, guard {guard}, gpu kernels {gpu}"
        )?;
        let list = [
            ("window", limits.max_storage_range),
            ("block", limits.max_allocation),
            ("alignment", limits.storage_alignment),
        ];
        for (name, limit) in list {
            if let Some(bytes) = limit {
                write!(f, ", {name} {bytes}")?;
            }
        }
        Ok(())
    }
}
