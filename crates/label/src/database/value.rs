//! What goes into statements and comes out of rows.

/// A value of a column: the four types that both databases have.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// A whole number; yes and no are 1 and 0.
    Integer(i64),
    /// A number.
    Real(f64),
    /// Text; JSON is text too.
    Text(String),
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Value::Integer(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Value::Integer(i64::from(value))
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Self {
        Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Integer(i64::from(value))
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Value::Real(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Value::Text(value.clone())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}

/// A row of a result. Columns are read by position; our tables are strict about types, so that
/// another type than the one asked for means a query that doesn't fit its reader.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(pub Vec<Value>);

impl Row {
    fn at(&self, column: usize) -> &Value {
        self.0.get(column).unwrap_or(&Value::Null)
    }

    /// A whole number; 0 where there is none.
    pub fn integer(&self, column: usize) -> i64 {
        self.optional_integer(column).unwrap_or(0)
    }

    /// A whole number, if there is one.
    pub fn optional_integer(&self, column: usize) -> Option<i64> {
        match self.at(column) {
            Value::Integer(value) => Some(*value),
            Value::Real(value) => Some(*value as i64),
            _ => None,
        }
    }

    /// Whether a number isn't 0.
    pub fn is_set(&self, column: usize) -> bool {
        self.integer(column) != 0
    }

    /// A number; 0 where there is none.
    pub fn real(&self, column: usize) -> f64 {
        self.optional_real(column).unwrap_or(0.0)
    }

    /// A number, if there is one.
    pub fn optional_real(&self, column: usize) -> Option<f64> {
        match self.at(column) {
            Value::Integer(value) => Some(*value as f64),
            Value::Real(value) => Some(*value),
            _ => None,
        }
    }

    /// Text; empty where there is none.
    pub fn text(&self, column: usize) -> String {
        self.optional_text(column).unwrap_or_default()
    }

    /// Text, if there is one.
    pub fn optional_text(&self, column: usize) -> Option<String> {
        match self.at(column) {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_empty_are_told_apart() {
        let row = Row(vec![Value::from(Some("")), Value::from(None::<&str>), Value::from(true), Value::from(0.5)]);
        assert_eq!(row.optional_text(0), Some(String::new()));
        assert_eq!(row.optional_text(1), None);
        assert!(row.is_set(2) && !row.is_set(9));
        assert_eq!(row.optional_real(3), Some(0.5));
        assert_eq!(row.optional_integer(1), None);
    }
}
