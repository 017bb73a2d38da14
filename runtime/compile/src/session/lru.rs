//! A fixed number of places, of which the least recently used is given away.

/// Which of a fixed number of places belongs to which key. What lies there is the owner's: a vector with these indices.
#[derive(Clone, Debug)]
pub struct Lru<K> {
    /// The key of each place and when it was used last; `None` of a place that is free.
    places: Vec<Option<(K, u64)>>,
    capacity: usize,
    now: u64,
}

impl<K: PartialEq> Lru<K> {
    /// That many places, at least one, all free.
    pub fn new(capacity: usize) -> Self {
        Self { places: Vec::new(), capacity: capacity.max(1), now: 0 }
    }

    /// How many places there are.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The place of a key, which counts as used now.
    pub fn find(&mut self, key: &K) -> Option<usize> {
        self.now += 1;
        let own = |place: &Option<(K, u64)>| place.as_ref().is_some_and(|(own, _)| own == key);
        let index = self.places.iter().position(own)?;
        if let Some(Some((_, used))) = self.places.get_mut(index) {
            *used = self.now;
        }
        Some(index)
    }

    /// A place for a key that has none: a free one, else that of the key that was not used for longest. Indices are given
    /// out in ascending order, so that a vector may grow with them.
    pub fn claim(&mut self, key: K) -> usize {
        self.now += 1;
        let taken = Some((key, self.now));
        if let Some(free) = self.places.iter().position(Option::is_none) {
            self.places[free] = taken;
            return free;
        }
        if self.places.len() < self.capacity {
            self.places.push(taken);
            return self.places.len() - 1;
        }
        let used = |place: &Option<(K, u64)>| place.as_ref().map_or(0, |(_, used)| *used);
        let oldest = (0..self.places.len()).min_by_key(|&index| used(&self.places[index])).unwrap_or(0);
        self.places[oldest] = taken;
        oldest
    }

    /// Frees a place: what was to lie there could not be made.
    pub fn forget(&mut self, index: usize) {
        if let Some(place) = self.places.get_mut(index) {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_gives_way() {
        let mut lru = Lru::new(2);
        assert_eq!((lru.find(&'a'), lru.claim('a'), lru.claim('b')), (None, 0, 1));
        assert_eq!(lru.find(&'a'), Some(0));
        assert_eq!(lru.claim('c'), 1, "b was not used for longest");
        assert_eq!((lru.find(&'a'), lru.find(&'b'), lru.find(&'c')), (Some(0), None, Some(1)));
        lru.forget(0);
        assert_eq!((lru.find(&'a'), lru.claim('d'), lru.find(&'c')), (None, 0, Some(1)));
    }
}
