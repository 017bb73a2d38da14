//! The table as Parquet: what DuckDB, DataFusion and pandas query, thousands of files at once.
//!
//! Columns of texts are dictionaries, all are optional and compressed with Snappy; a row group has 65,536 rows, or fewer
//! where their texts are long, so that memory is bounded.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::Type as Schema;

use super::table::{COLUMNS, Cell, Row, RowWriter, Type};

/// Rows of a row group.
const GROUP: usize = 1 << 16;
/// Bytes of texts of a row group.
const GROUP_TEXTS: usize = 16 << 20;

/// Writes rows, a row group at a time.
#[derive(Default)]
pub(super) struct Parquet {
    file: Option<SerializedFileWriter<Vec<u8>>>,
    columns: Vec<Values>,
    rows: usize,
    texts: usize,
}

/// The values of a column, and for each row whether there is one.
struct Values {
    present: Vec<i16>,
    list: List,
}

enum List {
    Text(Vec<ByteArray>),
    Number(Vec<i64>),
    Real(Vec<f64>),
    Flag(Vec<bool>),
}

impl RowWriter for Parquet {
    fn row(&mut self, row: &Row<'_>, out: &mut dyn Write) -> io::Result<()> {
        self.begin()?;
        for (values, cell) in self.columns.iter_mut().zip(row) {
            if let Cell::Text(text) = cell {
                self.texts += text.len();
            }
            values.push(cell);
        }
        self.rows += 1;
        if self.rows >= GROUP || self.texts >= GROUP_TEXTS {
            self.put_group(out)?;
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.begin()?;
        self.put_group(out)?;
        match self.file.take() {
            Some(file) => out.write_all(&file.into_inner().map_err(told)?),
            None => Ok(()),
        }
    }
}

impl Parquet {
    fn begin(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let properties = WriterProperties::builder()
                .set_compression(Compression::SNAPPY)
                .set_created_by(concat!("bayplan ", env!("CARGO_PKG_VERSION")).to_owned());
            let schema = Arc::new(schema().map_err(told)?);
            let file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build()));
            self.file = Some(file.map_err(told)?);
            self.columns = COLUMNS.iter().map(|(_, of)| Values::new(*of)).collect();
        }
        Ok(())
    }

    /// Writes the rows that gathered as a row group, and hands its bytes out.
    fn put_group(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let Some(file) = self.file.as_mut().filter(|_| self.rows > 0) else { return Ok(()) };
        let mut group = file.next_row_group().map_err(told)?;
        for values in &mut self.columns {
            let column = group.next_column().map_err(told)?;
            let mut column = column.ok_or_else(|| io::Error::other("the schema has too few columns"))?;
            values.write(&mut column).map_err(told)?;
            column.close().map_err(told)?;
        }
        group.close().map_err(told)?;
        (self.rows, self.texts) = (0, 0);
        let bytes = file.inner_mut();
        out.write_all(bytes)?;
        // The writer counts what it wrote on its own.
        bytes.clear();
        Ok(())
    }
}

impl Values {
    fn new(of: Type) -> Self {
        let list = match of {
            Type::Text => List::Text(Vec::new()),
            Type::Number => List::Number(Vec::new()),
            Type::Real => List::Real(Vec::new()),
            Type::Flag => List::Flag(Vec::new()),
        };
        Self { present: Vec::new(), list }
    }

    /// Adds a row. What is not of the column's type is left out.
    fn push(&mut self, cell: &Cell<'_>) {
        let before = self.list.len();
        match (&mut self.list, cell) {
            (List::Text(list), Cell::Text(text)) => list.push(ByteArray::from(text.as_ref())),
            // Unsigned numbers of 64 bits are kept as their bits.
            (List::Number(list), Cell::Number(number)) => list.push(number.cast_signed()),
            (List::Real(list), Cell::Real(real)) => list.push(*real),
            (List::Flag(list), Cell::Flag(flag)) => list.push(*flag),
            _ => {}
        }
        self.present.push(i16::from(self.list.len() > before));
    }

    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let present = Some(&self.present[..]);
        match &mut self.list {
            List::Text(list) => {
                column.typed::<ByteArrayType>().write_batch(list, present, None)?;
                list.clear();
            }
            List::Number(list) => {
                column.typed::<Int64Type>().write_batch(list, present, None)?;
                list.clear();
            }
            List::Real(list) => {
                column.typed::<DoubleType>().write_batch(list, present, None)?;
                list.clear();
            }
            List::Flag(list) => {
                column.typed::<BoolType>().write_batch(list, present, None)?;
                list.clear();
            }
        }
        self.present.clear();
        Ok(())
    }
}

impl List {
    fn len(&self) -> usize {
        match self {
            Self::Text(list) => list.len(),
            Self::Number(list) => list.len(),
            Self::Real(list) => list.len(),
            Self::Flag(list) => list.len(),
        }
    }
}

fn schema() -> Result<Schema, ParquetError> {
    let column = |(name, of): &(&str, Type)| {
        let (physical, logical) = match of {
            Type::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Type::Number => (Physical::INT64, Some(LogicalType::integer(64, false))),
            Type::Real => (Physical::DOUBLE, None),
            Type::Flag => (Physical::BOOLEAN, None),
        };
        let builder = Schema::primitive_type_builder(name, physical).with_logical_type(logical);
        builder.with_repetition(Repetition::OPTIONAL).build().map(Arc::new)
    };
    let columns = COLUMNS.iter().map(column).collect::<Result<Vec<_>, _>>()?;
    Schema::group_type_builder("recording").with_fields(columns).build()
}

fn told(error: ParquetError) -> io::Error {
    io::Error::other(error)
}
