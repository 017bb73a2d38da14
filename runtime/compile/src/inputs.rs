//! The tensors of a run, compared with what the program expects.

use core::fmt;
use std::sync::Arc;

use bayplan_expr::Bindings;
use bayplan_graph::{DType, Tensor, Tie};
use bayplan_text::escape;

use crate::program::Port;

/// Why the tensors given for a run are not those that the program takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputError {
    /// An input of the model was not given.
    Missing {
        /// Its name.
        name: String,
        /// What it must be.
        expected: String,
    },
    /// A tensor was given that the model has no input for.
    Unknown {
        /// Its name.
        name: String,
        /// The names there are.
        inputs: Vec<String>,
    },
    /// An input has another type or shape than the program was compiled for.
    Wrong {
        /// Its name.
        name: String,
        /// What it must be.
        expected: String,
        /// What was given.
        actual: String,
    },
    /// An input was given more than once.
    Repeated {
        /// Its name.
        name: String,
    },
    /// An input that decides shapes has other elements than those that the model was planned for, or lies where the host
    /// does not see them.
    Specialised {
        /// Its name.
        name: String,
    },
    /// A dim is larger than the session was made for.
    BoundExceeded {
        /// The symbol.
        dim: String,
        /// Its value.
        value: i64,
        /// The largest value it may have.
        bound: i64,
        /// The input whose shape says so.
        input: String,
    },
    /// A dim is smaller than the session was made for.
    BelowBound {
        /// The symbol.
        dim: String,
        /// Its value.
        value: i64,
        /// The least value it may have.
        bound: i64,
        /// The input whose shape says so.
        input: String,
    },
    /// A dimension of an input is not what the others say it must be.
    Mismatch {
        /// The input.
        name: String,
        /// Which of its dimensions, from 0.
        axis: usize,
        /// What the model declares it to be.
        declared: String,
        /// The value of that; `None` where no dims give the size.
        expected: Option<i64>,
        /// The size given.
        actual: i64,
        /// The dims that it follows from, as far as they are known.
        dims: Bindings,
        /// Why it must be that, where the model declares it to be something else.
        tie: Option<Box<Tie>>,
    },
    /// A dim that follows from elements of inputs is another one than the program was made for.
    Sized {
        /// The symbol.
        dim: String,
        /// Its value.
        value: i64,
        /// What it must be.
        expected: i64,
        /// The inputs that it follows from.
        input: String,
    },
    /// Dims that the shapes of the inputs do not determine.
    Undetermined {
        /// The symbols.
        dims: Vec<String>,
    },
    /// The family has no function of that number.
    NoFunction {
        /// The number.
        number: u32,
        /// How many there are.
        functions: usize,
    },
    /// The sizes of the inputs do not fit together in the model.
    Constraint {
        /// Which, where, and what they are.
        reason: String,
    },
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, expected } => {
                write!(f, "input {} is missing; it must be {expected}", escape(name))
            }
            Self::Unknown { name, inputs } => {
                write!(f, "the model has no input {}; its inputs are ", escape(name))?;
                for (index, input) in inputs.iter().enumerate() {
                    write!(f, "{}{}", if index > 0 { ", " } else { "" }, escape(input))?;
                }
                Ok(())
            }
            Self::Wrong { name, expected, actual } => {
                write!(f, "input {} must be {expected}, but is {actual}", escape(name))
            }
            Self::Repeated { name } => {
                write!(f, "input {} is given more than once; give it once", escape(name))
            }
            Self::Specialised { name } => write!(
                f,
                "input {} decides shapes, and the model was planned for other elements of it; give those as a host tensor, \
                 or open the model for these (Model::open_for)",
                escape(name)
            ),
            Self::BoundExceeded { dim, value, bound, input } => {
                let (dim, input) = (escape(dim), escape(input));
                write!(
                    f,
                    "the dim {dim} is {value} in input {input}, but the session was made for at most {bound}; "
                )?;
                write!(
                    f,
                    "give a smaller input, or make the session with a larger bound (--dim-max {dim}={value})"
                )
            }
            Self::BelowBound { dim, value, bound, input } => {
                let (dim, input) = (escape(dim), escape(input));
                write!(f, "the dim {dim} is {value} in input {input}, but it must be at least {bound}; ")?;
                write!(
                    f,
                    "give a larger input, or make the session with a smaller bound (--dim-min {dim}={value}), if the model \
                     allows it"
                )
            }
            Self::Mismatch { name, axis, declared, expected, actual, dims, tie } => {
                write!(f, "dimension {axis} of input {} is {actual}, but must be {declared}", escape(name))?;
                match expected {
                    Some(expected) if *declared != expected.to_string() => write!(f, " = {expected}")?,
                    _ => {}
                }
                if tie.as_ref().is_some_and(|tie| tie.broadcast) && *expected != Some(1) {
                    f.write_str(" or 1")?;
                }
                if !dims.is_empty() {
                    write!(f, " ({dims})")?;
                }
                match tie {
                    Some(tie) => write!(f, ", as node {} needs it", escape(&tie.node)),
                    None => Ok(()),
                }
            }
            Self::Sized { dim, value, expected, input } => write!(
                f,
                "the dim {} is {value} by the elements of {}, but the program was made for {expected}; compile the model for \
                 all sizes within bounds, or for this one",
                escape(dim),
                escape(input)
            ),
            Self::Undetermined { dims } => {
                let list = dims.iter().map(|dim| escape(dim).to_string()).collect::<Vec<_>>().join(", ");
                write!(f, "the inputs do not determine the dims {list}; give them values (--dim NAME=VALUE)")
            }
            Self::NoFunction { number, functions } => {
                write!(f, "there is no function {number}; the model has {functions}, counted from 0")
            }
            Self::Constraint { reason } => write!(f, "the inputs do not fit together: {reason}"),
        }
    }
}

impl std::error::Error for InputError {}

/// What is given for an input, wherever its elements lie.
pub trait Shaped {
    /// The element type.
    fn dtype(&self) -> DType;
    /// The dimensions, in elements.
    fn shape(&self) -> &[usize];
    /// The tensor, if it lies with the host.
    fn on_host(&self) -> Option<&Tensor> {
        None
    }
}

impl Shaped for Tensor {
    fn on_host(&self) -> Option<&Tensor> {
        Some(self)
    }

    fn dtype(&self) -> DType {
        self.dtype()
    }

    fn shape(&self) -> &[usize] {
        self.shape()
    }
}

/// An input's name with the type and shape of what is given for it.
pub(crate) type GivenShape<'a> = (&'a str, DType, &'a [usize]);

/// The same with its elements, where they lie with the host.
pub(crate) type Given<'a> = (&'a str, DType, &'a [usize], Option<&'a Tensor>);

/// What is given, by name.
pub(crate) fn given_of<'a, T: Shaped>(inputs: &[(&'a str, &'a T)]) -> Vec<Given<'a>> {
    let given = |&(name, tensor): &(&'a str, &'a T)| (name, tensor.dtype(), tensor.shape(), tensor.on_host());
    inputs.iter().map(given).collect()
}

/// Nothing but the shapes of what is given.
pub(crate) fn shapes<'a>(inputs: &[Given<'a>]) -> Vec<GivenShape<'a>> {
    inputs.iter().map(|&(name, dtype, shape, _)| (name, dtype, shape)).collect()
}

/// Tensors as their names, types and shapes.
pub(crate) fn shapes_of<'a, T: Shaped>(inputs: &[(&'a str, &'a T)]) -> Vec<GivenShape<'a>> {
    inputs.iter().map(|&(name, tensor)| (name, tensor.dtype(), tensor.shape())).collect()
}

/// Refuses elements that a model is not right for.
///
/// # Errors
/// [`InputError::Specialised`] of the first input with such elements.
pub(crate) fn check_specialised<T: Shaped>(
    specialised: &[(Arc<str>, Tensor)],
    inputs: &[(&str, &T)],
) -> Result<(), InputError> {
    let other = |(name, elements): &&(Arc<str>, Tensor)| {
        let given = inputs.iter().find(|(given, _)| *given == &**name);
        given.is_some_and(|(_, tensor)| tensor.on_host() != Some(elements))
    };
    match specialised.iter().find(other) {
        Some((name, _)) => Err(InputError::Specialised { name: name.to_string() }),
        None => Ok(()),
    }
}

/// One tensor for each input, in the order of `ports`, each of the right type and shape.
///
/// # Errors
/// An input is missing, unknown, given twice, or of another type or shape.
pub fn match_inputs<'t, T: Shaped>(
    ports: &[Port],
    inputs: &[(&str, &'t T)],
) -> Result<Vec<&'t T>, InputError> {
    let order = match_shapes(ports, &shapes_of(inputs))?;
    Ok(order.into_iter().map(|index| inputs[index].1).collect())
}

/// For each input, in the order of `ports`, which of those given it is; each is of the right type and shape.
///
/// # Errors
/// An input is missing, unknown, given twice, or of another type or shape.
pub(crate) fn match_shapes(ports: &[Port], given: &[GivenShape<'_>]) -> Result<Vec<usize>, InputError> {
    known_once(given, || ports.iter().map(|port| &*port.name))?;
    let find = |port: &Port| {
        let expected = type_text(port.dtype, &port.shape);
        let Some(index) = given.iter().position(|(name, ..)| *name == port.name) else {
            return Err(InputError::Missing { name: port.name.clone(), expected });
        };
        let (name, dtype, shape) = given[index];
        let shape: Vec<u64> = shape.iter().map(|&dim| dim as u64).collect();
        if dtype != port.dtype || shape != port.shape {
            let actual = type_text(dtype, &shape);
            return Err(InputError::Wrong { name: name.into(), expected, actual });
        }
        Ok(index)
    };
    ports.iter().map(find).collect()
}

/// Refuses what is given for no input, or twice.
pub(crate) fn known_once<'n, N: Iterator<Item = &'n str>>(
    given: &[GivenShape<'_>],
    names: impl Fn() -> N,
) -> Result<(), InputError> {
    for (index, &(name, ..)) in given.iter().enumerate() {
        if names().all(|own| own != name) {
            return Err(InputError::Unknown {
                name: name.into(),
                inputs: names().map(str::to_owned).collect(),
            });
        }
        if given[..index].iter().any(|(earlier, ..)| *earlier == name) {
            return Err(InputError::Repeated { name: name.into() });
        }
    }
    Ok(())
}

/// `f32[1,3,224,224]`.
pub(crate) fn type_text(dtype: DType, shape: &[u64]) -> String {
    let dims: Vec<String> = shape.iter().map(u64::to_string).collect();
    format!("{dtype}[{}]", dims.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Arena, BufferId, Window};
    use bayplan_shaders::Access;

    #[test]
    fn every_input_is_given_once_as_it_must_be() {
        let window = Window {
            buffer: BufferId(0),
            arena: Arena::Activations,
            offset: 0,
            len: 32,
            access: Access::Read,
        };
        let port = |name: &str| Port { name: name.into(), dtype: DType::F32, shape: vec![2, 3], window };
        let ports = [port("a"), port("b\u{1b}")];
        let good = Tensor::zeros(DType::F32, vec![2, 3]).unwrap();
        let turned = Tensor::zeros(DType::F32, vec![3, 2]).unwrap();
        let check = |given: &[(&str, &Tensor)], expect: &str| {
            assert_eq!(match_inputs(&ports, given).unwrap_err().to_string(), expect);
        };
        check(&[("a", &good)], "input b\\x1b is missing; it must be f32[2,3]");
        check(&[("a", &good), ("b\u{1b}", &turned)], "input b\\x1b must be f32[2,3], but is f32[3,2]");
        check(&[("c", &good)], "the model has no input c; its inputs are a, b\\x1b");
        check(&[("a", &good), ("a", &good)], "input a is given more than once; give it once");
        let both = match_inputs(&ports, &[("b\u{1b}", &turned), ("a", &good)]);
        assert!(both.is_err());
        let second = Tensor::from_f32(vec![2, 3], &[1.0; 6]).unwrap();
        assert_eq!(match_inputs(&ports, &[("b\u{1b}", &second), ("a", &good)]).unwrap(), [&good, &second]);
    }
}
