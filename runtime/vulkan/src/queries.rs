//! Timestamp queries.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ash::vk;

use crate::decide::{TimestampScale, polls_queries};
use crate::device::{Device, DeviceShared};
use crate::error::Error;
use crate::lock;

/// Most queries of one pool: 1 Mi, 16 MiB of results.
const MAX_QUERIES: u32 = 1 << 20;

/// Timestamps that the device writes as it goes. Recorded commands keep what they use alive, so it may be dropped any
/// time.
pub struct QueryPool {
    pub(crate) shared: Arc<QueryPoolShared>,
}

pub(crate) struct QueryPoolShared {
    pub(crate) device: Arc<DeviceShared>,
    pub(crate) raw: vk::QueryPool,
    pub(crate) name: String,
    pub(crate) id: u64,
    /// The last submission that uses the pool. Held while the driver is asked, on devices where a submission must not
    /// come between.
    last_use: Mutex<u64>,
    count: u32,
    scale: TimestampScale,
}

impl Device {
    /// Makes a pool of `count` timestamps, all empty.
    ///
    /// # Errors
    /// [`Error::NoTimestamps`], [`Error::ExceedsLimit`], or a failed call.
    pub fn create_query_pool(&self, name: &str, count: u32) -> Result<QueryPool, Error> {
        let device = &self.shared;
        let scale =
            device.timestamps.ok_or_else(|| Error::NoTimestamps { device: device.info.name.clone() })?;
        if count == 0 {
            return Err(Error::InvalidRange { name: name.to_owned(), why: "a pool of 0 queries" });
        }
        if count > MAX_QUERIES {
            let (value, max) = (count.into(), MAX_QUERIES.into());
            return Err(Error::ExceedsLimit { name: name.to_owned(), limit: "queries", value, max });
        }
        let info = vk::QueryPoolCreateInfo::default().query_type(vk::QueryType::TIMESTAMP).query_count(count);
        // SAFETY: the count is above 0 (VUID-VkQueryPoolCreateInfo-queryCount-02763).
        let raw = unsafe { device.raw.create_query_pool(&info, None) }
            .map_err(|e| Error::call("vkCreateQueryPool", e))?;
        device.set_name(raw, name);
        let shared = QueryPoolShared {
            device: Arc::clone(device),
            raw,
            name: name.to_owned(),
            id: device.add_object("query pool", name),
            last_use: Mutex::new(0),
            count,
            scale,
        };
        let pool = QueryPool { shared: Arc::new(shared) };
        // A new query is in no state at all: it may not even be asked (VUID-vkGetQueryPoolResults-None-09401).
        let mut reset = self.record(name);
        reset.reset_queries(&pool, 0..count)?;
        let ticket = self.submit(&reset.finish()?)?;
        self.wait(&ticket, Duration::MAX)?;
        Ok(pool)
    }
}

impl QueryPool {
    /// Number of queries.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.shared.count
    }

    /// How the results become nanoseconds.
    #[must_use]
    pub fn scale(&self) -> TimestampScale {
        self.shared.scale
    }

    /// The timestamps in `range` in ticks, `None` for those not written yet, without waiting: also while commands run. On
    /// devices that cannot be asked then ([`polls_queries`]) all are `None` until the last submission that uses the pool
    /// is done; [`Progress`](crate::Progress) tells of those how far they are.
    ///
    /// # Errors
    /// [`Error::OutOfBounds`], [`Error::DeviceLost`], or a failed call.
    pub fn results_nowait(&self, range: Range<u32>) -> Result<Vec<Option<u64>>, Error> {
        self.shared.check(&range)?;
        let mut raw = vec![[0u64; 2]; range.len()];
        if raw.is_empty() {
            return Ok(Vec::new());
        }
        let device = &self.shared.device;
        let mut exclusive = None;
        if !polls_queries(&device.info) {
            let last_use = exclusive.insert(lock(&self.shared.last_use));
            if !device.has_completed(**last_use)? {
                return Ok(vec![None; range.len()]);
            }
        }
        let flags = vk::QueryResultFlags::TYPE_64 | vk::QueryResultFlags::WITH_AVAILABILITY;
        // SAFETY: the queries are the pool's and were reset when it was made; each result is two u64, the second of
        // them its availability (VUID-vkGetQueryPoolResults-firstQuery-09436, -09437, -dataSize-00817, -None-09401).
        let result =
            unsafe { device.raw.get_query_pool_results(self.shared.raw, range.start, &mut raw, flags) };
        match result {
            Ok(()) | Err(vk::Result::NOT_READY) => {}
            Err(e) => return Err(Error::call("vkGetQueryPoolResults", e)),
        }
        drop(exclusive);
        let scale = self.shared.scale;
        Ok(raw.iter().map(|&[ticks, available]| (available != 0).then(|| scale.mask(ticks))).collect())
    }
}

impl QueryPoolShared {
    /// Notes that submission `number` uses the pool.
    pub(crate) fn use_in(&self, number: u64) {
        *lock(&self.last_use) = number;
    }

    /// Checks that `range` lies in the pool.
    pub(crate) fn check(&self, range: &Range<u32>) -> Result<(), Error> {
        if range.start <= range.end && range.end <= self.count {
            return Ok(());
        }
        Err(Error::OutOfBounds {
            name: self.name.clone(),
            offset: range.start.into(),
            len: range.end.saturating_sub(range.start).into(),
            size: self.count.into(),
        })
    }
}

impl Drop for QueryPoolShared {
    fn drop(&mut self) {
        // SAFETY: recorded commands hold an Arc of this value and wait for their submissions before they let go
        // (VUID-vkDestroyQueryPool-queryPool-00793).
        unsafe { self.device.raw.destroy_query_pool(self.raw, None) };
        self.device.remove_object(self.id);
    }
}
