//! Curation: what stays of a corpus, and why the rest doesn't.
//!
//! Rows come as a stream; each is looked at by itself (language, quality, personal data, toxicity, sketches), which
//! threads may do, and then decided upon in order (duplicates, prefixes, users). What is remembered of a row is a hash
//! or a sketch, never its text. The order of the checks is the order of [`Reason`]: the first that objects is the
//! reason.

mod contamination;
mod datasheet;
mod page;
mod record_text;
mod report;
mod use_case;

use std::collections::{BTreeMap, HashMap, HashSet};

use record::{Record, Row};
use serde::{Deserialize, Serialize};
use text::minhash::{NearDuplicates, Shingles, Sketch, Sketcher};
use text::pii;
use text::quality::{Bounds, Quality};

pub use contamination::Contamination;
pub use datasheet::{CorpusFile, Sources, SourcesError, datasheet};
pub use record_text::{prompt_text, whole_text};
pub use report::{Example, Report};
pub use use_case::{TRAINING, UseCases, training_prompts};

/// What is done about personal data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersonalData {
    /// Nothing is looked for.
    Keep,
    /// It is counted.
    Count,
    /// It is replaced by `[email]` and so on.
    #[default]
    Redact,
    /// The row is dropped.
    Drop,
}

/// What is asked of rows; what is absent is not asked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Languages that stay (ISO 639-1).
    pub languages: Vec<String>,
    /// A language counts from this confidence on; below it a row stays.
    pub language_confidence: f64,
    /// Bounds of quality by language; `default` for those without their own.
    pub bounds: BTreeMap<String, Bounds>,
    /// What is done about personal data.
    pub personal_data: PersonalData,
    /// Rows as toxic as this or more are dropped.
    pub toxicity_max: Option<f64>,
    /// Rows whose text was there already, white space and case aside, are dropped.
    pub exact: bool,
    /// Rows this similar to one that stayed are dropped.
    pub near: Option<f64>,
    /// What similarity counts.
    pub shingles: Shingles,
    /// Prompts that share so many first characters with one that stayed are dropped.
    pub prefix: Option<usize>,
    /// Most rows of a user.
    pub per_user: Option<usize>,
    /// Rows without a use-case get one.
    pub use_cases: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            languages: Vec::new(),
            language_confidence: 0.9,
            bounds: BTreeMap::new(),
            personal_data: PersonalData::default(),
            toxicity_max: None,
            exact: true,
            near: Some(0.8),
            shingles: Shingles::Words(3),
            prefix: None,
            per_user: None,
            use_cases: false,
        }
    }
}

/// Why a row is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It has no text but white space.
    Empty,
    /// NUL or other control characters, or what stands for broken characters.
    ControlCharacters,
    /// It is in another language.
    Language,
    /// Beyond a bound of quality, by its name.
    Quality(&'static str),
    /// It holds personal data.
    PersonalData,
    /// It is toxic.
    Toxic,
    /// It shares text with an evaluation set.
    Contaminated,
    /// It was there already.
    Duplicate,
    /// Nearly the same was there already.
    NearDuplicate,
    /// Its prompt begins like one that was there already.
    CommonPrefix,
    /// Its user has enough rows.
    PerUser,
}

impl Reason {
    /// Its name in reports.
    pub fn name(self) -> String {
        let name = match self {
            Reason::Empty => "empty",
            Reason::ControlCharacters => "control_characters",
            Reason::Language => "language",
            Reason::Quality(bound) => return format!("quality:{bound}"),
            Reason::PersonalData => "personal_data",
            Reason::Toxic => "toxic",
            Reason::Contaminated => "contaminated",
            Reason::Duplicate => "duplicate",
            Reason::NearDuplicate => "near_duplicate",
            Reason::CommonPrefix => "common_prefix",
            Reason::PerUser => "per_user",
        };
        name.to_owned()
    }
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// It stays, as it is now.
    Kept(Box<Row>),
    /// It goes; `detail` says more where there is more to say.
    Dropped {
        /// Why.
        reason: Reason,
        /// More about it: the language, the similarity.
        detail: String,
    },
}

/// What one look at a row says, whatever else is in the corpus.
#[derive(Clone, Debug)]
pub struct Look {
    objection: Option<(Reason, String)>,
    /// The row with personal data redacted and a use-case, where that is wanted.
    row: Row,
    language: Option<&'static str>,
    personal: BTreeMap<pii::Kind, usize>,
    hash: u128,
    sketch: Option<Sketch>,
    prefix: Option<u128>,
    n_words: usize,
}

/// Decides what stays.
pub struct Curator {
    settings: Settings,
    quality: BTreeMap<String, Quality>,
    contamination: Option<Contamination>,
    use_cases: Option<UseCases>,
    near: NearDuplicates,
    seen: HashSet<u128>,
    prefixes: HashSet<u128>,
    users: HashMap<String, usize>,
    /// What happened so far.
    pub report: Report,
}

impl Curator {
    /// `contamination`: the evaluation sets that must not be in the corpus.
    pub fn new(settings: Settings, contamination: Option<Contamination>) -> Curator {
        let quality = settings.bounds.iter().map(|(name, bounds)| (name.clone(), Quality::new(bounds.clone())));
        Curator {
            quality: quality.collect(),
            contamination,
            use_cases: settings.use_cases.then(UseCases::new),
            near: NearDuplicates::new(settings.near.unwrap_or(1.0)),
            seen: HashSet::new(),
            prefixes: HashSet::new(),
            users: HashMap::new(),
            report: Report::default(),
            settings,
        }
    }

    /// Looks at rows, with so many threads, each row by itself.
    pub fn look_at(&self, rows: Vec<Row>, n_threads: usize) -> Vec<Look> {
        let share = rows.len().div_ceil(n_threads.max(1)).max(1);
        let mut parts: Vec<Vec<Row>> = Vec::new();
        let mut rows = rows.into_iter();
        while rows.len() > 0 {
            parts.push(rows.by_ref().take(share).collect());
        }
        std::thread::scope(|scope| {
            let work = |part: Vec<Row>| part.into_iter().map(|row| self.look(row)).collect::<Vec<_>>();
            let threads: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<Look>>| match thread.join() {
                Ok(looks) => looks,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            threads.into_iter().flat_map(join).collect()
        })
    }

    fn look(&self, mut row: Row) -> Look {
        let text = whole_text(&row.record);
        let detected = text::language::detect(&text).filter(|(_, sure)| *sure >= self.settings.language_confidence);
        let language = detected.map(|(language, _)| language);
        let mut personal = BTreeMap::new();
        if self.settings.personal_data != PersonalData::Keep {
            let redact = self.settings.personal_data == PersonalData::Redact;
            record_text::for_each_text(&mut row.record, &mut |text| {
                let found = pii::find(text);
                found.iter().for_each(|found| *personal.entry(found.kind).or_default() += 1);
                if redact && !found.is_empty() {
                    *text = pii::redact(text, &found);
                }
            });
        }
        if let Some(use_cases) = &self.use_cases
            && row.meta.use_case.is_none()
            && !matches!(row.record, Record::Text(_))
        {
            row.meta.use_case = Some(use_cases.classify(&prompt_text(&row.record)).to_owned());
        }
        let objection = self.objection(&text, language, &personal);
        let wanted = objection.is_none();
        let prompt = prompt_text(&row.record);
        let prefix = self.settings.prefix.filter(|_| wanted).and_then(|n| {
            let (end, _) = prompt.char_indices().nth(n)?;
            Some(hash(&prompt[..end]))
        });
        Look {
            objection,
            language,
            personal,
            hash: hash(&normalized(&text)),
            sketch: self
                .settings
                .near
                .filter(|_| wanted)
                .map(|near| Sketcher::new(self.settings.shingles, near).sketch(&text)),
            prefix,
            n_words: text.split_whitespace().count(),
            row,
        }
    }

    /// What the text itself says against it, in the order of [`Reason`].
    fn objection(
        &self,
        text: &str,
        language: Option<&'static str>,
        personal: &BTreeMap<pii::Kind, usize>,
    ) -> Option<(Reason, String)> {
        if text.trim().is_empty() {
            return Some((Reason::Empty, String::new()));
        }
        if let Some(c) = text.chars().find(|c| (c.is_control() && !"\n\r\t".contains(*c)) || *c == '\u{fffd}') {
            return Some((Reason::ControlCharacters, format!("U+{:04X}", c as u32)));
        }
        if let Some(language) = language
            && !self.settings.languages.is_empty()
            && !self.settings.languages.iter().any(|wanted| wanted == language)
        {
            return Some((Reason::Language, language.to_owned()));
        }
        let quality = language.and_then(|language| self.quality.get(language)).or_else(|| self.quality.get("default"));
        if let Some(quality) = quality
            && let Some(bound) = quality.objection(&quality.measure(text))
        {
            return Some((Reason::Quality(bound), String::new()));
        }
        if self.settings.personal_data == PersonalData::Drop && !personal.is_empty() {
            let kinds: Vec<&str> = personal.keys().map(|kind| kind.name()).collect();
            return Some((Reason::PersonalData, kinds.join(", ")));
        }
        let shared = self.contamination.as_ref().and_then(|contamination| contamination.shared(text));
        shared.map(|gram| (Reason::Contaminated, gram))
    }

    /// Decides upon a row that was looked at. `toxicity`: what a scorer says about it; rows with an objection needn't
    /// be scored.
    pub fn decide(&mut self, look: Look, toxicity: Option<f64>, origin: &str) -> Verdict {
        self.report.count(look.language, &look.personal, look.n_words);
        if let Some(toxicity) = toxicity {
            self.report.scored(toxicity);
        }
        let text = || whole_text(&look.row.record);
        let verdict = match self.verdict(&look, toxicity) {
            Some((reason, detail)) => {
                self.report.dropped(reason, &detail, origin, &text());
                return Verdict::Dropped { reason, detail };
            }
            None => look.row,
        };
        self.report.kept(&verdict, look.n_words);
        Verdict::Kept(Box::new(verdict))
    }

    fn verdict(&mut self, look: &Look, toxicity: Option<f64>) -> Option<(Reason, String)> {
        if let Some(objection) = &look.objection {
            return Some(objection.clone());
        }
        if let (Some(max), Some(found)) = (self.settings.toxicity_max, toxicity)
            && found >= max
        {
            return Some((Reason::Toxic, format!("{found:.3}")));
        }
        if self.settings.exact && self.seen.contains(&look.hash) {
            return Some((Reason::Duplicate, String::new()));
        }
        let user = look.row.meta.user_id.as_ref().filter(|_| self.settings.per_user.is_some());
        let n_of_user = user.and_then(|user| self.users.get(user)).copied().unwrap_or(0);
        if look.prefix.is_some_and(|prefix| self.prefixes.contains(&prefix)) {
            return Some((Reason::CommonPrefix, String::new()));
        }
        if self.settings.per_user.is_some_and(|most| user.is_some() && n_of_user >= most) {
            return Some((Reason::PerUser, String::new()));
        }
        // Last, because it remembers the row when it has nothing against it.
        if let Some(sketch) = &look.sketch
            && let Some((_, similarity)) = self.near.insert(sketch)
        {
            return Some((Reason::NearDuplicate, format!("{similarity:.3}")));
        }
        if self.settings.exact {
            self.seen.insert(look.hash);
        }
        self.prefixes.extend(look.prefix);
        if let Some(user) = user {
            *self.users.entry(user.clone()).or_default() += 1;
        }
        None
    }
}

impl Look {
    /// Whether something speaks against the row already, so that it needs no scorer.
    pub fn is_dropped(&self) -> bool {
        self.objection.is_some()
    }

    /// The row's text, for a scorer.
    pub fn text(&self) -> String {
        whole_text(&self.row.record)
    }
}

/// Case and white space aside.
fn normalized(text: &str) -> String {
    text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ")
}

/// 128 bits, so that two different texts of any corpus have different ones.
fn hash(text: &str) -> u128 {
    let hexadecimal = stdx::hash::bytes(text.as_bytes());
    u128::from_str_radix(hexadecimal.get(..32).unwrap_or_default(), 16).unwrap_or_default()
}

#[cfg(test)]
mod tests;
