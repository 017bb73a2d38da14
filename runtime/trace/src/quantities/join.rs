//! How the figures of several subjects make one.

use super::value::{Number, Unknown, Value};

/// What is known of the sum, the largest or the smallest of values so far.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    join: fn(Number, Number) -> Number,
    /// Whether what is missing can only have made the whole larger.
    grows: bool,
    least: Option<Number>,
    most: Option<Number>,
    missing: Option<Unknown>,
}

impl Joined {
    pub(crate) fn sum() -> Self {
        Self::new(Number::add, true)
    }

    pub(crate) fn max() -> Self {
        Self::new(Number::max, true)
    }

    pub(crate) fn min() -> Self {
        Self::new(Number::min, false)
    }

    fn new(join: fn(Number, Number) -> Number, grows: bool) -> Self {
        Self { join, grows, least: None, most: None, missing: None }
    }

    pub(crate) fn add(&mut self, value: Value) {
        let (least, most) = match value {
            Value::Exact(number) => (Some(number), Some(number)),
            Value::Between(least, most) => (Some(least), Some(most)),
            Value::AtLeast(least, why) => {
                self.missing.get_or_insert(why);
                (Some(least), None)
            }
            Value::Unknown(why) => {
                self.missing.get_or_insert(why);
                (None, None)
            }
        };
        let join = self.join;
        for (slot, new) in [(&mut self.least, least), (&mut self.most, most)] {
            *slot = match (*slot, new) {
                (Some(before), Some(new)) => Some(join(before, new)),
                (before, new) => before.or(new),
            };
        }
    }

    /// The whole; `None` if it has no parts.
    pub(crate) fn value(self) -> Option<Value> {
        match (self.least, self.most, self.missing) {
            (Some(least), _, Some(why)) if self.grows => Some(Value::AtLeast(least, why)),
            (_, _, Some(why)) => Some(Value::Unknown(why)),
            (Some(least), Some(most), None) if least == most => Some(Value::Exact(least)),
            (Some(least), Some(most), None) => Some(Value::Between(least, most)),
            _ => None,
        }
    }
}
