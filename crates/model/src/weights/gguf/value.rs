//! Metadata values.

/// A metadata value, in the type it has in the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// 0
    U8(u8),
    /// 1
    I8(i8),
    /// 2
    U16(u16),
    /// 3
    I16(i16),
    /// 4
    U32(u32),
    /// 5
    I32(i32),
    /// 6
    F32(f32),
    /// 7
    Bool(bool),
    /// 8
    String(String),
    /// 9
    Array(Array),
    /// 10
    U64(u64),
    /// 11
    I64(i64),
    /// 12
    F64(f64),
}

/// An array: all elements of one type.
#[derive(Clone, Debug, PartialEq)]
pub enum Array {
    /// 0
    U8(Vec<u8>),
    /// 1
    I8(Vec<i8>),
    /// 2
    U16(Vec<u16>),
    /// 3
    I16(Vec<i16>),
    /// 4
    U32(Vec<u32>),
    /// 5
    I32(Vec<i32>),
    /// 6
    F32(Vec<f32>),
    /// 7
    Bool(Vec<bool>),
    /// 8
    String(Vec<String>),
    /// 9
    Array(Vec<Array>),
    /// 10
    U64(Vec<u64>),
    /// 11
    I64(Vec<i64>),
    /// 12
    F64(Vec<f64>),
}

impl Value {
    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
    /// A boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }
    /// Any integer that isn't negative.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Value::U8(n) => Some(n.into()),
            Value::U16(n) => Some(n.into()),
            Value::U32(n) => Some(n.into()),
            Value::U64(n) => Some(n),
            Value::I8(n) => n.try_into().ok(),
            Value::I16(n) => n.try_into().ok(),
            Value::I32(n) => n.try_into().ok(),
            Value::I64(n) => n.try_into().ok(),
            _ => None,
        }
    }
    /// Any integer that fits.
    pub fn as_u32(&self) -> Option<u32> {
        self.as_u64().and_then(|n| n.try_into().ok())
    }
    /// A floating-point number.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Value::F32(x) => Some(x.into()),
            Value::F64(x) => Some(x),
            _ => None,
        }
    }
    /// A floating-point number, rounded if it is an f64.
    pub fn as_f32(&self) -> Option<f32> {
        self.as_f64().map(|x| x as f32)
    }
    /// The elements of an array of strings.
    pub fn as_strings(&self) -> Option<&[String]> {
        match self {
            Value::Array(Array::String(texts)) => Some(texts),
            _ => None,
        }
    }
    /// The elements of an array of 32-bit floating-point numbers.
    pub fn as_f32s(&self) -> Option<&[f32]> {
        match self {
            Value::Array(Array::F32(numbers)) => Some(numbers),
            _ => None,
        }
    }
    /// The elements of an array of integers that all fit.
    pub fn as_i32s(&self) -> Option<Vec<i32>> {
        fn fit<T: Copy + TryInto<i32>>(numbers: &[T]) -> Option<Vec<i32>> {
            numbers.iter().map(|n| (*n).try_into().ok()).collect()
        }
        match self {
            Value::Array(Array::I32(numbers)) => Some(numbers.clone()),
            Value::Array(Array::I8(numbers)) => fit(numbers),
            Value::Array(Array::I16(numbers)) => fit(numbers),
            Value::Array(Array::I64(numbers)) => fit(numbers),
            Value::Array(Array::U8(numbers)) => fit(numbers),
            Value::Array(Array::U16(numbers)) => fit(numbers),
            Value::Array(Array::U32(numbers)) => fit(numbers),
            Value::Array(Array::U64(numbers)) => fit(numbers),
            _ => None,
        }
    }
    /// The type, as errors name it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::U8(_) => "u8",
            Value::I8(_) => "i8",
            Value::U16(_) => "u16",
            Value::I16(_) => "i16",
            Value::U32(_) => "u32",
            Value::I32(_) => "i32",
            Value::F32(_) => "f32",
            Value::Bool(_) => "bool",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::U64(_) => "u64",
            Value::I64(_) => "i64",
            Value::F64(_) => "f64",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_of_any_width_are_read_when_they_fit() {
        assert_eq!(Value::I8(-1).as_u32(), None);
        assert_eq!(Value::I64(7).as_u32(), Some(7));
        assert_eq!(Value::U64(1 << 32).as_u32(), None);
        assert_eq!(Value::U64(1 << 32).as_u64(), Some(1 << 32));
        assert_eq!(Value::F32(7.0).as_u32(), None);
        assert_eq!(Value::Array(Array::U16(vec![3, 65535])).as_i32s(), Some(vec![3, 65535]));
        assert_eq!(Value::Array(Array::U32(vec![1 << 31])).as_i32s(), None);
        assert_eq!(Value::Array(Array::F32(vec![1.0])).as_i32s(), None);
    }
}
