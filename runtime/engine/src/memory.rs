//! Which session a device allocation belongs to.
//!
//! The device's allocation log is one for all of its sessions, and draining it takes the events away from the others. So
//! sessions of a device drain it through one ledger, which knows what each of them planned: what is left over during a
//! run was planned by nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bayplan_vulkan::{AllocationEvent, AllocationEvents, AllocationId, Device};

/// What the sessions of a device have allocated. A clone is the same ledger.
#[derive(Clone, Default)]
pub(crate) struct Ledger(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Sessions being built: what they allocate is not claimed yet.
    building: usize,
    /// Live allocations that a session planned, with what they are for.
    planned: HashMap<AllocationId, String>,
    /// How often planned memory was freed.
    frees: u64,
    /// Drained, and not attributed yet.
    waiting: AllocationEvents,
}

/// A session being built. Dropped without [`Build::claim`], after everything that was allocated, it leaves no trace.
pub(crate) struct Build {
    ledger: Ledger,
    device: Device,
    claimed: bool,
}

/// An allocation that a session planned.
pub(crate) struct Planned {
    pub(crate) id: AllocationId,
    pub(crate) bytes: u64,
    pub(crate) memory_type: u32,
    pub(crate) purpose: String,
}

impl Ledger {
    /// A session is about to allocate.
    pub(crate) fn build(&self, device: &Device) -> Build {
        self.state().building += 1;
        Build { ledger: self.clone(), device: device.clone(), claimed: false }
    }

    /// What was allocated and freed since the last time outside the plan of every session. While a session is being
    /// built nothing can be told, and the events wait.
    pub(crate) fn unplanned(&self, device: &Device) -> AllocationEvents {
        let mut state = self.state();
        state.drain(device);
        if state.building > 0 {
            return AllocationEvents::default();
        }
        state.unplanned()
    }

    /// Takes out of a list of planned allocations those that are freed by now, and answers them. `seen` is what this changed
    /// when it was asked before: while nothing planned is freed, nothing is looked at.
    pub(crate) fn gone(&self, own: &mut Vec<AllocationId>, seen: &mut u64) -> Vec<AllocationId> {
        let state = self.state();
        if std::mem::replace(seen, state.frees) == state.frees {
            return Vec::new();
        }
        own.extract_if(.., |id| !state.planned.contains_key(id)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn drain(&mut self, device: &Device) {
        let new = device.drain_allocation_events();
        self.waiting.events.extend(new.events);
        self.waiting.lost += new.lost;
    }

    fn unplanned(&mut self) -> AllocationEvents {
        let AllocationEvents { mut events, lost } = std::mem::take(&mut self.waiting);
        events.retain(|event| match event {
            AllocationEvent::Allocated { id, .. } => !self.planned.contains_key(id),
            AllocationEvent::Freed { id } => !self.release(*id),
        });
        AllocationEvents { events, lost }
    }

    /// A planned allocation is planned no longer; says whether it was.
    fn release(&mut self, id: AllocationId) -> bool {
        let planned = self.planned.remove(&id).is_some();
        self.frees += u64::from(planned);
        planned
    }

    /// Takes the session's own events out of the waiting ones. What it needed for a moment and freed is none of them.
    fn claim(&mut self, mut own: HashMap<AllocationId, String>) -> Vec<Planned> {
        let freed = self.waiting.events.iter().filter_map(freed);
        let gone: Vec<AllocationId> = freed.filter(|id| own.remove(id).is_some()).collect();
        self.forget(&gone);
        let mut claimed = Vec::new();
        self.waiting.events.retain(|event| match *event {
            AllocationEvent::Allocated { id, bytes, memory_type } => match own.get(&id) {
                Some(purpose) => {
                    claimed.push(Planned { id, bytes, memory_type, purpose: purpose.clone() });
                    false
                }
                None => true,
            },
            AllocationEvent::Freed { .. } => true,
        });
        self.planned.extend(own);
        claimed
    }

    /// Forgets what was allocated and is freed already.
    fn forget_freed(&mut self) {
        let freed: Vec<AllocationId> = self.waiting.events.iter().filter_map(freed).collect();
        self.forget(&freed);
    }

    fn forget(&mut self, ids: &[AllocationId]) {
        self.waiting.events.retain(|event| match event {
            AllocationEvent::Allocated { id, .. } | AllocationEvent::Freed { id } => !ids.contains(id),
        });
        for id in ids {
            self.release(*id);
        }
    }
}

fn freed(event: &AllocationEvent) -> Option<AllocationId> {
    match event {
        AllocationEvent::Freed { id } => Some(*id),
        AllocationEvent::Allocated { .. } => None,
    }
}

impl Build {
    /// The session is built: these allocations are its own. Answers them in the order in which they were made.
    pub(crate) fn claim(mut self, own: HashMap<AllocationId, String>) -> Vec<Planned> {
        self.claimed = true;
        let mut state = self.ledger.state();
        state.drain(&self.device);
        state.claim(own)
    }
}

impl Drop for Build {
    fn drop(&mut self) {
        let mut state = self.ledger.state();
        state.drain(&self.device);
        if !self.claimed {
            // Of a session that could not be built everything is freed by now.
            state.forget_freed();
        }
        state.building -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(id: u64) -> AllocationEvent {
        AllocationEvent::Allocated { id: AllocationId(id), bytes: 16, memory_type: 0 }
    }

    fn freed(id: u64) -> AllocationEvent {
        AllocationEvent::Freed { id: AllocationId(id) }
    }

    fn own(ids: &[u64]) -> HashMap<AllocationId, String> {
        ids.iter().map(|&id| (AllocationId(id), format!("arena {id}"))).collect()
    }

    #[test]
    fn what_no_session_claims_is_unplanned() {
        let mut state = State::default();
        state.waiting.events = vec![made(1), made(2), made(3)];
        let claimed = state.claim(own(&[1, 3]));
        let claimed: Vec<_> =
            claimed.iter().map(|planned| (planned.id.0, planned.purpose.as_str())).collect();
        assert_eq!(claimed, [(1, "arena 1"), (3, "arena 3")]);
        assert_eq!(state.unplanned().events, [made(2)]);
        state.waiting.events = vec![freed(3), freed(2), made(4)];
        assert_eq!(state.unplanned().events, [freed(2), made(4)]);
        assert_eq!(state.planned.len(), 1, "freed allocations are forgotten");
    }

    #[test]
    fn what_loading_needs_for_a_moment_is_neither_kept_nor_unplanned() {
        let mut state = State::default();
        state.waiting.events = vec![made(1), made(2), freed(1), made(3)];
        let claimed: Vec<_> = state.claim(own(&[1, 2])).iter().map(|planned| planned.id.0).collect();
        assert_eq!(claimed, [2]);
        assert_eq!(state.unplanned().events, [made(3)]);
        assert_eq!(state.planned.len(), 1);
    }

    #[test]
    fn a_session_that_was_not_built_leaves_nothing() {
        let mut state = State { planned: own(&[1]), ..State::default() };
        state.waiting.events = vec![made(2), freed(1), made(3), freed(2)];
        state.forget_freed();
        assert_eq!(state.waiting.events, [made(3)]);
        assert!(state.planned.is_empty());
    }
}
