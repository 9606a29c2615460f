//! What leaves the store: rows that trainers read, each with its source, its judge under a pseudonym,
//! and a name that leads back here. Rankings leave as each person made them; an aggregate is extra.

use std::collections::BTreeMap;

use record::{Prompt, Source};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json};

use crate::candidate::Candidate;
use crate::database::{Transaction, values};
use crate::prompt::{from_json, source_named};
use crate::{Actor, Aggregate, Body, Id, Judgement, LabelError, Place, Project, Purpose, Result, Role, Store};
use crate::{TaskKind, candidate, clock, judgement, project};

/// What to export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Rankings, pairwise choices among them: `{prompt, completions: [{text, rank, …}], …}`.
    Rankings,
    /// Ordered pairs of each ranking: `{prompt, chosen, rejected, …}`.
    Preferences,
    /// What people wrote as answers: `{prompt, completion, …}`.
    Demonstrations,
    /// Ratings of single answers: `{prompt, completion, fields, …}`.
    Ratings,
    /// Prompts, with their classes: `{prompt, use_case, user_id, …}`.
    Prompts,
    /// Verdicts of reviews: `{prompt, completion, label, …}`.
    Reviews,
}

impl Content {
    /// All of them.
    pub const ALL: [Content; 6] = [
        Content::Rankings,
        Content::Preferences,
        Content::Demonstrations,
        Content::Ratings,
        Content::Prompts,
        Content::Reviews,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rankings => "rankings",
            Self::Preferences => "preferences",
            Self::Demonstrations => "demonstrations",
            Self::Ratings => "ratings",
            Self::Prompts => "prompts",
            Self::Reviews => "reviews",
        }
    }
}

impl std::str::FromStr for Content {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|content| content.as_str() == text);
        let names: Vec<&str> = Self::ALL.iter().map(|content| content.as_str()).collect();
        known.ok_or_else(|| LabelError::invalid("content", format!("{text:?}"), format!("one of {}", names.join(", "))))
    }
}

/// How to export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// What.
    pub content: Content,
    /// One ranking a task instead of each person's, for rankings and preferences.
    pub aggregate: Option<Aggregate>,
    /// Also judgements on gold and qualification items, and the known answers themselves.
    pub include_gold: bool,
    /// Only judgements of this source.
    pub source: Option<Source>,
    /// Only labelers of a group.
    pub group: Option<String>,
}

impl ExportOptions {
    /// Everything of a kind.
    pub fn of(content: Content) -> ExportOptions {
        ExportOptions { content, aggregate: None, include_gold: false, source: None, group: None }
    }
}

/// Exported rows.
#[derive(Clone, Debug)]
pub struct Export {
    /// The rows.
    pub rows: Vec<Json>,
    /// What they are.
    pub manifest: Manifest,
}

/// What an export is: enough to see later whether a file is the one, and what was left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The project's name.
    pub project: String,
    /// Its random name, with which the rows' `id`s begin.
    pub project_uid: String,
    /// What the rows are.
    pub content: Content,
    /// How several rankings became one.
    pub aggregate: Option<Aggregate>,
    /// When, RFC 3339.
    pub exported: String,
    /// Rows.
    pub rows: usize,
    /// Rows by source; "unknown" where there is none.
    pub sources: BTreeMap<String, usize>,
    /// Judgements that the rows stand on.
    pub judgements: usize,
    /// People who made them.
    pub labelers: usize,
    /// Prompts that they are on.
    pub prompts: usize,
    /// Judgements that were left out, by reason.
    pub left_out: BTreeMap<String, usize>,
    /// Versions of the guide that stood beside them.
    pub guide_versions: Vec<i64>,
    /// BLAKE3 of the rows as JSON lines.
    pub blake3: String,
    /// BLAKE3 of each judgement's body as it was submitted, all of them together, in the rows' order.
    pub judgements_blake3: String,
}

impl Store {
    /// Exports a project.
    pub fn export(&self, actor: Actor, project: Id, options: &ExportOptions) -> Result<Export> {
        actor.require(Role::Manager)?;
        let comparisons = matches!(options.content, Content::Rankings | Content::Preferences);
        if options.aggregate.is_some() && !comparisons {
            let found = format!("for {}", options.content.as_str());
            return Err(LabelError::invalid("aggregate", found, "rankings or preferences"));
        }
        let now = self.now_ms();
        let export = self.read(|transaction| {
            let material = Material::load(transaction, project, options)?;
            Ok(material.export(options, &clock::rfc3339(now)))
        })?;
        let details = format!("{} rows of {}", export.rows.len(), options.content.as_str());
        self.note_in(actor, Some(project), "export", &format!("project {project}"), &details)?;
        Ok(export)
    }
}

/// A prompt as rows carry it.
struct Asked {
    prompt: Prompt,
    use_case: Option<String>,
    user_id: Option<String>,
    language: Option<String>,
    source: Option<Source>,
    is_erased: bool,
}

/// All that rows are made of.
struct Material {
    project: Project,
    judgements: Vec<Judgement>,
    /// Known answers, as if somebody numbered [`NOBODY`] had given them.
    known: Vec<Judgement>,
    left_out: BTreeMap<String, usize>,
    prompts: BTreeMap<Id, Asked>,
    candidates: BTreeMap<Id, Vec<Candidate>>,
    /// Pseudonym and group.
    people: BTreeMap<Id, (String, String)>,
}

impl Material {
    fn load(transaction: &mut Transaction<'_>, project: Id, options: &ExportOptions) -> Result<Material> {
        let project = project::project(transaction, project)?;
        let (_, key) = project::secrets(transaction, project.id)?;
        let mut people = BTreeMap::new();
        for row in transaction.rows("SELECT id, salt, team, name, password IS NULL FROM person", &[])? {
            // Who came in under a pseudonym keeps it.
            let is_imported = row.is_set(4) && is_pseudonym("labeler", &row.text(3));
            let name = if is_imported { row.text(3) } else { pseudonym("labeler", &key, &row.text(1)) };
            people.insert(row.integer(0), (name, row.text(2)));
        }
        let all = judgement::select(transaction, &project, "j.project_id = ?1 ORDER BY j.id", values![project.id])?;
        let mut left_out = BTreeMap::<String, usize>::new();
        let mut judgements = Vec::new();
        for judgement in all.into_iter().filter(|judgement| fits(options.content, judgement.kind)) {
            let is_test = matches!(judgement.purpose, Purpose::Gold | Purpose::Qualification);
            let in_group = |group: &String| people.get(&judgement.person).is_some_and(|(_, own)| own == group);
            let reason = match () {
                () if !judgement.current => "corrected",
                () if is_test && !options.include_gold => "gold or qualification",
                () if options.source.is_some_and(|source| source != judgement.source) => "another source",
                () if options.group.as_ref().is_some_and(|group| !in_group(group)) => "another group",
                () if judgement.erased && options.content == Content::Demonstrations => "erased",
                () => {
                    judgements.push(judgement);
                    continue;
                }
            };
            *left_out.entry(reason.to_owned()).or_default() += 1;
        }
        let mut prompts = BTreeMap::new();
        let sql = "SELECT id, content, use_case, user_id, language, source, state FROM prompt \
                   WHERE project_id = ?1 ORDER BY id";
        for row in transaction.rows(sql, values![project.id])? {
            let asked = Asked {
                prompt: from_json(&row.text(1)),
                use_case: row.optional_text(2),
                user_id: row
                    .optional_text(3)
                    .map(|user| if is_pseudonym("user", &user) { user } else { pseudonym("user", &key, &user) }),
                language: row.optional_text(4),
                source: row.optional_text(5).as_deref().and_then(source_named),
                is_erased: row.text(6) == "erased",
            };
            prompts.insert(row.integer(0), asked);
        }
        let known = if options.include_gold && options.aggregate.is_none() {
            known_answers(transaction, &project, options.content)?
        } else {
            Vec::new()
        };
        let mut candidates = BTreeMap::new();
        for judgement in judgements.iter().chain(&known) {
            if let std::collections::btree_map::Entry::Vacant(place) = candidates.entry(judgement.task) {
                place.insert(candidate::of_task(transaction, judgement.task)?);
            }
        }
        Ok(Material { project, judgements, known, left_out, prompts, candidates, people })
    }

    fn export(mut self, options: &ExportOptions, exported: &str) -> Export {
        // A row whose prompt was erased says nothing.
        let erased = |judgement: &Judgement| {
            judgement.prompt.is_some_and(|id| self.prompts.get(&id).is_none_or(|asked| asked.is_erased))
        };
        let (gone, judgements): (Vec<_>, Vec<_>) = std::mem::take(&mut self.judgements).into_iter().partition(erased);
        if !gone.is_empty() {
            self.left_out.insert("prompt erased".to_owned(), gone.len());
        }
        self.judgements = judgements;
        self.known = std::mem::take(&mut self.known).into_iter().filter(|known| !erased(known)).collect();
        let rows = match options.content {
            Content::Prompts => self.prompt_rows(),
            Content::Rankings | Content::Preferences => self.comparison_rows(options),
            Content::Demonstrations | Content::Ratings | Content::Reviews => self.judged_rows(),
        };
        let manifest = self.manifest(options, &rows, exported);
        Export { rows, manifest }
    }

    fn manifest(&self, options: &ExportOptions, rows: &[Json], exported: &str) -> Manifest {
        let mut sources = BTreeMap::<String, usize>::new();
        for row in rows {
            let source = row.get("source").and_then(Json::as_str).unwrap_or("unknown");
            *sources.entry(source.to_owned()).or_default() += 1;
        }
        let distinct = |ids: &mut dyn Iterator<Item = i64>| {
            let mut ids: Vec<i64> = ids.collect();
            ids.sort_unstable();
            ids.dedup();
            ids
        };
        let text = rows.iter().map(|row| format!("{row}\n")).collect::<String>();
        let hashes: String = self.judgements.iter().map(|judgement| judgement.body_hash.as_str()).collect();
        let prompts = match options.content {
            Content::Prompts => rows.len(),
            _ => distinct(&mut self.judgements.iter().filter_map(|judgement| judgement.prompt)).len(),
        };
        Manifest {
            project: self.project.name.clone(),
            project_uid: self.project.uid.clone(),
            content: options.content,
            aggregate: options.aggregate,
            exported: exported.to_owned(),
            rows: rows.len(),
            sources,
            judgements: self.judgements.len(),
            labelers: distinct(&mut self.judgements.iter().map(|judgement| judgement.person)).len(),
            prompts,
            left_out: self.left_out.clone(),
            guide_versions: distinct(&mut self.judgements.iter().map(|judgement| judgement.guide_version)),
            blake3: stdx::hash::bytes(text.as_bytes()),
            judgements_blake3: stdx::hash::bytes(hashes.as_bytes()),
        }
    }

    fn prompt_rows(&self) -> Vec<Json> {
        let row = |(id, asked): (&Id, &Asked)| {
            let mut row = Map::new();
            row.insert("prompt".to_owned(), json!(asked.prompt));
            row.insert("id".to_owned(), format!("{}-p{id}", self.project.uid).into());
            insert_some(&mut row, "source", asked.source.map(Source::as_str));
            self.facts(&mut row, asked);
            Json::Object(row)
        };
        self.prompts.iter().filter(|(_, asked)| !asked.is_erased).map(row).collect()
    }

    /// Rankings, each person's own or one a task, as rankings or as their ordered pairs.
    fn comparison_rows(&mut self, options: &ExportOptions) -> Vec<Json> {
        let mut rows = Vec::new();
        let mut without_order = 0;
        let material: &Material = self;
        let mut add = |judgements: &[&Judgement], places: &[Place]| {
            if places.len() < 2 {
                without_order += judgements.len();
                return;
            }
            match options.content {
                Content::Preferences => rows.extend(material.pairs(judgements, places)),
                _ => rows.push(material.ranking(judgements, places)),
            }
        };
        match options.aggregate {
            None => {
                for judgement in material.judgements.iter().chain(&material.known) {
                    add(&[judgement], &judgement.body.places(&material.ids(judgement.task)));
                }
            }
            Some(aggregate) => {
                let mut tasks = BTreeMap::<Id, Vec<&Judgement>>::new();
                for judgement in &material.judgements {
                    tasks.entry(judgement.task).or_default().push(judgement);
                }
                for (task, judgements) in tasks {
                    let ids = material.ids(task);
                    let rankings: Vec<Vec<Place>> = judgements.iter().map(|j| j.body.places(&ids)).collect();
                    // Strengths that don't exist (nobody ranked anything) make no row.
                    add(&judgements, &aggregate.rank(&ids, &rankings).unwrap_or_default());
                }
            }
        }
        if without_order > 0 {
            self.left_out.insert("no order among the answers".to_owned(), without_order);
        }
        rows
    }

    fn ids(&self, task: Id) -> Vec<Id> {
        self.candidates.get(&task).into_iter().flatten().map(|candidate| candidate.id).collect()
    }

    fn candidate(&self, task: Id, id: Id) -> Option<&Candidate> {
        self.candidates.get(&task).into_iter().flatten().find(|candidate| candidate.id == id)
    }

    fn ranking(&self, judgements: &[&Judgement], places: &[Place]) -> Json {
        let first = judgements[0];
        let completion = |place: &Place| {
            let candidate = self.candidate(first.task, place.candidate)?;
            let mut completion = Map::new();
            completion.insert("text".to_owned(), candidate.text.as_str().into());
            completion.insert("rank".to_owned(), place.rank.into());
            insert_some(&mut completion, "source", candidate.source.map(Source::as_str));
            insert_some(&mut completion, "origin", Some(candidate.origin.as_str()).filter(|text| !text.is_empty()));
            if let [only] = judgements {
                let shown = only.shown.iter().position(|id| *id == candidate.id);
                completion.extend(shown.map(|place| ("place".to_owned(), (place + 1).into())));
                let rating = only.body.ratings().iter().find(|rating| rating.candidate == candidate.id);
                completion.extend(rating.map(|rating| ("fields".to_owned(), json!(rating.fields))));
            }
            Some(Json::Object(completion))
        };
        let mut row = Map::new();
        row.insert("prompt".to_owned(), self.prompt_of(first));
        row.insert("completions".to_owned(), places.iter().filter_map(completion).collect());
        if let [only] = judgements {
            row.insert("kind".to_owned(), only.kind.as_str().into());
            if matches!(only.body, Body::Rank { all_bad: true, .. }) {
                row.insert("all_bad".to_owned(), true.into());
            }
        }
        self.judges(&mut row, judgements);
        Json::Object(row)
    }

    /// The ordered pairs; equal texts and ties make none.
    fn pairs(&self, judgements: &[&Judgement], places: &[Place]) -> Vec<Json> {
        let first = judgements[0];
        let mut rows = Vec::new();
        for better in places {
            for worse in places.iter().filter(|worse| better.rank < worse.rank) {
                let texts = (self.candidate(first.task, better.candidate), self.candidate(first.task, worse.candidate));
                let (Some(chosen), Some(rejected)) = texts else { continue };
                let mut row = Map::new();
                row.insert("prompt".to_owned(), self.prompt_of(first));
                row.insert("chosen".to_owned(), chosen.text.as_str().into());
                row.insert("rejected".to_owned(), rejected.text.as_str().into());
                self.judges(&mut row, judgements);
                rows.push(Json::Object(row));
            }
        }
        rows
    }

    /// Demonstrations, ratings and reviews: a row or more a judgement.
    fn judged_rows(&self) -> Vec<Json> {
        let mut rows = Vec::new();
        for judgement in self.judgements.iter().chain(&self.known) {
            let mut row = Map::new();
            row.insert("prompt".to_owned(), self.prompt_of(judgement));
            let of_rating = !judgement.body.ratings().is_empty();
            let kind = if of_rating { TaskKind::Rate } else { judgement.kind };
            row.insert("kind".to_owned(), kind.as_str().into());
            match &judgement.body {
                Body::Demonstrate { text, fields, .. } => {
                    row.insert("completion".to_owned(), text.as_str().into());
                    if !fields.is_empty() {
                        row.insert("fields".to_owned(), json!(fields));
                    }
                }
                Body::Review { accept, fields, notes } => {
                    let reviewed = self.candidates.get(&judgement.task).and_then(|all| all.first());
                    insert_some(&mut row, "completion", reviewed.map(|candidate| candidate.text.as_str()));
                    row.insert("label".to_owned(), (*accept).into());
                    row.insert("fields".to_owned(), json!(fields));
                    insert_some(&mut row, "notes", Some(notes.as_str()).filter(|notes| !notes.is_empty()));
                }
                body => {
                    for rating in body.ratings() {
                        let Some(candidate) = self.candidate(judgement.task, rating.candidate) else { continue };
                        let mut row = row.clone();
                        row.insert("completion".to_owned(), candidate.text.as_str().into());
                        row.insert("fields".to_owned(), json!(rating.fields));
                        insert_some(&mut row, "origin", Some(candidate.origin.as_str()).filter(|o| !o.is_empty()));
                        self.judges(&mut row, &[judgement]);
                        rows.push(Json::Object(row));
                    }
                    continue;
                }
            }
            self.judges(&mut row, &[judgement]);
            rows.push(Json::Object(row));
        }
        rows
    }

    fn prompt_of(&self, judgement: &Judgement) -> Json {
        judgement.prompt.and_then(|id| self.prompts.get(&id)).map_or(Json::Null, |asked| json!(asked.prompt))
    }

    /// Who judged, how, and what is known of the prompt.
    fn judges(&self, row: &mut Map<String, Json>, judgements: &[&Judgement]) {
        let first = judgements[0];
        let (pseudonym, group) = self.people.get(&first.person).cloned().unwrap_or_default();
        match judgements {
            [known] if known.person == NOBODY => {
                row.insert("known".to_owned(), true.into());
                row.insert("source".to_owned(), known.source.as_str().into());
            }
            [only] => {
                row.insert("id".to_owned(), only.uid.as_str().into());
                row.insert("source".to_owned(), only.source.as_str().into());
                row.insert("labeler".to_owned(), pseudonym.into());
                insert_some(row, "group", Some(group.as_str()).filter(|group| !group.is_empty()));
                insert_some(row, "seconds", only.seconds);
            }
            several => {
                let numbers: Vec<String> = several.iter().map(|judgement| judgement.id.to_string()).collect();
                row.insert("id".to_owned(), format!("{}-{}", self.project.uid, numbers.join("+")).into());
                // Of mixed sources nothing is claimed.
                let same = several.iter().all(|judgement| judgement.source == first.source);
                insert_some(row, "source", same.then_some(first.source.as_str()));
                row.insert("judgements".to_owned(), several.len().into());
            }
        }
        row.insert("guide_version".to_owned(), first.guide_version.into());
        if first.purpose != Purpose::Ordinary {
            row.insert("purpose".to_owned(), first.purpose.as_str().into());
        }
        if let Some(asked) = first.prompt.and_then(|id| self.prompts.get(&id)) {
            self.facts(row, asked);
        }
    }

    fn facts(&self, row: &mut Map<String, Json>, asked: &Asked) {
        insert_some(row, "use_case", asked.use_case.as_deref());
        insert_some(row, "user_id", asked.user_id.as_deref());
        insert_some(row, "language", asked.language.as_deref());
    }
}

/// The number of nobody, who gives known answers.
const NOBODY: Id = 0;

/// The known answers of gold and qualification items.
fn known_answers(transaction: &mut Transaction<'_>, project: &Project, content: Content) -> Result<Vec<Judgement>> {
    let sql = "SELECT id, kind, purpose, prompt_id, gold, created_ms FROM task \
               WHERE project_id = ?1 AND gold IS NOT NULL ORDER BY id";
    let mut known = Vec::new();
    for row in transaction.rows(sql, values![project.id])? {
        let kind = row.text(1).parse()?;
        if !fits(content, kind) {
            continue;
        }
        let task = row.integer(0);
        known.push(Judgement {
            id: 0,
            uid: String::new(),
            task,
            prompt: row.optional_integer(3),
            person: NOBODY,
            kind,
            purpose: row.text(2).parse()?,
            body: judgement::parse(&row.text(4), task)?,
            source: Source::Human,
            shown: Vec::new(),
            seconds: None,
            guide_version: project.guide_version,
            corrects: None,
            current: true,
            erased: false,
            body_hash: String::new(),
            created_ms: row.integer(5),
        });
    }
    Ok(known)
}

/// Which kinds of task an export holds.
fn fits(content: Content, kind: TaskKind) -> bool {
    match content {
        Content::Rankings | Content::Preferences => matches!(kind, TaskKind::Rank | TaskKind::Pairwise),
        Content::Demonstrations => kind == TaskKind::Demonstrate,
        Content::Ratings => matches!(kind, TaskKind::Rate | TaskKind::Rank | TaskKind::Pairwise),
        Content::Reviews => kind == TaskKind::Review,
        Content::Prompts => false,
    }
}

fn insert_some(row: &mut Map<String, Json>, key: &str, value: Option<impl Into<Json>>) {
    row.extend(value.map(|value| (key.to_owned(), value.into())));
}

/// A name that tells nothing to whoever lacks the key: the same person has others elsewhere.
pub(crate) fn pseudonym(what: &str, key: &str, whom: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("helpmate 2026 label pseudonym");
    for part in [what, key, whom] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    format!("{what}-{}", &hasher.finalize().to_hex()[..12])
}

/// Whether a name is one that [`pseudonym`] makes.
pub(crate) fn is_pseudonym(what: &str, name: &str) -> bool {
    let hash = name.strip_prefix(what).and_then(|rest| rest.strip_prefix('-'));
    hash.is_some_and(|hash| hash.len() == 12 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}
