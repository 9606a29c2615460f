//! What a project asks of its labelers, as TOML; InstructGPT's questions are the default.

use serde::{Deserialize, Serialize};

use crate::{LabelError, Phase, Result, Role};

/// A project's settings. Unknown keys are refused. Read from TOML, an absent key has InstructGPT's
/// value; a project that names fields of its own has only those, and `field = []` means none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What stands above the pages.
    pub title: String,
    /// A sentence for labelers.
    pub description: String,
    /// What is collected; decides which guide a new project gets.
    pub phase: Phase,
    /// How many people do each task.
    pub overlap: u32,
    /// How long a task is kept for a person.
    pub lease_minutes: u32,
    /// What a person may say when skipping.
    pub skip_reasons: Vec<String>,
    /// Classes of prompts.
    pub use_cases: Vec<String>,
    /// Who checks demonstrations.
    pub review: ReviewSettings,
    /// How rankings are made.
    pub ranking: RankingSettings,
    /// Tasks with a known answer among the others.
    pub gold: GoldSettings,
    /// The test before the work.
    pub qualification: QualificationSettings,
    /// What is taken in.
    pub prompts: PromptSettings,
    /// How conversations grow.
    pub tree: TreeSettings,
    /// The questions.
    pub field: Vec<Field>,
}

/// Who checks demonstrations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReviewSettings {
    /// Reviews that each demonstration gets.
    pub demonstrations: u32,
    /// The lowest role that reviews.
    pub by: Role,
}

/// How rankings are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RankingSettings {
    /// The fewest answers of a ranking, at least 2.
    pub k_min: usize,
    /// The most, at most 9: a digit for each.
    pub k_max: usize,
    /// Whether answers may share a rank.
    pub ties: bool,
    /// Whether answers may be left out.
    pub partial: bool,
    /// Whether "all are bad" may be said.
    pub all_bad: bool,
    /// Whether each answer is rated before they are ranked.
    pub rate_each: bool,
}

/// Tasks with a known answer among the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GoldSettings {
    /// One after so many ordinary tasks of a person; 0 for none.
    pub every: u32,
}

/// The test before the work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualificationSettings {
    /// Whether people must pass it before they get ordinary tasks.
    pub required: bool,
    /// The agreement with the known answers that passes (InstructGPT's soft cut-off: .75).
    pub agreement_min: f64,
    /// The mean rating of a person's demonstrations on sensitive prompts that passes, of 7 (InstructGPT: 6).
    pub rating_min: f64,
}

/// What is taken in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromptSettings {
    /// Prompts of one source user (InstructGPT: 200).
    pub per_user_max: u32,
    /// Prompts that share so many first characters count as one; 0 compares whole prompts.
    pub duplicate_prefix: usize,
    /// The longest prompt.
    pub characters_max: usize,
}

/// How conversations grow (Open-Assistant's rules, arXiv 2304.07327).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TreeSettings {
    /// Replies below each other, at most.
    pub depth_max: u32,
    /// Replies to one message.
    pub children_max: u32,
    /// Messages of a whole tree.
    pub size: u32,
    /// Reviews that each message gets.
    pub reviews: u32,
    /// The share of reviews that must accept.
    pub accept_share: f64,
    /// Rankings of each set of replies.
    pub rankings: u32,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its key in rows: `a-z`, digits and `_`.
    pub name: String,
    /// What is asked.
    pub label: String,
    /// The tip behind "?".
    #[serde(default)]
    pub help: String,
    /// What it is asked of.
    #[serde(default)]
    pub of: FieldOf,
    /// Whether it must be answered. A yes-or-no question that isn't answered is a "no" unless it must be.
    #[serde(default)]
    pub required: bool,
    /// How it is answered.
    pub kind: FieldKind,
}

/// What a question is asked of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldOf {
    /// Each candidate answer.
    #[default]
    Answer,
    /// One's own demonstration.
    Demonstration,
    /// The prompt, when its use-case is labeled.
    Prompt,
    /// What is reviewed.
    Review,
}

/// How a question is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldKind {
    /// Yes or no.
    YesNo,
    /// A whole number from `min` to `max`.
    Scale {
        /// The lowest.
        min: i64,
        /// The highest.
        max: i64,
        /// What the lowest means.
        #[serde(default)]
        low: String,
        /// What the highest means.
        #[serde(default)]
        high: String,
    },
    /// One of these.
    Choice {
        /// What can be chosen.
        options: Vec<String>,
    },
    /// Words.
    Text,
}

/// The file of the default settings.
const INSTRUCTGPT: &str = include_str!("default/instructgpt.toml");

impl Settings {
    /// InstructGPT's.
    pub fn instructgpt() -> Settings {
        // The file is compiled in and a test reads it: an unreadable one can't be shipped.
        toml::from_str(INSTRUCTGPT).unwrap_or_else(|error| panic!("default/instructgpt.toml: {error}"))
    }

    /// The text of InstructGPT's settings, with its comments.
    pub fn instructgpt_toml() -> &'static str {
        INSTRUCTGPT
    }

    /// Reads settings, and checks them.
    pub fn from_toml(text: &str) -> Result<Settings> {
        let unreadable = |error: toml::de::Error| {
            LabelError::invalid("settings", error.to_string().trim_end().to_owned(), "a project's settings in TOML")
        };
        let table: toml::Table = toml::from_str(text).map_err(unreadable)?;
        let mut settings: Settings = toml::from_str(text).map_err(unreadable)?;
        let default = Settings::instructgpt();
        let absent = |key: &str| !table.contains_key(key);
        if absent("field") {
            settings.field = default.field;
        }
        if absent("use_cases") {
            settings.use_cases = default.use_cases;
        }
        if absent("skip_reasons") {
            settings.skip_reasons = default.skip_reasons;
        }
        settings.check()?;
        Ok(settings)
    }

    /// Writes them.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string_pretty(self)
            .map_err(|error| LabelError::invalid("settings", error.to_string(), "settings that TOML can express"))
    }

    /// The questions of one kind.
    pub fn fields_of(&self, of: FieldOf) -> Vec<Field> {
        self.field.iter().filter(|field| field.of == of).cloned().collect()
    }

    /// Refuses settings that no page could keep to.
    pub fn check(&self) -> Result<()> {
        between("overlap", self.overlap, 1, 1000)?;
        between("lease_minutes", self.lease_minutes, 1, 60 * 24 * 14)?;
        between("ranking.k_min", self.ranking.k_min, 2, 9)?;
        between("ranking.k_max", self.ranking.k_max, self.ranking.k_min, 9)?;
        between("review.demonstrations", self.review.demonstrations, 0, 100)?;
        between("prompts.characters_max", self.prompts.characters_max, 1, 200_000)?;
        between("tree.depth_max", self.tree.depth_max, 1, 100)?;
        between("tree.children_max", self.tree.children_max, 1, 9)?;
        between("tree.size", self.tree.size, 1, 10_000)?;
        between("tree.reviews", self.tree.reviews, 1, 100)?;
        between("tree.rankings", self.tree.rankings, 1, 100)?;
        between("tree.accept_share", self.tree.accept_share, 0.0, 1.0)?;
        between("qualification.agreement_min", self.qualification.agreement_min, 0.0, 1.0)?;
        for (i, field) in self.field.iter().enumerate() {
            field.check(&format!("field[{i}]"))?;
            if self.field[..i].iter().any(|other| other.name == field.name) {
                return Err(LabelError::invalid(
                    format!("field[{i}].name"),
                    format!("{:?} a second time", field.name),
                    "a name of its own",
                ));
            }
        }
        Ok(())
    }
}

impl Field {
    fn check(&self, at: &str) -> Result<()> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(fits) {
            let found = format!("{:?}", self.name);
            return Err(LabelError::invalid(format!("{at}.name"), found, "1 to 64 of a-z, 0-9 and _"));
        }
        if self.label.trim().is_empty() {
            return Err(LabelError::invalid(format!("{at}.label"), "nothing", "the question"));
        }
        match &self.kind {
            FieldKind::Scale { min, max, .. } if min >= max || max - min > 100 => {
                let found = format!("{min} to {max}");
                Err(LabelError::invalid(format!("{at}.kind"), found, "a scale of 2 to 101 steps"))
            }
            FieldKind::Choice { options } if options.len() < 2 => {
                let found = format!("{} options", options.len());
                Err(LabelError::invalid(format!("{at}.kind"), found, "at least 2 options"))
            }
            _ => Ok(()),
        }
    }
}

fn between<T: PartialOrd + std::fmt::Display>(field: &str, found: T, low: T, high: T) -> Result<()> {
    if found >= low && found <= high {
        return Ok(());
    }
    Err(LabelError::invalid(field, found.to_string(), format!("{low} to {high}")))
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            title: String::new(),
            description: String::new(),
            phase: Phase::Training,
            overlap: 1,
            lease_minutes: 60,
            skip_reasons: vec!["I can't tell what is asked".to_owned(), "Something else".to_owned()],
            use_cases: Vec::new(),
            review: ReviewSettings::default(),
            ranking: RankingSettings::default(),
            gold: GoldSettings::default(),
            qualification: QualificationSettings::default(),
            prompts: PromptSettings::default(),
            tree: TreeSettings::default(),
            field: Vec::new(),
        }
    }
}

impl Default for ReviewSettings {
    fn default() -> Self {
        Self { demonstrations: 0, by: Role::Reviewer }
    }
}

impl Default for RankingSettings {
    fn default() -> Self {
        Self { k_min: 2, k_max: 9, ties: true, partial: false, all_bad: true, rate_each: true }
    }
}

impl Default for QualificationSettings {
    fn default() -> Self {
        Self { required: false, agreement_min: 0.75, rating_min: 6.0 }
    }
}

impl Default for PromptSettings {
    fn default() -> Self {
        Self { per_user_max: 200, duplicate_prefix: 200, characters_max: 100_000 }
    }
}

impl Default for TreeSettings {
    fn default() -> Self {
        Self { depth_max: 3, children_max: 3, size: 12, reviews: 3, accept_share: 0.6, rankings: 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// InstructGPT's Table 3: the rating and eleven yes-or-no questions, seven of them on harm.
    #[test]
    fn the_default_asks_what_instructgpt_asked() {
        let settings = Settings::instructgpt();
        settings.check().unwrap();
        let fields = settings.fields_of(FieldOf::Answer);
        assert_eq!(fields.iter().filter(|field| field.kind == FieldKind::YesNo).count(), 11);
        assert!(matches!(fields[0].kind, FieldKind::Scale { min: 1, max: 7, .. }));
        assert_eq!(settings.use_cases.len(), 10);
        let again = Settings::from_toml(&settings.to_toml().unwrap()).unwrap();
        assert_eq!(again, settings);
    }

    #[test]
    fn what_a_project_does_not_say_is_instructgpts() {
        let own = Settings::from_toml("title = \"t\"\nuse_cases = [\"a\"]").unwrap();
        let default = Settings::instructgpt();
        assert_eq!((own.field, own.skip_reasons), (default.field, default.skip_reasons));
        assert_eq!((own.title.as_str(), own.use_cases), ("t", vec!["a".to_owned()]));
        assert!(Settings::from_toml("field = []").unwrap().field.is_empty());
    }

    #[test]
    fn settings_that_cannot_be_kept_name_the_key() {
        let check = |text: &str, expected: &str| {
            let error = Settings::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("overlap = 0", "overlap: found 0, expected 1 to 1000");
        check("overlapp = 2", "overlapp");
        check("[ranking]\nk_max = 10", "ranking.k_max: found 10, expected 2 to 9");
        check("[ranking]\nk_min = 5\nk_max = 4", "ranking.k_max: found 4, expected 5 to 9");
        check("[[field]]\nname = \"A\"\nlabel = \"a\"\nkind = \"yes_no\"", "field[0].name");
        let twice = "[[field]]\nname = \"a\"\nlabel = \"a\"\nkind = \"text\"\n";
        check(&twice.repeat(2), "field[1].name: found \"a\" a second time");
        check("[[field]]\nname = \"a\"\nlabel = \"a\"\nkind = { scale = { min = 3, max = 3 } }", "a scale of 2 to 101");
        check("[tree]\naccept_share = 1.5", "tree.accept_share: found 1.5, expected 0 to 1");
    }
}
