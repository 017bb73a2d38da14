//! Attributes of a node, by name and type.

use crate::generated::onnx::{
    AttributeProto, GraphProto, NodeProto, TensorProto, attribute_proto::AttributeType,
};

/// Typed access to a node's attributes. Errors say which attribute is wrong and how.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a>(pub(crate) &'a NodeProto);

type Read<T> = Result<Option<T>, String>;

impl<'a> Attributes<'a> {
    fn get(self, name: &str, wanted: AttributeType) -> Read<&'a AttributeProto> {
        let Some(found) = self.0.attribute.iter().find(|a| a.name.as_deref() == Some(name)) else {
            return Ok(None);
        };
        if found.ref_attr_name.as_deref().is_some_and(|n| !n.is_empty()) {
            return Err(format!(
                "attribute `{name}` refers to a function's attribute, which exists only in functions"
            ));
        }
        // Files of the first IR versions leave the type out.
        match found.r#type.unwrap_or(0) {
            0 => Ok(Some(found)),
            t if t == wanted as i32 => Ok(Some(found)),
            t => {
                Err(format!("attribute `{name}` has type number {t}, but {} is needed", wanted.as_str_name()))
            }
        }
    }

    pub(crate) fn has(self, name: &str) -> bool {
        self.0.attribute.iter().any(|a| a.name.as_deref() == Some(name))
    }

    pub(crate) fn int(self, name: &str) -> Read<i64> {
        Ok(self.get(name, AttributeType::Int)?.map(|a| a.i.unwrap_or(0)))
    }

    pub(crate) fn int_or(self, name: &str, default: i64) -> Result<i64, String> {
        Ok(self.int(name)?.unwrap_or(default))
    }

    pub(crate) fn flag(self, name: &str, default: bool) -> Result<bool, String> {
        match self.int_or(name, default.into())? {
            0 => Ok(false),
            1 => Ok(true),
            v => Err(format!("attribute `{name}` is {v}, but must be 0 or 1")),
        }
    }

    pub(crate) fn float(self, name: &str) -> Read<f32> {
        Ok(self.get(name, AttributeType::Float)?.map(|a| a.f.unwrap_or(0.0)))
    }

    pub(crate) fn float_or(self, name: &str, default: f32) -> Result<f32, String> {
        Ok(self.float(name)?.unwrap_or(default))
    }

    pub(crate) fn ints(self, name: &str) -> Read<&'a [i64]> {
        Ok(self.get(name, AttributeType::Ints)?.map(|a| a.ints.as_slice()))
    }

    pub(crate) fn floats(self, name: &str) -> Read<&'a [f32]> {
        Ok(self.get(name, AttributeType::Floats)?.map(|a| a.floats.as_slice()))
    }

    pub(crate) fn text(self, name: &str) -> Read<&'a str> {
        let Some(a) = self.get(name, AttributeType::String)? else { return Ok(None) };
        let text = core::str::from_utf8(a.s.as_deref().unwrap_or_default());
        text.map(Some).map_err(|_| format!("attribute `{name}` is no UTF-8 text"))
    }

    pub(crate) fn texts(self, name: &str) -> Read<Vec<&'a str>> {
        let Some(a) = self.get(name, AttributeType::Strings)? else { return Ok(None) };
        let list = a.strings.iter().map(|text| core::str::from_utf8(text));
        let list = list.collect::<Result<_, _>>();
        list.map(Some).map_err(|_| format!("attribute `{name}` holds what is no UTF-8 text"))
    }

    pub(crate) fn tensor(self, name: &str) -> Read<&'a TensorProto> {
        match self.get(name, AttributeType::Tensor)? {
            None => Ok(None),
            Some(a) => a.t.as_ref().map(Some).ok_or_else(|| format!("attribute `{name}` holds no tensor")),
        }
    }

    /// The body of an operator with bodies.
    pub(crate) fn graph(self, name: &str) -> Result<&'a GraphProto, String> {
        let found = self.get(name, AttributeType::Graph)?.and_then(|a| a.g.as_ref());
        found.ok_or_else(|| format!("attribute `{name}` is missing or holds no graph"))
    }

    /// A list of sizes: integers of at least `least`.
    pub(crate) fn sizes(self, name: &str, least: i64) -> Read<Vec<usize>> {
        let Some(list) = self.ints(name)? else { return Ok(None) };
        let each = list.iter().map(|&v| {
            usize::try_from(v).ok().filter(|_| v >= least && v <= i64::from(i32::MAX)).ok_or_else(|| {
                format!("attribute `{name}` holds {v}, but at least {least} (at most 2^31-1) is needed")
            })
        });
        each.collect::<Result<_, _>>().map(Some)
    }
}
