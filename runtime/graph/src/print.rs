//! Graphs as text, one node per line; the bodies of Ifs indented under what they need.

use core::fmt;

use bayplan_text::escape;

use crate::{Body, ConstData, Graph, Node, NotOne, TensorType, ValueId, ValueSource};

impl fmt::Display for TensorType {
    /// `f32[batch, seq, 384]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (i, dim) in self.shape.iter().enumerate() {
            write!(f, "{}{dim}", if i > 0 { ", " } else { "" })?;
        }
        f.write_str("]")
    }
}

impl Graph {
    fn write_value(&self, f: &mut fmt::Formatter<'_>, id: ValueId) -> fmt::Result {
        match self.values.get(id.0 as usize) {
            Some(value) => write!(f, "{}", escape(&value.name)),
            None => write!(f, "?{}", id.0),
        }
    }

    fn write_typed(&self, f: &mut fmt::Formatter<'_>, id: ValueId) -> fmt::Result {
        self.write_value(f, id)?;
        match self.values.get(id.0 as usize).and_then(|v| v.ty.as_ref()) {
            Some(ty) => write!(f, ": {ty}"),
            None => f.write_str(": ?"),
        }
    }

    fn write_node(&self, f: &mut fmt::Formatter<'_>, node: &Node) -> fmt::Result {
        for (i, &id) in node.outputs.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            self.write_typed(f, id)?;
        }
        write!(f, " = {:?}(", node.op)?;
        for (i, &id) in node.inputs.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            self.write_value(f, id)?;
        }
        writeln!(f, ")  # {} {}", escape(&node.source_op), escape(&node.name))
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "graph {}", escape(&self.name))?;
        for &id in &self.inputs {
            f.write_str("  input ")?;
            self.write_typed(f, id)?;
            writeln!(f)?;
        }
        for (index, value) in self.values.iter().enumerate() {
            if let ValueSource::Symbolic(elements) = &value.source {
                f.write_str("  sizes ")?;
                self.write_typed(f, ValueId(index as u32))?;
                let elements: Vec<String> = elements.iter().map(ToString::to_string).collect();
                writeln!(f, " = [{}]", elements.join(", "))?;
            }
            let ValueSource::Constant(data) = &value.source else { continue };
            f.write_str("  constant ")?;
            self.write_typed(f, ValueId(index as u32))?;
            match data {
                ConstData::Inline(bytes) => writeln!(f, " ({} bytes)", bytes.len())?,
                ConstData::Range(r) => writeln!(f, " (file {}, bytes {}+{})", r.file.0, r.offset, r.len)?,
            }
        }
        for constraint in &self.constraints {
            let or = if constraint.broadcast { ", or one of them 1" } else { "" };
            writeln!(f, "  needs {} = {}{or}  # {}", constraint.a, constraint.b, escape(&constraint.node))?;
        }
        for NotOne { dim, node } in &self.not_one {
            writeln!(f, "  needs {dim} ≠ 1  # {}", escape(node))?;
        }
        let bodies = self.bodies();
        let mut open: Vec<&Body> = Vec::new();
        let mut next = bodies.iter().peekable();
        for (index, node) in self.nodes.iter().enumerate() {
            open.retain(|body| body.nodes.end > index);
            while let Some(body) = next.next_if(|body| body.nodes.start == index) {
                write!(f, "{:1$}if ", "", 2 + 2 * open.len())?;
                f.write_str(if body.then { "" } else { "not " })?;
                match body.condition(self) {
                    Some(id) => self.write_value(f, id)?,
                    None => f.write_str("?")?,
                }
                writeln!(f, ":")?;
                open.push(body);
            }
            write!(f, "{:1$}", "", 2 + 2 * open.len())?;
            self.write_node(f, node)?;
        }
        for (index, &id) in self.outputs.iter().enumerate() {
            f.write_str("  output ")?;
            self.write_typed(f, id)?;
            if let Some(name) = self.output_names.get(index)
                && self.values.get(id.0 as usize).is_none_or(|value| value.name != *name)
            {
                write!(f, " as {}", escape(name))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
