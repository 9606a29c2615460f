//! Rows as a Parquet table: fields as columns, objects as groups, lists as Parquet lists.
//!
//! Every field is optional: an absent one and `null` are the same, as they are in the rows. A column has one type in all
//! rows; whole and broken numbers together are broken ones. Values are cut into columns with repetition and definition
//! levels (Melnik et al. 2010, §4.1).

use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::Result as ParquetResult;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

/// Rows of a row group.
const GROUP: usize = 65_536;

/// The bytes of the table; the error is a sentence that names the column.
pub fn bytes(rows: &[Value]) -> Result<Vec<u8>, String> {
    let mut shape = Shape::Unknown;
    for (idx, row) in rows.iter().enumerate() {
        shape.take_in(row, "").map_err(|problem| format!("row {}: {problem}", idx + 1))?;
    }
    let Shape::Group(fields) = shape.known() else {
        return Err("no row has a field that could be a column".to_owned());
    };
    write(rows, &fields).map_err(|error| error.to_string())
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
enum Shape {
    /// Nothing but null was seen.
    Unknown,
    Bool,
    Int,
    Double,
    Text,
    List(Box<Shape>),
    /// By field, in the order in which they first came.
    Group(Vec<(String, Shape)>),
}

impl Shape {
    fn of(value: &Value) -> Shape {
        match value {
            Value::Null => Shape::Unknown,
            Value::Bool(_) => Shape::Bool,
            Value::Number(number) if number.is_i64() => Shape::Int,
            Value::Number(_) => Shape::Double,
            Value::String(_) => Shape::Text,
            Value::Array(_) => Shape::List(Box::new(Shape::Unknown)),
            Value::Object(_) => Shape::Group(Vec::new()),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Shape::Unknown => "null",
            Shape::Bool => "true or false",
            Shape::Int | Shape::Double => "a number",
            Shape::Text => "text",
            Shape::List(_) => "a list",
            Shape::Group(_) => "an object",
        }
    }

    /// Widens to what this value needs too; `path` is the column's name.
    fn take_in(&mut self, value: &Value, path: &str) -> Result<(), String> {
        let found = Shape::of(value);
        match (&mut *self, &found) {
            (_, Shape::Unknown) => return Ok(()),
            (Shape::Unknown, _) => *self = found,
            (Shape::Int, Shape::Double) => *self = Shape::Double,
            (Shape::Double, Shape::Int) => {}
            (known, found) if std::mem::discriminant(known) == std::mem::discriminant(found) => {}
            (known, found) => {
                let (found, expected) = (found.name(), known.name());
                return Err(format!(
                    "column `{path}` has {found}, expected {expected} as in the rows before: a Parquet column has one type"
                ));
            }
        }
        match (self, value) {
            (Shape::List(item), Value::Array(values)) => {
                values.iter().try_for_each(|value| item.take_in(value, &format!("{path}[]")))
            }
            (Shape::Group(fields), Value::Object(values)) => values.iter().try_for_each(|(name, value)| {
                let at = fields.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                    fields.push((name.clone(), Shape::Unknown));
                    fields.len() - 1
                });
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                fields[at].1.take_in(value, &path)
            }),
            _ => Ok(()),
        }
    }

    /// Without what no row has a value of: such a column would have no type. A list of nothing holds text.
    fn known(self) -> Shape {
        match self {
            Shape::List(item) => match item.known() {
                Shape::Unknown => Shape::List(Box::new(Shape::Text)),
                item => Shape::List(Box::new(item)),
            },
            Shape::Group(fields) => {
                let fields = fields.into_iter().map(|(name, shape)| (name, shape.known()));
                let fields: Vec<_> = fields.filter(|(_, shape)| *shape != Shape::Unknown).collect();
                if fields.is_empty() { Shape::Unknown } else { Shape::Group(fields) }
            }
            other => other,
        }
    }

    fn n_leaves(&self) -> usize {
        match self {
            Shape::List(item) => item.n_leaves(),
            Shape::Group(fields) => fields.iter().map(|(_, shape)| shape.n_leaves()).sum(),
            _ => 1,
        }
    }

    fn column_type(&self, name: &str) -> ParquetResult<Type> {
        let plain = |physical| Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
        match self {
            Shape::Bool => plain(Physical::BOOLEAN).build(),
            Shape::Int => plain(Physical::INT64).build(),
            Shape::Double => plain(Physical::DOUBLE).build(),
            Shape::Text | Shape::Unknown => {
                plain(Physical::BYTE_ARRAY).with_logical_type(Some(LogicalType::String)).build()
            }
            Shape::List(item) => {
                let repeated = Type::group_type_builder("list")
                    .with_repetition(Repetition::REPEATED)
                    .with_fields(vec![Arc::new(item.column_type("element")?)])
                    .build()?;
                Type::group_type_builder(name)
                    .with_repetition(Repetition::OPTIONAL)
                    .with_logical_type(Some(LogicalType::List))
                    .with_fields(vec![Arc::new(repeated)])
                    .build()
            }
            Shape::Group(fields) => {
                Type::group_type_builder(name).with_repetition(Repetition::OPTIONAL).with_fields(types(fields)?).build()
            }
        }
    }
}

fn types(fields: &[(String, Shape)]) -> ParquetResult<Vec<TypePtr>> {
    fields.iter().map(|(name, shape)| shape.column_type(name).map(Arc::new)).collect()
}

/// A leaf's values with their levels.
#[derive(Default)]
struct Column<'v> {
    values: Vec<&'v Value>,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

/// Where in the tree of levels a value stands.
#[derive(Clone, Copy)]
struct Level {
    /// Optional and repeated ancestors that are there.
    definition: i16,
    /// The repeated ancestor at which this value begins anew.
    repetition: i16,
    /// Repeated ancestors.
    depth: i16,
}

/// Cuts a value into the leaves of its shape.
fn cut<'v>(value: Option<&'v Value>, shape: &Shape, level: Level, leaves: &mut [Column<'v>]) {
    let Level { definition, repetition, depth } = level;
    let Some(value) = value.filter(|value| !value.is_null()) else {
        for leaf in leaves {
            leaf.definitions.push(definition);
            leaf.repetitions.push(repetition);
        }
        return;
    };
    match (shape, value) {
        (Shape::Group(fields), Value::Object(values)) => {
            let mut rest = leaves;
            for (name, shape) in fields {
                let (own, others) = rest.split_at_mut(shape.n_leaves());
                cut(values.get(name), shape, Level { definition: definition + 1, ..level }, own);
                rest = others;
            }
        }
        (Shape::List(_), Value::Array(values)) if values.is_empty() => {
            for leaf in leaves {
                leaf.definitions.push(definition + 1);
                leaf.repetitions.push(repetition);
            }
        }
        (Shape::List(item), Value::Array(values)) => {
            for (idx, value) in values.iter().enumerate() {
                let repetition = if idx == 0 { repetition } else { depth + 1 };
                cut(Some(value), item, Level { definition: definition + 2, repetition, depth: depth + 1 }, leaves);
            }
        }
        _ => {
            leaves[0].values.push(value);
            leaves[0].definitions.push(definition + 1);
            leaves[0].repetitions.push(repetition);
        }
    }
}

fn write(rows: &[Value], fields: &[(String, Shape)]) -> ParquetResult<Vec<u8>> {
    let schema = Type::group_type_builder("rows").with_fields(types(fields)?).build()?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
    let mut writer = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    let root = Level { definition: 0, repetition: 0, depth: 0 };
    for rows in rows.chunks(GROUP) {
        let mut group = writer.next_row_group()?;
        for (name, shape) in fields {
            let mut leaves: Vec<Column<'_>> = (0..shape.n_leaves()).map(|_| Column::default()).collect();
            rows.iter().for_each(|row| cut(row.get(name), shape, root, &mut leaves));
            for leaf in &leaves {
                let column = group.next_column()?.expect("a column for every leaf of the schema");
                write_column(column, leaf)?;
            }
        }
        group.close()?;
    }
    writer.into_inner()
}

fn write_column(mut column: SerializedColumnWriter<'_>, leaf: &Column<'_>) -> ParquetResult<()> {
    let (definitions, repetitions) = (Some(&leaf.definitions[..]), Some(&leaf.repetitions[..]));
    let values = || leaf.values.iter();
    match column.untyped() {
        ColumnWriter::BoolColumnWriter(writer) => {
            let values: Vec<bool> = values().filter_map(|value| value.as_bool()).collect();
            writer.write_batch(&values, definitions, repetitions)?;
        }
        ColumnWriter::Int64ColumnWriter(writer) => {
            let values: Vec<i64> = values().filter_map(|value| value.as_i64()).collect();
            writer.write_batch(&values, definitions, repetitions)?;
        }
        ColumnWriter::DoubleColumnWriter(writer) => {
            let values: Vec<f64> = values().filter_map(|value| value.as_f64()).collect();
            writer.write_batch(&values, definitions, repetitions)?;
        }
        ColumnWriter::ByteArrayColumnWriter(writer) => {
            let values: Vec<ByteArray> = values().filter_map(|value| value.as_str()).map(ByteArray::from).collect();
            writer.write_batch(&values, definitions, repetitions)?;
        }
        _ => unreachable!("no other physical type is in the schema"),
    }
    column.close()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn back(rows: &[Value]) -> Vec<Value> {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("x.parquet");
        std::fs::write(&path, bytes(rows).expect("a table")).expect("written");
        crate::raw::values(&path).expect("opened").map(|row| row.expect("a row").1).collect()
    }

    /// What isn't there comes back as null, or not at all.
    fn without_nulls(value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                fields.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect()
            }
            Value::Array(values) => values.iter().map(without_nulls).collect(),
            other => other.clone(),
        }
    }

    #[test]
    fn nested_rows_come_back_as_they_were() {
        let rows = [
            json!({"prompt": "p", "completions": [{"text": "a", "rank": 1, "flags": {"x": true}}, {"text": "ä", "rank": 2}], "w": 1}),
            json!({"prompt": "q", "completions": [], "w": 0.5, "tags": [[1, 2], [], [3]]}),
            json!({"completions": [{"text": "", "rank": 3}], "prompt": null, "tags": []}),
            json!({"prompt": "r", "tags": [[], [4]]}),
        ];
        let found: Vec<Value> = back(&rows).iter().map(without_nulls).collect();
        let mut expected: Vec<Value> = rows.iter().map(without_nulls).collect();
        expected[0]["w"] = json!(1.0); // the column holds broken numbers
        assert_eq!(found, expected);
    }

    #[test]
    fn a_column_has_one_type() {
        let mixed = [json!({"prompt": [{"role": "user"}]}), json!({"prompt": "plain"})];
        let error = bytes(&mixed).expect_err("two types");
        assert!(error.starts_with("row 2: column `prompt` has text, expected a list"), "{error}");
        let inner = [json!({"a": [{"b": 1}, {"b": "x"}]})];
        assert!(bytes(&inner).expect_err("two types").contains("column `a[].b`"));
        assert!(bytes(&[json!({"a": null})]).is_err());
        assert_eq!(back(&[json!({"a": 1, "never": null})]), [json!({"a": 1})]);
    }
}
