//! A value that is kept until what it is made of changes.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The latest value that was made, with what it was made of.
pub(crate) struct Kept<K, V>(Mutex<Option<(K, Arc<V>)>>);

impl<K, V> Default for Kept<K, V> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

/// A copy makes its own.
impl<K, V> Clone for Kept<K, V> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<K, V> fmt::Debug for Kept<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl<K: PartialEq, V> Kept<K, V> {
    /// The value of a key; it is made if the one that is kept has another.
    pub(crate) fn get(&self, key: K, make: impl FnOnce() -> V) -> Arc<V> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, value)) = slot.as_ref().filter(|(known, _)| *known == key) {
            return Arc::clone(value);
        }
        let value = Arc::new(make());
        *slot = Some((key, Arc::clone(&value)));
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_for_each_key() {
        let kept = Kept::default();
        let mut made = Vec::new();
        for key in [1, 1, 2, 2, 1] {
            assert_eq!(
                *kept.get(key, || {
                    made.push(key);
                    key * 10
                }),
                key * 10
            );
        }
        assert_eq!(made, [1, 2, 1]);
    }
}
