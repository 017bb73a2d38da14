//! What a pickle holds.

/// A value. Texts, lists and dicts are numbers into their [`Data`], so that what is shared is kept once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits, whose value nobody here asks for.
    Wide,
    Float(f64),
    Text(u32),
    /// Bytes, which nobody here asks for.
    Bytes,
    /// A list or a tuple.
    List(u32),
    Dict(u32),
}

/// All lists, dicts and texts of a pickle, and the value that it stands for.
#[derive(Debug)]
pub(crate) struct Data {
    pub(super) root: Value,
    /// Bytes of the pickle.
    pub(super) len: u64,
    pub(super) chars: String,
    /// Where each text lies in `chars`.
    pub(super) texts: Vec<(usize, usize)>,
    pub(super) lists: Vec<Vec<Value>>,
    pub(super) dicts: Vec<Vec<(Value, Value)>>,
}

impl Data {
    pub(super) fn new() -> Self {
        let (chars, texts, lists, dicts) = (String::new(), Vec::new(), Vec::new(), Vec::new());
        Self { root: Value::None, len: 0, chars, texts, lists, dicts }
    }

    /// The value that the pickle stands for.
    pub(crate) fn root(&self) -> Value {
        self.root
    }

    /// How long the pickle is, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The items of a list or tuple.
    pub(crate) fn list(&self, value: Value) -> Option<&[Value]> {
        match value {
            Value::List(at) => self.lists.get(at as usize).map(Vec::as_slice),
            _ => None,
        }
    }

    /// A text.
    pub(crate) fn text(&self, value: Value) -> Option<&str> {
        let Value::Text(at) = value else { return None };
        let (start, end) = *self.texts.get(at as usize)?;
        self.chars.get(start..end)
    }

    /// What a dict has under a key; of keys that come more than once the last, as in Python. `None` where the value is
    /// no dict or does not have the key.
    pub(crate) fn get(&self, value: Value, key: &str) -> Option<Value> {
        let Value::Dict(at) = value else { return None };
        let pairs = self.dicts.get(at as usize)?;
        pairs.iter().rev().find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }

    /// A number that is not negative, under a key of a dict.
    pub(crate) fn number(&self, value: Value, key: &str) -> Option<u64> {
        match self.get(value, key)? {
            Value::Int(number) => u64::try_from(number).ok(),
            // Python's time in microseconds may be a float.
            Value::Float(number) if (0.0..9e18).contains(&number) => Some(number as u64),
            _ => None,
        }
    }

    /// A text under a key of a dict.
    pub(crate) fn word(&self, value: Value, key: &str) -> Option<&str> {
        self.text(self.get(value, key)?)
    }
}
