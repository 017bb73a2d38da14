//! Cases through the library: in other orders, in memory that was overwritten, under the validation layers.

use std::path::Path;

use bayplan::{Bindings, Device, Error, Family, Model, Options, Session, SessionOptions, Tensor, ValueInput};

use super::{Case, tensors};

/// A set of inputs of a case with its model, specialised on them where they decide shapes.
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// Its inputs, by name.
    pub inputs: Vec<(String, Tensor)>,
}

impl Loaded {
    /// Reads a case.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn new(case: &Case, set: usize) -> Result<Self, String> {
        Self::with(case, tensors(&case.inputs(set), "input")?)
    }

    /// The same with inputs of another origin.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn with(case: &Case, inputs: Vec<Tensor>) -> Result<Self, String> {
        Self::opened(&case.model(), inputs)
    }

    /// The same with a model of another origin.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn at(path: &Path, case: &Case, set: usize) -> Result<Self, String> {
        Self::opened(path, tensors(&case.inputs(set), "input")?)
    }

    fn opened(path: &Path, inputs: Vec<Tensor>) -> Result<Self, String> {
        let opened = match Model::open(path) {
            Err(Error::Values { inputs: asked, .. }) => {
                let given = |input: &ValueInput| Some((input.name.clone(), inputs.get(input.index)?.clone()));
                let named: Vec<(String, Tensor)> = asked.iter().filter_map(given).collect();
                Model::open_for(path, &self::given(&named))
            }
            opened => opened,
        };
        let model = opened.map_err(|e| e.to_string())?;
        let graph = model.graph();
        let names = graph.inputs.iter().map(|&id| graph.value(id).name.to_string());
        let inputs = names.zip(inputs).collect();
        Ok(Self { model, inputs })
    }

    /// Its dimensions: those of the inputs, and sizes that their elements decide.
    ///
    /// # Errors
    /// Why they are not known.
    pub fn dims(&self) -> Result<Bindings, String> {
        self.model.dims_for(&given(&self.inputs)).map_err(|e| e.to_string())
    }

    /// What serves its shapes on a device.
    ///
    /// # Errors
    /// Why nothing does.
    pub fn family(&self, device: &Device, options: &Options) -> Result<Family, String> {
        self.family_at(&self.dims()?, device, options)
    }

    /// What serves these dimensions on a device.
    ///
    /// # Errors
    /// Why nothing does.
    pub fn family_at(&self, dims: &Bindings, device: &Device, options: &Options) -> Result<Family, String> {
        self.model.family(&dims.into(), device.target(), options).map_err(|e| e.to_string())
    }

    /// A session of it.
    ///
    /// # Errors
    /// Why it cannot be built.
    pub fn session(&self, device: &Device, options: &Options) -> Result<Session, String> {
        self.session_of(device, self.family(device, options)?)
    }

    /// A session of a family.
    ///
    /// # Errors
    /// Why it cannot be built.
    pub fn session_of(&self, device: &Device, family: Family) -> Result<Session, String> {
        let options = SessionOptions::default();
        Session::new(device, family, self.model.weights(), options).map_err(|e| e.to_string())
    }

    /// The outputs of a run.
    ///
    /// # Errors
    /// Why there are none.
    pub fn run(&self, session: &mut Session) -> Result<Vec<Tensor>, String> {
        let outputs = session.run(&given(&self.inputs)).map_err(|e| e.to_string())?;
        outputs.iter().map(|output| output.to_tensor().map_err(|e| e.to_string())).collect()
    }
}

/// Tries something on every case that runs, the networks apart, and names those where it goes wrong; how many ran.
///
/// # Panics
/// When it goes wrong somewhere.
pub fn each(
    device: &Device,
    cases: &[Case],
    mut check: impl FnMut(&Case, &Loaded) -> Result<(), String>,
) -> usize {
    let (mut tried, mut wrong) = (0, Vec::new());
    for case in cases.iter().filter(|case| !case.id.starts_with("light/")) {
        // What does not run is the manifest's business.
        let Ok(loaded) = Loaded::new(case, 0) else { continue };
        if loaded.family(device, &Options::default()).is_err() {
            continue;
        }
        tried += 1;
        if let Err(reason) = check(case, &loaded) {
            wrong.push(format!("{}: {reason}", case.id));
        }
    }
    assert!(wrong.is_empty(), "{} of {tried} cases:\n{}", wrong.len(), wrong.join("\n"));
    tried
}

fn given(inputs: &[(String, Tensor)]) -> Vec<(&str, &Tensor)> {
    inputs.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
}
