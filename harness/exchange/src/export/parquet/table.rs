//! One Parquet file: rows in, columns out, a row group at a time.
//!
//! Whole numbers are delta-packed and texts go through a dictionary, all under zstd 1. It knows
//! nothing of what its rows mean.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{
    Compression, ConvertedType, Encoding, LogicalType, Repetition, Type, ZstdLevel,
};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{ColumnPath, Type as Schema};

/// Rows held in memory before they are written: DuckDB's own size of a row group, some 12 MB for
/// the widest table.
const GROUP_ROWS: usize = 122_880;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    name: &'static str,
    holds: Holds,
    required: bool,
}

#[derive(Debug, Clone, Copy)]
enum Holds {
    Long,
    Int,
    Bool,
    Text,
}

/// A column of 64-bit numbers.
pub(super) const fn long(name: &'static str) -> Column {
    Column::of(name, Holds::Long)
}

/// A column of 32-bit numbers.
pub(super) const fn int(name: &'static str) -> Column {
    Column::of(name, Holds::Int)
}

/// A column of truths.
pub(super) const fn bool(name: &'static str) -> Column {
    Column::of(name, Holds::Bool)
}

/// A column of texts.
pub(super) const fn text(name: &'static str) -> Column {
    Column::of(name, Holds::Text)
}

impl Column {
    const fn of(name: &'static str, holds: Holds) -> Self {
        Self {
            name,
            holds,
            required: true,
        }
    }

    /// The same, where a value may be absent.
    pub(super) const fn or_null(self) -> Self {
        Self {
            required: false,
            ..self
        }
    }
}

/// What stands in one column of one row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cell<'a> {
    Null,
    Long(i64),
    Int(i32),
    Bool(bool),
    Text(&'a str),
}

macro_rules! cells {
    ($($from:ty => $variant:ident),*) => {$(
        impl<'a> From<$from> for Cell<'a> {
            fn from(value: $from) -> Self {
                Cell::$variant(value.into())
            }
        }
    )*};
}
cells!(i64 => Long, i32 => Int, i16 => Int, u16 => Int, u8 => Int, bool => Bool, &'a str => Text);

impl From<u64> for Cell<'_> {
    /// Two's complement: SQL has no unsigned numbers, and none of ours comes near 2^63.
    fn from(value: u64) -> Self {
        Cell::Long(value as i64)
    }
}

impl<'a> From<&'a String> for Cell<'a> {
    fn from(value: &'a String) -> Self {
        Cell::Text(value)
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

/// A file being written.
pub(super) struct Table {
    columns: Vec<Buffer>,
    rows: usize,
    written: u64,
    file: SerializedFileWriter<File>,
}

struct Buffer {
    column: Column,
    values: Values,
    /// 1 where a value stands, 0 where it is null; unused for required columns.
    there: Vec<i16>,
}

enum Values {
    Long(Vec<i64>),
    Int(Vec<i32>),
    Bool(Vec<bool>),
    /// Neighbours with the same text share its bytes.
    Text(Vec<ByteArray>),
}

impl Table {
    /// Begins a file.
    pub(super) fn create(path: &Path, columns: &[Column]) -> io::Result<Self> {
        let schema = Schema::group_type_builder("row")
            .with_fields(
                columns
                    .iter()
                    .map(field)
                    .collect::<Result<_, _>>()
                    .map_err(other)?,
            )
            .build()
            .map_err(other)?;
        let file = File::create(path)?;
        let file =
            SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties(columns)?));
        Ok(Self {
            columns: columns.iter().copied().map(Buffer::of).collect(),
            rows: 0,
            written: 0,
            file: file.map_err(other)?,
        })
    }

    /// Takes one row; its cells stand in the order of the columns.
    ///
    /// # Panics
    /// When a cell does not fit its column: that is this package's mistake.
    pub(super) fn row<const N: usize>(&mut self, cells: [Cell<'_>; N]) -> io::Result<()> {
        assert_eq!(N, self.columns.len(), "as many cells as columns");
        for (buffer, cell) in self.columns.iter_mut().zip(cells) {
            buffer.push(cell);
        }
        self.rows += 1;
        self.written += 1;
        if self.rows >= GROUP_ROWS {
            self.cut()?;
        }
        Ok(())
    }

    /// Writes what is held as one row group.
    fn cut(&mut self) -> io::Result<()> {
        let mut group = self.file.next_row_group().map_err(other)?;
        for buffer in &mut self.columns {
            buffer.write(&mut group).map_err(other)?;
        }
        group.close().map_err(other)?;
        self.rows = 0;
        Ok(())
    }

    /// Ends the file, brings it to the disk, and gives the number of its rows.
    pub(super) fn end(mut self) -> io::Result<u64> {
        if self.rows > 0 {
            self.cut()?;
        }
        let file = self.file.into_inner().map_err(other)?;
        file.sync_data()?;
        Ok(self.written)
    }
}

impl Buffer {
    fn of(column: Column) -> Self {
        let values = match column.holds {
            Holds::Long => Values::Long(Vec::new()),
            Holds::Int => Values::Int(Vec::new()),
            Holds::Bool => Values::Bool(Vec::new()),
            Holds::Text => Values::Text(Vec::new()),
        };
        Self {
            column,
            values,
            there: Vec::new(),
        }
    }

    fn push(&mut self, cell: Cell<'_>) {
        match (&mut self.values, cell) {
            (_, Cell::Null) if !self.column.required => {
                self.there.push(0);
                return;
            }
            (Values::Long(values), Cell::Long(value)) => values.push(value),
            (Values::Int(values), Cell::Int(value)) => values.push(value),
            (Values::Bool(values), Cell::Bool(value)) => values.push(value),
            (Values::Text(values), Cell::Text(value)) => {
                let shared = values.last().filter(|last| last.data() == value.as_bytes());
                let bytes = shared.cloned().unwrap_or_else(|| ByteArray::from(value));
                values.push(bytes);
            }
            (_, cell) => panic!("{cell:?} does not fit column {:?}", self.column),
        }
        if !self.column.required {
            self.there.push(1);
        }
    }

    fn write(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, File>,
    ) -> Result<(), ParquetError> {
        let there = (!self.column.required).then_some(self.there.as_slice());
        match &mut self.values {
            Values::Long(values) => column::<Int64Type>(group, values, there)?,
            Values::Int(values) => column::<Int32Type>(group, values, there)?,
            Values::Bool(values) => column::<BoolType>(group, values, there)?,
            Values::Text(values) => column::<ByteArrayType>(group, values, there)?,
        }
        self.there.clear();
        Ok(())
    }
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, File>,
    values: &mut Vec<T::T>,
    there: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let mut writer = group
        .next_column()?
        .ok_or_else(|| ParquetError::General("more columns than the schema has".to_owned()))?;
    writer.typed::<T>().write_batch(values, there, None)?;
    values.clear();
    writer.close()
}

fn field(column: &Column) -> Result<Arc<Schema>, ParquetError> {
    let kind = match column.holds {
        Holds::Long => Type::INT64,
        Holds::Int => Type::INT32,
        Holds::Bool => Type::BOOLEAN,
        Holds::Text => Type::BYTE_ARRAY,
    };
    let builder =
        Schema::primitive_type_builder(column.name, kind).with_repetition(if column.required {
            Repetition::REQUIRED
        } else {
            Repetition::OPTIONAL
        });
    let builder = match column.holds {
        Holds::Text => builder
            .with_converted_type(ConvertedType::UTF8)
            .with_logical_type(Some(LogicalType::String)),
        Holds::Long | Holds::Int | Holds::Bool => builder,
    };
    builder.build().map(Arc::new)
}

fn properties(columns: &[Column]) -> io::Result<WriterProperties> {
    let mut builder = WriterProperties::builder()
        .set_created_by("tidemark".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).map_err(other)?))
        .set_statistics_enabled(EnabledStatistics::Chunk);
    for column in columns {
        let path = ColumnPath::from(column.name);
        builder = match column.holds {
            Holds::Long | Holds::Int => builder
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            Holds::Bool => builder.set_column_dictionary_enabled(path, false),
            Holds::Text => builder,
        };
    }
    Ok(builder.build())
}

/// The writer's errors are the file's, or this package's.
fn other(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(why) => match why.downcast::<io::Error>() {
            Ok(why) => *why,
            Err(why) => io::Error::other(why),
        },
        error => io::Error::other(error),
    }
}
