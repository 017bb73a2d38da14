//! What a recording tells: who recorded, the plan, what happened, and sums over it.

pub(crate) mod distribution;
pub(crate) mod event;
pub(crate) mod event_ref;
pub(crate) mod loading;
pub(crate) mod loads;
pub(crate) mod ops_words;
mod plan_json;
pub(crate) mod plan_record;
pub(crate) mod roofs;
pub(crate) mod session;
pub(crate) mod storage;
pub(crate) mod totals;
