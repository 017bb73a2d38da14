//! Plans for other elements of the inputs that decide a model's shapes.

use std::sync::Arc;

use bayplan_compile::session::{Lru, ValueKey};
use bayplan_compile::{Dims, Options};
use bayplan_engine::SessionOptions;
use bayplan_graph::Tensor;
use bayplan_trace::Severity;

use crate::device::Device;
use crate::error::Error;
use crate::model::Model;
use crate::session::Executor;
use crate::weights::Origin;

/// Plans at hand: each has arenas of its own.
const PLANS: usize = 4;

/// Elements of an input that a message names.
const ELEMENTS: usize = 16;

/// How a model is planned again.
pub(crate) struct Replan {
    pub(crate) origin: Origin,
    pub(crate) dims: Dims,
    pub(crate) options: SessionOptions,
}

/// The plans of a session, by what each is for.
pub(crate) struct Plans {
    again: Replan,
    names: Vec<Arc<str>>,
    keys: Lru<ValueKey>,
    /// Those that do not run now, by their places in `keys`.
    waiting: Vec<Option<Executor>>,
    current: usize,
    /// Plans made beside the first.
    made: u64,
}

impl Plans {
    /// The plan that a session was built with is for `key`.
    pub(crate) fn new(key: ValueKey, again: Replan) -> Self {
        let (names, mut keys) = (key.names(), Lru::new(PLANS));
        let current = keys.claim(key);
        Self { again, names, keys, waiting: vec![None], current, made: 0 }
    }

    /// How many plans were made beside the first.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// Puts the plan for the elements of these inputs in the place of the one that ran last; it is made where there is
    /// none.
    ///
    /// # Errors
    /// An input that decides shapes is missing or is no host tensor ([`Error::Input`]); or as [`Model::open_for`] and
    /// [`Model::session`]. The session keeps the plan that it has then.
    pub(crate) fn turn(
        &mut self,
        device: &Device,
        executor: &mut Executor,
        inputs: &[(&str, &Tensor)],
    ) -> Result<(), Error> {
        let key = ValueKey::new(&self.names, inputs)?;
        let index = match self.keys.find(&key) {
            Some(index) if index == self.current => return Ok(()),
            Some(index) => index,
            None => {
                let mut made = self.plan(device, executor, &key)?;
                let index = self.keys.claim(key);
                if self.waiting.len() <= index {
                    self.waiting.resize_with(index + 1, || None);
                }
                if let Some(oldest) = self.waiting[index].take() {
                    oldest.give_way(&mut made);
                }
                self.waiting[self.current] = Some(std::mem::replace(executor, made));
                self.current = index;
                return Ok(());
            }
        };
        let Some(mut next) = self.waiting.get_mut(index).and_then(Option::take) else { return Ok(()) };
        executor.hand_over(&mut next);
        self.waiting[self.current] = Some(std::mem::replace(executor, next));
        self.current = index;
        Ok(())
    }

    /// Plans for other elements, and goes on with the recording.
    fn plan(&mut self, device: &Device, before: &mut Executor, key: &ValueKey) -> Result<Executor, Error> {
        let Replan { origin, dims, options } = &self.again;
        let values: Vec<(&str, &Tensor)> = key.iter().collect();
        let model = Model::open_with(&origin.path, &values, origin.weights.as_ref())?;
        let family = model.family(dims, device.target(), &Options::default())?;
        let made = before.next(family, model.weights(), options)?;
        self.made += 1;
        made.recording().message(Severity::Info, planned_for(key));
        Ok(made)
    }
}

/// For which elements a plan was made, in words.
fn planned_for(key: &ValueKey) -> String {
    let mut text = String::from("planned again for");
    for (index, (name, tensor)) in key.iter().enumerate() {
        let elements = tensor.to_ints().unwrap_or_default();
        let more = if elements.len() > ELEMENTS { ", …" } else { "" };
        let shown: Vec<String> = elements.iter().take(ELEMENTS).map(ToString::to_string).collect();
        let comma = if index > 0 { "," } else { "" };
        text += &format!("{comma} {name} = [{}{more}]", shown.join(", "));
    }
    text
}
