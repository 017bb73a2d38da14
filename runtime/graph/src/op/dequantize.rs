//! Blocks of quantised elements to floats.

use crate::DType;
use crate::blocks::BlockFormat;
use crate::dims;
use crate::rule::{Context, EvalError, HostType, Inferred, Kind, Output, Rule, ShapeError, Signature};
use crate::tensor::Tensor;

pub(super) struct Dequantize(pub(super) BlockFormat);

impl Rule for Dequantize {
    fn name(&self) -> &'static str {
        "Dequantize"
    }

    fn signature(&self) -> Signature {
        Signature::new(&[Kind::Only(DType::U8)], Output::Only(DType::F32))
    }

    fn infer(&self, ctx: &mut Context<'_>) -> Result<Vec<Inferred>, ShapeError> {
        ctx.arity(1, 1, "one operand")?;
        ctx.only(0, DType::U8)?;
        let mut shape = ctx.shape(0).to_vec();
        let Some(last) = shape.last_mut() else {
            let expected = "at least 1".to_owned();
            return Err(ShapeError::Rank { operand: 0, actual: 0, expected });
        };
        let (bytes, elements) = (self.0.bytes() as i64, self.0.elements() as i64);
        match dims::as_int(last)
            .filter(|row| row % bytes == 0)
            .and_then(|row| (row / bytes).checked_mul(elements))
        {
            Some(row) => *last = dims::int(row),
            None => {
                return Err(ShapeError::Invalid(format!(
                    "rows of {last} bytes are no whole blocks of {}, which have {bytes} bytes for {elements} elements",
                    self.0
                )));
            }
        }
        Ok(vec![Inferred::new(DType::F32, shape)])
    }

    fn eval(&self, inputs: &[&Tensor], outputs: &[HostType]) -> Result<Vec<Tensor>, EvalError> {
        let shape = outputs[0].shape.clone();
        // Refused before anything is allocated, if the host does not hold it.
        let made = Tensor::zeros(DType::F32, shape)?;
        let mut bytes = made.into_bytes();
        let row = self.0.elements() * size_of::<f32>();
        let mut elements = Vec::with_capacity(self.0.elements());
        for (block, out) in inputs[0].bytes().chunks_exact(self.0.bytes()).zip(bytes.chunks_exact_mut(row)) {
            elements.clear();
            self.0.unpack(block, &mut elements);
            out.chunks_exact_mut(size_of::<f32>())
                .zip(&elements)
                .for_each(|(out, v)| out.copy_from_slice(&v.to_le_bytes()));
        }
        Ok(vec![Tensor::new(DType::F32, outputs[0].shape.clone(), bytes)?])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Op;
    use crate::eval::eval_node;

    fn run(format: BlockFormat, shape: Vec<usize>, bytes: Vec<u8>) -> Result<Tensor, EvalError> {
        let x = Tensor::new(DType::U8, shape, bytes)?;
        eval_node(&Op::Dequantize(format), &[&x], 1).map(|mut made| made.remove(0))
    }

    /// Worked out by hand from the description of the format; the golden vectors are in `bayplan-weights`.
    #[test]
    fn elements_lie_where_the_format_says() {
        // f16 0.5, then the bytes 0x10, 0x32, …
        let mut block = vec![0x00, 0x38];
        block.extend((0..16).map(|i| 0x10 * (2 * (i % 8) + 1) + 2 * (i % 8)));
        let made = run(BlockFormat::Q4_0, vec![1, 18], block).unwrap();
        assert_eq!(made.shape(), [1, 32]);
        let low = (0..16).map(|i| 0.5 * (f32::from(2 * (i % 8) as u8) - 8.0));
        let high = (0..16).map(|i| 0.5 * (f32::from(2 * (i % 8) as u8 + 1) - 8.0));
        assert_eq!(made.to_f32().unwrap(), low.chain(high).collect::<Vec<f32>>());

        let block = [&[0x00, 0xc0][..], &[0xff, 0x80, 0x7f, 1], &[0; 28]].concat();
        let made = run(BlockFormat::Q8_0, vec![34], block).unwrap();
        assert_eq!(made.to_f32().unwrap()[..5], [2.0, 256.0, -254.0, -2.0, -0.0]);

        // Scale 1, offset scale 2; the sub-block 5 has factor 0b11_0101 and offset 0b10_1100.
        let mut block = vec![0; 144];
        (block[1], block[3]) = (0x3c, 0x40);
        (block[4 + 1], block[4 + 5], block[4 + 9]) = (0b1100_0000, 0b1000_0000, 0b1100_0101);
        block[16 + 2 * 32 + 7] = 0x90;
        let made = run(BlockFormat::Q4K, vec![1, 1, 144], block).unwrap().to_f32().unwrap();
        assert_eq!(made[5 * 32 + 7], 9.0 * f32::from(0b11_0101_u8) - 2.0 * f32::from(0b10_1100_u8));
        assert_eq!(made[5 * 32 + 8], -2.0 * f32::from(0b10_1100_u8));
        assert_eq!(made[4 * 32 + 7], 0.0);

        // Scale 1; the factor of elements 208 to 223 is −3; element 209 is 0b10_0110 − 32.
        let mut block = vec![0; 210];
        (block[192 + 13], block[209]) = (0xfd, 0x3c);
        block[64 + 17] = 0b0110_0000;
        block[128 + 32 + 17] = 0b0010_0000;
        let made = run(BlockFormat::Q6K, vec![210], block).unwrap().to_f32().unwrap();
        assert_eq!((made[209], made[210]), (-3.0 * 6.0, -3.0 * -32.0));
        assert_eq!(made[0], -0.0);
    }

    #[test]
    fn rows_are_whole_blocks() {
        let check = |shape: Vec<usize>, says: &str| {
            let bytes = vec![0; shape.iter().product()];
            let refused = run(BlockFormat::Q4K, shape, bytes).unwrap_err().to_string();
            assert!(refused.contains(says), "{refused}");
        };
        check(vec![2, 143], "rows of 143 bytes are no whole blocks of Q4_K");
        check(vec![144, 1], "rows of 1 bytes");
        check(vec![], "rank 0");
        let none = run(BlockFormat::Q6K, vec![0, 420], vec![]).unwrap();
        assert_eq!((none.shape(), none.dtype()), (&[0, 512][..], DType::F32));
        let x = Tensor::from_f32(vec![18], &[0.0; 18]).unwrap();
        let refused = eval_node(&Op::Dequantize(BlockFormat::Q4_0), &[&x], 1).unwrap_err().to_string();
        assert!(refused.contains("u8"), "{refused}");
    }
}
