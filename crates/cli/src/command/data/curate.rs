//! `helpmate data curate`.

use crate::arguments::DataArguments;
use crate::context::Context;
use crate::error::CommandError;
use crate::output::Output;
use crate::progress::Count;
use clap::{Args, ValueEnum};
use corpus::curate::{
    Contamination, CorpusFile, Curator, Look, PersonalData, Report, Settings, Sources, UseCases, Verdict, datasheet,
};
use corpus::{BadRows, Options, Origin, Rows};
use endpoint::score::ScoreClient;
use record::Row;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use stdx::atomic::write_file;
use text::linear::LinearScorer;
use text::minhash::Shingles;
use text::quality::Bounds;

/// Rows that are looked at together.
const CHUNK: usize = 4096;

/// Clean a corpus: duplicates, languages, quality, personal data, evaluation sets, toxicity
///
/// Rows stream through; what is remembered of one is a hash or a sketch. Each dropped row has a reason, the first that
/// objects: empty, control_characters, language, quality:BOUND, personal_data, contaminated, toxic, duplicate,
/// common_prefix, per_user, near_duplicate. The folder gets `kept.jsonl`, `dropped.jsonl` (with origin, reason and
/// detail), `report.json` and the same as a page, `report.html`, `datasheet.md`, and `manifest.json` (inputs with their
/// hashes, settings, outputs). The same command on the same files writes the same bytes.
#[derive(Args)]
#[command(
    after_help = "Example:\n  helpmate data curate --data data/demonstrations.jsonl data/plain.txt --against data/prompts.jsonl --use-cases --out runs/curated"
)]
pub struct Curate {
    #[command(flatten)]
    data: DataArguments,
    /// Keep only these languages (ISO 639-1); rows whose language isn't clear stay
    #[arg(long, value_name = "TAG", num_args = 1..)]
    language: Vec<String>,
    /// How sure a language must be, 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.9)]
    language_confidence: f64,
    /// Bounds of quality by language (TOML: a table a language, and [default]); see docs/curation.md
    #[arg(long, value_name = "FILE")]
    quality: Option<PathBuf>,
    /// What is done about e-mail addresses, telephone, card and account numbers, IP addresses and keys
    #[arg(long, value_enum, default_value_t = Personal::Redact)]
    personal_data: Personal,
    /// A linear scorer's file, or a service that scores texts, for toxicity
    #[arg(long, value_name = "FILE|URL")]
    scorer: Option<String>,
    /// Drop rows as toxic as this, 0 to 1; needs --scorer
    #[arg(long, value_name = "P")]
    max_toxicity: Option<f64>,
    /// Evaluation sets whose text must not be in the corpus
    #[arg(long, value_name = "FILE", num_args = 1..)]
    against: Vec<PathBuf>,
    /// Words that a row may not share in a row with an evaluation set
    #[arg(long, value_name = "N", default_value_t = 13)]
    against_words: usize,
    /// What the files are and where they come from (TOML: [[source]] tables), for the datasheet
    #[arg(long, value_name = "FILE")]
    sources: Option<PathBuf>,
    /// Keep exact duplicates
    #[arg(long)]
    keep_duplicates: bool,
    /// Similarity (Jaccard) from which rows are near duplicates; 0 keeps them
    #[arg(long, value_name = "J", default_value_t = 0.8)]
    near: f64,
    /// What similarity counts: `words:N` or `chars:N`
    #[arg(long, value_name = "UNIT:N", default_value = "words:3", value_parser = shingles)]
    shingles: Shingles,
    /// Drop prompts that share their first N characters with one before
    #[arg(long, value_name = "N")]
    prefix: Option<usize>,
    /// Most rows of a user_id (InstructGPT: 200)
    #[arg(long, value_name = "N")]
    per_user: Option<usize>,
    /// Give rows without one their use-case (InstructGPT's ten)
    #[arg(long)]
    use_cases: bool,
    /// Threads; every core when absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

#[derive(Clone, Copy, ValueEnum)]
enum Personal {
    /// Don't look
    Keep,
    /// Count it in the report
    Count,
    /// Put [email], [phone], … in its place
    Redact,
    /// Drop the row
    Drop,
}

/// Says how toxic texts are.
enum Scorer {
    File(LinearScorer),
    Service(ScoreClient),
}

/// What is gathered beside the rows.
struct Gathered {
    bad: BTreeMap<String, BadRows>,
    files: Vec<CorpusFile>,
    sources: Sources,
}

impl Curate {
    pub fn run(self, context: &Context) -> Result<(), CommandError> {
        let scorer = self.scorer(context)?;
        let sources = self.sources.as_deref().map(Sources::open).transpose().map_err(CommandError::usage)?;
        let sources = sources.unwrap_or_default();
        let contamination = self.contamination()?;
        let mut curator = Curator::new(self.settings()?, contamination);
        std::fs::create_dir_all(&self.out).map_err(crate::error::of_file(&self.out))?;
        let mut kept = Output::open(Some(&self.out.join("kept.jsonl")))?;
        let mut dropped = Output::open(Some(&self.out.join("dropped.jsonl")))?;
        let mut gathered = Gathered { bad: BTreeMap::new(), files: Vec::new(), sources };
        let mut progress = Count::new(0, "rows");
        for path in &self.data.data {
            self.curate_file(
                path,
                &mut curator,
                scorer.as_ref(),
                &mut gathered,
                (&mut kept, &mut dropped),
                &mut progress,
            )?;
        }
        progress.finish();
        kept.finish()?;
        dropped.finish()?;
        self.write_reports(&curator.report, &gathered)?;
        self.tell(&curator.report, &gathered);
        crate::output::path(&self.out.join("kept.jsonl"))
    }

    fn settings(&self) -> Result<Settings, CommandError> {
        for (name, value) in [("--near", self.near), ("--language-confidence", self.language_confidence)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(CommandError::usage(format!("{name} {value}: expected a number from 0 to 1")));
            }
        }
        let bounds = match &self.quality {
            None => BTreeMap::new(),
            Some(path) => {
                let text = std::fs::read_to_string(path).map_err(crate::error::of_file(path))?;
                toml::from_str::<BTreeMap<String, Bounds>>(&text)
                    .map_err(|error| CommandError::usage(format!("{}: {error}", path.display())))?
            }
        };
        Ok(Settings {
            languages: self.language.clone(),
            language_confidence: self.language_confidence,
            bounds,
            personal_data: match self.personal_data {
                Personal::Keep => PersonalData::Keep,
                Personal::Count => PersonalData::Count,
                Personal::Redact => PersonalData::Redact,
                Personal::Drop => PersonalData::Drop,
            },
            toxicity_max: self.max_toxicity,
            exact: !self.keep_duplicates,
            near: (self.near > 0.0).then_some(self.near),
            shingles: self.shingles,
            prefix: self.prefix,
            per_user: self.per_user,
            use_cases: self.use_cases,
        })
    }

    fn scorer(&self, context: &Context) -> Result<Option<Scorer>, CommandError> {
        let Some(place) = &self.scorer else {
            return match self.max_toxicity {
                None => Ok(None),
                Some(_) => Err(CommandError::missing("--max-toxicity needs a scorer, and none ships with Helpmate")
                    .hint(
                        "--scorer FILE takes a linear scorer (docs/curation.md has its format), --scorer URL a service",
                    )),
            };
        };
        if place.starts_with("http://") || place.starts_with("https://") {
            return Ok(Some(Scorer::Service(ScoreClient::new(context.scorer_settings(place)?))));
        }
        let path = Path::new(place);
        if !path.exists() {
            return Err(CommandError::missing(format!("{}: no such file", path.display()))
                .hint("docs/curation.md has the format of a scorer"));
        }
        Ok(Some(Scorer::File(LinearScorer::open(path).map_err(CommandError::input)?)))
    }

    fn contamination(&self) -> Result<Option<Contamination>, CommandError> {
        if self.against.is_empty() {
            return Ok(None);
        }
        let mut contamination = Contamination::new(self.against_words);
        for path in &self.against {
            let before = contamination.len();
            for row in corpus::values(path)? {
                contamination.add(&row?.1);
            }
            if contamination.len() == before {
                eprintln!("{}: no text of five words or more that wasn't there already", path.display());
            }
        }
        Ok(Some(contamination))
    }

    fn curate_file(
        &self,
        path: &Path,
        curator: &mut Curator,
        scorer: Option<&Scorer>,
        gathered: &mut Gathered,
        (kept, dropped): (&mut Output, &mut Output),
        progress: &mut Count,
    ) -> Result<(), CommandError> {
        let mut options = Options { skip_bad: true, ..Options::default() };
        if let Some(name) = &self.data.format {
            options = options.with_format(name)?;
        }
        let n_threads =
            self.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
        let before =
            (curator.report.rows, curator.report.kept, gathered.bad.values().map(|bad| bad.count).sum::<usize>());
        let mut rows = Rows::open(path, &options)?;
        loop {
            let (mut chunk, mut origins) = (Vec::new(), Vec::new());
            while chunk.len() < CHUNK {
                match rows.next() {
                    Some(Ok((row, origin))) => {
                        chunk.push(row);
                        origins.push(origin);
                    }
                    Some(Err(error)) => corpus::source::count_bad(&mut gathered.bad, error, self.data.skip_bad)?,
                    None => break,
                }
            }
            if chunk.is_empty() {
                break;
            }
            let originals = chunk.clone();
            let looks = curator.look_at(chunk, n_threads);
            let toxicity = toxicities(scorer, &looks)?;
            for (((look, toxicity), origin), original) in looks.into_iter().zip(toxicity).zip(origins).zip(originals) {
                write_row(curator.decide(look, toxicity, &origin.to_string()), &original, &origin, kept, dropped)?;
            }
            progress.update(curator.report.rows);
        }
        let bad = gathered.bad.values().map(|bad| bad.count).sum::<usize>() - before.2;
        if self.sources.is_some() && gathered.sources.of(path).is_none() {
            eprintln!("{}: --sources says nothing about it", path.display());
        }
        gathered.files.push(CorpusFile {
            path: path.to_path_buf(),
            blake3: stdx::hash::file(path)?,
            rows: curator.report.rows - before.0,
            kept: curator.report.kept - before.1,
            broken: bad,
        });
        Ok(())
    }

    fn write_reports(&self, report: &Report, gathered: &Gathered) -> Result<(), CommandError> {
        let write =
            |name: &str, text: String| Ok::<_, CommandError>(write_file(&self.out.join(name), text.as_bytes())?);
        let pretty = |value: &Value| serde_json::to_string_pretty(value).map_err(CommandError::input);
        let broken: BTreeMap<&String, usize> = gathered.bad.iter().map(|(reason, bad)| (reason, bad.count)).collect();
        let mut value = json!(report);
        value["broken"] = json!(broken);
        if self.use_cases {
            let (right, all) = UseCases::cross_validated();
            value["use_case_accuracy"] = json!({"right": right, "of": all, "parts": 10});
        }
        write("report.json", pretty(&value)? + "\n")?;
        write("report.html", report.to_html())?;
        write("datasheet.md", datasheet(&gathered.files, report, &gathered.sources))?;
        let outputs: BTreeMap<&str, String> =
            ["kept.jsonl", "dropped.jsonl", "report.json", "report.html", "datasheet.md"]
                .into_iter()
                .map(|name| Ok((name, stdx::hash::file(&self.out.join(name))?)))
                .collect::<Result<_, CommandError>>()?;
        let manifest = json!({
            "version": env!("CARGO_PKG_VERSION"), "inputs": gathered.files, "settings": self.settings_as_written()?,
            "outputs": outputs, "command": std::env::args().collect::<Vec<_>>(),
        });
        write("manifest.json", pretty(&manifest)? + "\n")
    }

    fn settings_as_written(&self) -> Result<Value, CommandError> {
        let hash = |path: &Path| stdx::hash::file(path).map_err(CommandError::from);
        let against: Vec<Value> = self
            .against
            .iter()
            .map(|path| Ok(json!({"path": path, "blake3": hash(path)?})))
            .collect::<Result<_, CommandError>>()?;
        let quality = match &self.quality {
            Some(path) => json!({"path": path, "blake3": hash(path)?}),
            None => Value::Null,
        };
        Ok(json!({
            "language": self.language, "language_confidence": self.language_confidence, "quality": quality,
            "personal_data": self.personal_data.to_possible_value().map(|value| value.get_name().to_owned()),
            "scorer": self.scorer, "max_toxicity": self.max_toxicity, "against": against,
            "against_words": self.against_words, "keep_duplicates": self.keep_duplicates, "near": self.near,
            "shingles": format!("{:?}", self.shingles), "prefix": self.prefix, "per_user": self.per_user,
            "use_cases": self.use_cases, "format": self.data.format, "sources": self.sources,
        }))
    }

    fn tell(&self, report: &Report, gathered: &Gathered) {
        eprintln!("{} of {} rows kept", report.kept, report.rows);
        for (reason, n) in &report.dropped {
            let first = &report.examples[reason][0];
            let text: String = first.text.chars().take(60).collect();
            eprintln!("{n} dropped: {reason} (first: {} {text:?})", first.origin);
        }
        gathered.bad.values().for_each(|bad| eprintln!("{bad}"));
        for (kind, n) in &report.personal_data {
            eprintln!("{n} found: {kind}");
        }
    }
}

fn write_row(
    verdict: Verdict,
    original: &Row,
    origin: &Origin,
    kept: &mut Output,
    dropped: &mut Output,
) -> Result<(), CommandError> {
    match verdict {
        Verdict::Kept(row) => kept.row(&*row),
        Verdict::Dropped { reason, detail } => {
            let mut value = serde_json::to_value(original).map_err(CommandError::input)?;
            value["dropped"] = json!({"reason": reason.name(), "detail": detail, "origin": origin.to_string()});
            dropped.row(&value)
        }
    }
}

/// What the scorer says about each row that needs it.
fn toxicities(scorer: Option<&Scorer>, looks: &[Look]) -> Result<Vec<Option<f64>>, CommandError> {
    let wanted = looks.iter().map(|look| (!look.is_dropped()).then(|| look.text()));
    match scorer {
        None => Ok(vec![None; looks.len()]),
        Some(Scorer::File(scorer)) => Ok(wanted.map(|text| text.map(|text| scorer.score(&text))).collect()),
        Some(Scorer::Service(client)) => {
            let texts: Vec<Option<String>> = wanted.collect();
            let asked: Vec<&str> = texts.iter().flatten().map(String::as_str).collect();
            let scores = client.scores(&asked).map_err(|error| {
                let kind = if error.is_missing() { crate::error::Kind::Missing } else { crate::error::Kind::Input };
                CommandError::new(kind, error)
            })?;
            let mut scores = scores.into_iter();
            Ok(texts.iter().map(|text| text.as_ref().and_then(|_| scores.next())).collect())
        }
    }
}

fn shingles(text: &str) -> Result<Shingles, String> {
    let expected = || format!("`{text}`: expected words:N or chars:N, N from 1 to 100");
    let (unit, n) = text.split_once(':').ok_or_else(expected)?;
    let n = n.parse().ok().filter(|n| (1..=100).contains(n)).ok_or_else(expected)?;
    match unit {
        "words" => Ok(Shingles::Words(n)),
        "chars" => Ok(Shingles::Characters(n)),
        _ => Err(expected()),
    }
}
