//! Jinja programs from strangers: compiled once, run within limits.
//!
//! There is no loader, so nothing can be read. Instructions, recursion, the length of output and of every text kept in
//! a variable are limited; a template that goes beyond fails, with its name, and the next one runs.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use minijinja::value::{Kwargs, Object, Rest, Value};
use minijinja::{Environment, Error, ErrorKind, State};
use serde_json::Value as Json;
use stdx::{Limited, Stream};

use super::python;

/// Instructions a rendering may execute: published templates take some hundred, those that walk long tables some
/// thousand.
const FUEL: u64 = 200_000;
/// Nested blocks, macros and calls.
const RECURSION_MAX: usize = 60;
/// Bytes of a template's source; the longest published one has about 8 thousand.
pub(super) const SOURCE_BYTES_MAX: usize = 1 << 15;
/// Bytes that a rendering may write.
const OUTPUT_BYTES_MAX: usize = 8 << 20;
/// The compiler and the drop of deep values recurse; this holds what the limits above allow.
const STACK_BYTES: usize = 256 << 20;
/// Stands for `|||` in a row's own text while a rendering is divided at `|||`.
const PIPES: &str = "\u{f8ff}\u{e7c1}\u{f8ff}";

/// How `choice` and `random` choose.
#[derive(Clone, Debug, Default)]
pub enum Choice {
    /// The first item: the same rendering whatever the seed.
    #[default]
    First,
    /// At random.
    Random(Box<Stream>),
}

/// The chooser of one rendering, handed to filters under a name that no template can spell.
struct Chooser(Mutex<Choice>);

const CHOOSER: &str = "the chooser";

impl fmt::Debug for Chooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("chooser")
    }
}

impl Object for Chooser {}

/// Compiled programs.
pub(super) struct Engine {
    environment: Environment<'static>,
}

impl Engine {
    pub(super) fn new() -> Engine {
        let mut environment = Environment::new();
        environment.set_recursion_limit(RECURSION_MAX);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(python::method);
        environment.set_formatter(|out, _, value| {
            let text = python::text(value)?;
            out.write_str(&text).map_err(Error::from)
        });
        install_filters(&mut environment);
        install_functions(&mut environment);
        Engine { environment }
    }

    /// Compiles a program under a name.
    pub(super) fn add(&mut self, name: String, source: &str) -> Result<(), String> {
        if source.len() > SOURCE_BYTES_MAX {
            return Err(format!("{} bytes of source, expected at most {SOURCE_BYTES_MAX}", source.len()));
        }
        let source = with_guarded_variables(source);
        self.environment.add_template_owned(name, source).map_err(|error| described(&error))
    }

    /// Runs a program.
    pub(super) fn render(&self, name: &str, context: &Context) -> Result<String, String> {
        let mut output = Limited::new(OUTPUT_BYTES_MAX);
        let template = self.environment.get_template(name).map_err(|error| described(&error))?;
        template.render_captured_to(&context.value, &mut output).map_err(|error| described(&error))?;
        String::from_utf8(output.into_bytes()).map_err(|error| error.to_string())
    }
}

/// What a program sees of a row.
pub(super) struct Context {
    pairs: Vec<(String, Value)>,
    value: Value,
}

impl Context {
    /// The row's fields, `|||` in them hidden.
    pub(super) fn new(row: &serde_json::Map<String, Json>, choice: Choice) -> Context {
        let hide = |text: &str| if text.contains("|||") { text.replace("|||", PIPES) } else { text.to_owned() };
        let fields = row.iter().map(|(key, value)| (key.clone(), python::from_json(value, &hide)));
        let chooser = (CHOOSER.to_owned(), Value::from_object(Chooser(Mutex::new(choice))));
        let pairs: Vec<_> = fields.chain([chooser]).collect();
        let value = Value::from_pairs(pairs.clone());
        Context { pairs, value }
    }

    /// Adds a variable.
    pub(super) fn set(&mut self, name: &str, values: &[String]) {
        let values = python::list(values.iter().map(|text| Value::from(text.as_str())).collect());
        self.pairs.push((name.to_owned(), values));
        self.value = Value::from_pairs(self.pairs.clone());
    }
}

/// Divides a rendering at `|||`, strips the parts and shows what was hidden.
pub(super) fn parts(rendered: &str) -> Vec<String> {
    rendered.split("|||").map(whole).collect()
}

/// A rendering that isn't divided: stripped, what was hidden shown.
pub(super) fn whole(rendered: &str) -> String {
    rendered.replace(PIPES, "|||").trim().to_owned()
}

/// Runs `work` where compilers and drops may recurse.
pub fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work)?;
        thread.join().map_err(|_| std::io::Error::other("rendering gave up"))
    })
}

/// Passes every value that is assigned to a variable through `kept`, which bounds its length and makes lists and
/// dictionaries that can be changed, as Python's can.
fn with_guarded_variables(source: &str) -> String {
    let mut text = String::with_capacity(source.len() + 64);
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let tag = &rest[start..start + length + 2];
        text.push_str(&rest[..start]);
        text.push_str(&guarded(tag).unwrap_or_else(|| tag.to_owned()));
        rest = &rest[start + length + 2..];
    }
    text.push_str(rest);
    text
}

/// `{% set a = b %}` with its right side guarded; none for other tags.
fn guarded(tag: &str) -> Option<String> {
    let inner = &tag[2..tag.len() - 2];
    let open = if inner.starts_with(['-', '+']) { &inner[..1] } else { "" };
    let close = if inner.ends_with(['-', '+']) { &inner[inner.len() - 1..] } else { "" };
    let body = inner.get(open.len()..inner.len() - close.len())?.trim();
    let assignment = body.strip_prefix("set").filter(|rest| rest.starts_with(char::is_whitespace))?;
    let (target, value) = assignment.split_once('=')?;
    let is_name = |c: char| c.is_alphanumeric() || "_., \n\t".contains(c);
    if value.starts_with('=') || !target.chars().all(is_name) {
        return None;
    }
    Some(format!("{{%{open} set {} = kept(({})) {close}%}}", target.trim(), value.trim()))
}

fn install_functions(environment: &mut Environment<'static>) {
    environment.add_function("kept", |value: Value| -> Result<Value, Error> {
        match value.as_str() {
            Some(text) if text.len() > python::TEXT_BYTES_MAX => Err(python::too_long()),
            Some(_) => Ok(value),
            None => python::changeable(&value, 0),
        }
    });
    environment.add_function("namespace", |values: Kwargs| -> Result<Value, Error> {
        let mut pairs = Vec::new();
        for name in values.args() {
            pairs.push((name.to_owned(), python::changeable(&values.get::<Value>(name)?, 0)?));
        }
        values.assert_all_used()?;
        minijinja::functions::namespace(Some(Value::from_pairs(pairs).into()))
    });
    environment.add_function("zip", |lists: Rest<Value>| -> Result<Value, Error> {
        let mut iterators = lists.iter().map(Value::try_iter).collect::<Result<Vec<_>, _>>()?;
        let mut rows = Vec::new();
        while !iterators.is_empty() {
            let Some(row) = iterators.iter_mut().map(Iterator::next).collect::<Option<Vec<Value>>>() else { break };
            rows.push(Value::from(row));
        }
        Ok(python::list(rows))
    });
}

fn install_filters(environment: &mut Environment<'static>) {
    environment.add_filter("choice", choose);
    environment.add_filter("random", choose);
    environment.add_filter("string", |value: Value| python::text(&value));
    environment.add_filter(
        "join",
        |values: Value, between: Option<Value>, attribute: Kwargs| -> Result<String, Error> {
            let between = match &between {
                Some(between) => python::text(between)?,
                None => attribute.get::<Option<String>>("d")?.unwrap_or_default(),
            };
            let values = match attribute.get::<Option<String>>("attribute")? {
                Some(name) => {
                    Value::from(values.try_iter()?.map(|v| v.get_attr(&name)).collect::<Result<Vec<_>, _>>()?)
                }
                None => values,
            };
            attribute.assert_all_used()?;
            python::join(&values, &between)
        },
    );
    environment.add_filter("replace", |value: Value, from: Value, to: Value| -> Result<String, Error> {
        python::replace(&python::text(&value)?, &python::text(&from)?, &python::text(&to)?, None)
    });
    environment.add_filter("most_frequent", most_frequent);
    environment
        .add_filter("format", |format: String, args: Rest<Value>| -> Result<String, Error> { percent(&format, &args) });
}

/// An item of a list, by the rendering's chooser.
fn choose(state: &State<'_, '_>, values: Value) -> Result<Value, Error> {
    let items: Vec<Value> = values.try_iter()?.collect();
    if items.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOperation, "choice from an empty list"));
    }
    let chooser: Option<Arc<Chooser>> = state.lookup(CHOOSER).and_then(|chooser| chooser.downcast_object());
    let place = match chooser {
        Some(chooser) => match &mut *chooser.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Choice::First => 0,
            Choice::Random(stream) => stream.below(items.len() as u64) as usize,
        },
        None => 0,
    };
    Ok(items[place].clone())
}

/// All items that are as frequent as the most frequent one, in their order.
fn most_frequent(values: Value) -> Result<Value, Error> {
    let mut counts: Vec<(Value, usize)> = Vec::new();
    for item in values.try_iter()? {
        match counts.iter_mut().find(|(other, _)| *other == item) {
            Some((_, n)) => *n += 1,
            None => counts.push((item, 1)),
        }
    }
    let most = counts.iter().map(|(_, n)| *n).max().unwrap_or(0);
    Ok(python::list(counts.into_iter().filter(|(_, n)| *n == most).map(|(item, _)| item).collect()))
}

/// Python's `format % args` for `%s`, `%d`, `%i` and `%f` with flags, width and precision.
fn percent(format: &str, args: &[Value]) -> Result<String, Error> {
    let failed = |reason: &str| Error::new(ErrorKind::InvalidOperation, format!("format {format:?}: {reason}"));
    if python::wide(format) {
        return Err(failed("a field wider than a template may make it"));
    }
    let (mut out, mut args, mut characters) = (String::new(), args.iter(), format.chars().peekable());
    while let Some(c) = characters.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut specification = String::new();
        while let Some(c) = characters.next_if(|c| "0123456789.-+ #".contains(*c)) {
            specification.push(c);
        }
        let kind = characters.next().ok_or_else(|| failed("ends in the middle of a field"))?;
        if kind == '%' {
            out.push('%');
            continue;
        }
        let value = args.next().ok_or_else(|| failed("more fields than values"))?;
        let (width, precision) =
            specification.split_once('.').map_or((&specification[..], None), |(w, p)| (w, Some(p)));
        let precision = precision.map(|p| p.parse::<usize>().unwrap_or(0));
        let number = || f64::try_from(value.clone()).map_err(|_| failed("a number field without a number"));
        let text = match kind {
            's' => python::text(value)?.chars().take(precision.unwrap_or(usize::MAX)).collect(),
            'd' | 'i' => format!("{}", number()?.trunc()),
            'f' | 'F' => format!("{:.*}", precision.unwrap_or(6), number()?),
            _ => return Err(failed("only %s, %d, %i and %f are known")),
        };
        pad(&mut out, width, &text);
    }
    Ok(out)
}

/// `text` in a field: `-` to the left, `0` filled with zeros after its sign.
fn pad(out: &mut String, flags_and_width: &str, text: &str) {
    let digits = flags_and_width.trim_start_matches(['-', '+', ' ', '#', '0']);
    let flags = &flags_and_width[..flags_and_width.len() - digits.len()];
    let sign = if flags.contains('+') && !text.starts_with('-') { "+" } else { "" };
    let missing = digits.parse::<usize>().unwrap_or(0).saturating_sub(text.chars().count() + sign.len());
    if flags.contains('-') {
        out.push_str(&format!("{sign}{text}{}", " ".repeat(missing)));
    } else if flags.contains('0') {
        let (minus, rest) = text.split_at(usize::from(text.starts_with('-')));
        out.push_str(&format!("{sign}{minus}{}{rest}", "0".repeat(missing)));
    } else {
        out.push_str(&format!("{}{sign}{text}", " ".repeat(missing)));
    }
}

/// An error in a line: what, and where in the template.
fn described(error: &Error) -> String {
    if error.kind() == ErrorKind::OutOfFuel {
        return "it takes more steps than a template may".to_owned();
    }
    stdx::limit::chain(error)
}
