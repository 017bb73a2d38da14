//! Subgroups: the one value through which a kernel may use them.
//!
//! How many invocations run in lockstep is the device's affair, 4 on one and 64 on another, and a kernel that takes it for granted
//! computes something else where it is not so. A kernel therefore gets at subgroup operations only through [`Lanes`], which only a
//! [`Target`] that knows its size gives out: every number in the text that depends on the lanes is made from its count, the
//! workgroup is exactly one subgroup, and the finished kernel demands that size of its pipeline. Text that names
//! subgroup operations by itself is refused by [`crate::source::Source::finish`].

use crate::source::Workgroup;
use crate::{Refusal, Target};

/// What stands in a text for `subgroup` until the kernel is finished.
const MARK: &str = "lanes::";
/// A shuffle from a lane that there is not.
const BEYOND: &str = "lanes::beyond";
/// The word that only this module writes into finished texts.
const WORD: &str = "subgroup";
/// This invocation's lane, in texts.
pub(crate) const LANE: &str = "sublane";

/// What a kernel wants of its lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ability {
    /// Values of other lanes.
    Shuffle,
    /// Operations across all lanes.
    Arithmetic,
}

/// An operation across all lanes, whose result all of them get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Across {
    Add,
    Mul,
    Max,
    Min,
}

/// The lanes of a kernel's workgroup, which is one subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lanes(u32);

impl Lanes {
    /// The device's lanes, if their number is known and they can do that.
    pub(crate) fn of(target: &Target, ability: Ability) -> Option<Self> {
        let subgroup = target.subgroup?;
        let able = match ability {
            Ability::Shuffle => subgroup.shuffle,
            Ability::Arithmetic => subgroup.arithmetic,
        };
        let fits = subgroup.size <= target.max_workgroup_invocations.min(target.max_workgroup_size[0]);
        (able && fits && subgroup.size.is_power_of_two()).then_some(Self(subgroup.size))
    }

    /// How many.
    pub(crate) fn count(self) -> u32 {
        self.0
    }

    /// The text of `value` (a text) as that lane has it.
    pub(crate) fn shuffle(self, value: &str, lane: u32) -> String {
        if lane < self.0 { format!("{MARK}Shuffle({value}, {lane}u)") } else { format!("{BEYOND}{lane}") }
    }

    /// The text of an operation over all lanes' `value` (a text).
    pub(crate) fn across(self, op: Across, value: &str) -> String {
        format!("{MARK}{op:?}({value})")
    }

    /// The workgroup.
    pub(crate) fn workgroup(self) -> Workgroup {
        Workgroup::lanes(self)
    }
}

/// Turns a kernel's text into WGSL.
///
/// # Errors
/// What the text does with lanes does not come from the kernel's [`Lanes`]: an operation or a lane's number without them, or a lane
/// beyond them.
pub(crate) fn expand(text: &str, lanes: Option<Lanes>) -> Result<String, &'static str> {
    if text.contains(WORD) {
        return Err("the kernel names subgroup operations itself, for whatever number of lanes");
    }
    if text.contains(BEYOND) {
        return Err("the kernel reads a lane beyond the device's");
    }
    if lanes.is_none() && (text.contains(MARK) || text.contains(LANE)) {
        return Err("the kernel uses lanes, but its workgroup is not one subgroup");
    }
    Ok(text.replace(MARK, WORD))
}

/// Checks a finished kernel's text against the lanes it states and those of a device; see [`crate::Kernel::suits`].
pub(crate) fn check(
    wgsl: &str,
    stated: Option<u32>,
    invocations: u64,
    target: &Target,
) -> Result<(), Refusal> {
    let refuse = |reason: String| Err(Refusal { what: "kernel".into(), reason });
    let has = target.subgroup.map(|s| s.size);
    match stated {
        None if wgsl.contains(WORD) => {
            refuse("the text uses subgroup operations without stating for how many lanes".into())
        }
        None => Ok(()),
        Some(n) if has != Some(n) => {
            let has = has.map_or_else(|| "an unknown number".into(), |n| n.to_string());
            refuse(format!("written for {n} lanes, device `{}` has {has}", target.name))
        }
        Some(n) if invocations != u64::from(n) => {
            refuse(format!("{invocations} invocations are not one subgroup of {n} lanes"))
        }
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Subgroup;
    use crate::source::Source;

    fn four() -> Target {
        let subgroup = Some(Subgroup { size: 4, shuffle: true, arithmetic: false });
        Target { subgroup, ..Target::generic() }
    }

    #[test]
    fn texts_reach_lanes_only_through_them() {
        let lanes = Lanes::of(&four(), Ability::Shuffle).expect("lanes that shuffle");
        assert_eq!(Lanes::of(&four(), Ability::Arithmetic), None);
        assert_eq!(Lanes::of(&Target::generic(), Ability::Shuffle), None);
        let check = |body: &str, group: Workgroup, want: Result<&str, &str>| {
            let launch = Source::new("test", &four()).finish("test", body, group, 1.into(), 0);
            match want {
                Ok(text) => assert!(launch.unwrap().kernel.wgsl.contains(text), "{body}"),
                Err(words) => {
                    let reason = launch.unwrap_err().reason;
                    assert!(reason.contains(words), "{body}: {reason}");
                }
            }
        };
        let (one, flat) = (lanes.workgroup(), Workgroup::of(4));
        check(&lanes.shuffle("v", 3), one, Ok("subgroupShuffle(v, 3u)"));
        check(&lanes.across(Across::Max, "v"), one, Ok("subgroupMax(v)"));
        check(&lanes.shuffle("v", 3), flat, Err("its workgroup is not one subgroup"));
        check(LANE, flat, Err("its workgroup is not one subgroup"));
        check(&lanes.shuffle("v", 7), one, Err("a lane beyond the device's"));
        check("subgroupShuffle(v, 3u)", one, Err("names subgroup operations itself"));
        check("subgroupAdd(v)", flat, Err("names subgroup operations itself"));
    }
}
