//! What chat templates expect of Python: its JSON, its dates, its exceptions.
use std::fmt;

use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};

/// The day (and time) that `strftime_now` tells templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Year of the Gregorian calendar.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

impl Default for Date {
    /// 26 July 2024, the day that Llama 3's templates write when they are told none.
    fn default() -> Self {
        Date { year: 2024, month: 7, day: 26, hour: 0, minute: 0, second: 0 }
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

impl Date {
    /// The date in Python's `strftime` language (the directives that don't depend on a locale or
    /// a time zone); an unknown directive stands as it is.
    pub fn format(&self, format: &str) -> String {
        let mut text = String::new();
        let mut characters = format.chars();
        while let Some(character) = characters.next() {
            if character != '%' {
                text.push(character);
                continue;
            }
            match characters.next() {
                // glibc: no padding.
                Some('-') => {
                    let padded = characters.next().map(|d| self.directive(d));
                    let padded = padded.unwrap_or_default();
                    let bare = padded.trim_start_matches('0');
                    text.push_str(if bare.is_empty() { "0" } else { bare });
                }
                Some(directive) => text.push_str(&self.directive(directive)),
                None => text.push('%'),
            }
        }
        text
    }

    fn directive(&self, directive: char) -> String {
        let month = MONTHS[(usize::from(self.month).max(1) - 1) % 12];
        let weekday = DAYS[self.day_of_week()];
        match directive {
            'Y' => self.year.to_string(),
            'y' => format!("{:02}", self.year.rem_euclid(100)),
            'm' => format!("{:02}", self.month),
            'd' => format!("{:02}", self.day),
            'e' => format!("{:2}", self.day),
            'B' => month.to_string(),
            'b' | 'h' => month[..3].to_string(),
            'A' => weekday.to_string(),
            'a' => weekday[..3].to_string(),
            'H' => format!("{:02}", self.hour),
            'I' => format!("{:02}", (self.hour + 11) % 12 + 1),
            'M' => format!("{:02}", self.minute),
            'S' => format!("{:02}", self.second),
            'p' => if self.hour < 12 { "AM" } else { "PM" }.to_string(),
            'F' => self.format("%Y-%m-%d"),
            'T' => self.format("%H:%M:%S"),
            '%' => "%".to_string(),
            other => format!("%{other}"),
        }
    }

    /// 0 for Sunday (Sakamoto's method).
    fn day_of_week(&self) -> usize {
        const SHIFTS: [i32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let month = (usize::from(self.month).max(1) - 1) % 12;
        let year = self.year - i32::from(month < 2);
        let sum = year + year.div_euclid(4) - year.div_euclid(100)
            + year.div_euclid(400)
            + SHIFTS[month]
            + i32::from(self.day);
        sum.rem_euclid(7) as usize
    }
}

/// Gives an environment Python's string methods and the functions that templates call.
pub(crate) fn install(environment: &mut Environment<'static>, date: Date) {
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        let error = Error::new(ErrorKind::InvalidOperation, message.clone());
        Err(error.with_source(Raised(message)))
    });
    environment.add_function("strftime_now", move |format: &str| date.format(format));
    environment.add_filter("tojson", to_json);
}

/// What a template said when it called `raise_exception`, if that is what went wrong.
pub(crate) fn raised(error: &Error) -> Option<String> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(Raised(message)) = error.downcast_ref::<Raised>() {
            return Some(message.clone());
        }
        source = error.source();
    }
    None
}

#[derive(Debug)]
struct Raised(String);

impl fmt::Display for Raised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "raised by the template")
    }
}

impl std::error::Error for Raised {}

/// `{% generation %}` marks assistant turns for `transformers`' own masks. Ours come from the
/// rendering itself, so the tag becomes a block that changes nothing.
pub(crate) fn without_generation_tags(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start + 2..].find("%}").map(|at| at + 2) else {
            break;
        };
        let tag = &rest[start..start + length + 2];
        text.push_str(&rest[..start]);
        let inner = &tag[2..tag.len() - 2];
        match inner.trim_matches(['-', '+']).trim() {
            "generation" => text.push_str(&tag.replace("generation", "if true")),
            "endgeneration" => text.push_str(&tag.replace("endgeneration", "endif")),
            _ => text.push_str(tag),
        }
        rest = &rest[start + length + 2..];
    }
    text.push_str(rest);
    text
}

/// Python's `json.dumps(value, ensure_ascii=False, indent=indent)`.
fn to_json(value: &Value, indent: Option<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let indent = match indent {
        Some(indent) => Some(indent),
        None => kwargs.get::<Option<Value>>("indent")?,
    };
    // Accepted for compatibility; they are what is done anyway.
    let _: Option<bool> = kwargs.get("ensure_ascii")?;
    let _: Option<Value> = kwargs.get("separators")?;
    kwargs.assert_all_used()?;
    let indent = indent.and_then(|value| value.as_usize()).map(|n| n.min(16));
    let failed = |reason: String| Error::new(ErrorKind::InvalidOperation, format!("tojson: {reason}"));
    let mut bytes = Vec::new();
    let written = match indent {
        Some(width) => {
            let blanks = vec![b' '; width];
            write_json(value, &mut bytes, PrettyFormatter::with_indent(&blanks))
        }
        None => write_json(value, &mut bytes, Spaced),
    };
    written.map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|error| failed(error.to_string()))?;
    Ok(Value::from(text))
}

fn write_json(value: &Value, to: &mut Vec<u8>, style: impl Formatter) -> serde_json::Result<()> {
    value.serialize(&mut serde_json::Serializer::with_formatter(to, style))
}

/// One line, with a blank after each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}
