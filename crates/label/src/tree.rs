//! Conversations that grow as trees, by Open-Assistant's rules (arXiv 2304.07327, §3): a first
//! message is reviewed, people write replies and replies to replies, each is reviewed, replies to
//! one message are ranked, and the rankings become one by ranked pairs.
//!
//! Trees are imported and exported as the Open-Assistant JSON; what that holds and this crate
//! doesn't know is kept as it is.

use record::{Message, Prompt, Role as Speaker, Source};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json, json as make_json};

use crate::check::{self, TEXT_BYTES_MAX};
use crate::database::{Row, Transaction, values};
use crate::judgement::{self, TaskRow};
use crate::prompt::{Place as Added, opening};
use crate::task::{Extra, insert_with, json};
use crate::{Actor, Aggregate, Body, Id, LabelError, NewCandidate, NewPrompt, NewTask, Project, Result, Role, Store};
use crate::{TaskKind, candidate, project, prompt};

/// Messages of a tree at most, and levels: a file may hold anything.
const MESSAGES_MAX: usize = 20_000;
const LEVELS_MAX: usize = 200;

/// How far a tree is; Open-Assistant's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TreeState {
    /// The first message is being reviewed.
    InitialPromptReview,
    /// Replies are written and reviewed.
    Growing,
    /// Replies are ranked.
    Ranking,
    /// Rankings are there and become one.
    ReadyForScoring,
    /// Done.
    ReadyForExport,
    /// The first message was refused.
    AbortedLowGrade,
    /// A manager stopped it.
    HaltedByModerator,
    /// Ranked, waiting for more rankings (imported trees).
    BacklogRanking,
    /// Waiting to be chosen to grow (imported trees).
    PromptLotteryWaiting,
    /// The rankings could not become one.
    ScoringFailed,
}

impl TreeState {
    const ALL: [TreeState; 10] = [
        Self::InitialPromptReview,
        Self::Growing,
        Self::Ranking,
        Self::ReadyForScoring,
        Self::ReadyForExport,
        Self::AbortedLowGrade,
        Self::HaltedByModerator,
        Self::BacklogRanking,
        Self::PromptLotteryWaiting,
        Self::ScoringFailed,
    ];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InitialPromptReview => "initial_prompt_review",
            Self::Growing => "growing",
            Self::Ranking => "ranking",
            Self::ReadyForScoring => "ready_for_scoring",
            Self::ReadyForExport => "ready_for_export",
            Self::AbortedLowGrade => "aborted_low_grade",
            Self::HaltedByModerator => "halted_by_moderator",
            Self::BacklogRanking => "backlog_ranking",
            Self::PromptLotteryWaiting => "prompt_lottery_waiting",
            Self::ScoringFailed => "scoring_failed",
        }
    }
}

impl std::str::FromStr for TreeState {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().find(|state| state.as_str() == text);
        known.ok_or_else(|| LabelError::invalid("tree_state", check::shown(text), "one of Open-Assistant's states"))
    }
}

/// A tree in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TreeSummary {
    /// Number.
    pub id: Id,
    /// Its name in exports.
    pub name: String,
    /// How far it is.
    pub state: TreeState,
    /// Messages.
    pub size: i64,
    /// How its first message begins.
    pub title: String,
}

impl Store {
    /// Adds an Open-Assistant tree: its messages, and for every question its replies as candidates.
    pub fn import_tree(&self, actor: Actor, project: Id, tree: &Json) -> Result<Id> {
        actor.require(Role::Manager)?;
        let map = tree.as_object().ok_or_else(|| wrong("tree", "no object", "an Open-Assistant tree"))?;
        let name = map.get("message_tree_id").and_then(Json::as_str).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| wrong("message_tree_id", "nothing", "the tree's name"))?;
        let state: TreeState = match map.get("tree_state").and_then(Json::as_str) {
            Some(state) => state.parse()?,
            None => TreeState::ReadyForExport,
        };
        let root = map.get("prompt").ok_or_else(|| wrong("prompt", "nothing", "the first message"))?;
        let mut left = MESSAGES_MAX;
        check_message(root, "prompt", Speaker::User, LEVELS_MAX, &mut left)?;
        let mut facts = map.clone();
        facts["prompt"] = Json::Null;
        let now = self.now_ms();
        let id = self.write(|transaction| {
            let project = project::project(transaction, project)?;
            let sql = "SELECT COUNT(*) FROM tree WHERE project_id = ?1 AND name = ?2";
            if transaction.number(sql, values![project.id, name])? > 0 {
                return Err(LabelError::Taken { what: "tree", name: name.to_owned() });
            }
            let id = insert_tree(transaction, &project, name, state, &json(&facts), now)?;
            let mut above = Vec::new();
            import_message(transaction, &project, &Import { tree: id, now }, None, 0, root, &mut above)?;
            Ok(id)
        })?;
        self.note_in(actor, Some(project), "tree.import", &format!("tree {id}"), "")?;
        Ok(id)
    }

    /// A project's trees as Open-Assistant JSON. What was imported comes out as it came in, with the
    /// ranks that were found here.
    pub fn export_trees(&self, actor: Actor, project: Id) -> Result<Vec<Json>> {
        actor.require(Role::Manager)?;
        self.read(|transaction| {
            let trees = transaction
                .rows("SELECT id, name, state, facts FROM tree WHERE project_id = ?1 ORDER BY id", values![project])?;
            trees.iter().map(|row| export_tree(transaction, row)).collect()
        })
    }

    /// Begins a conversation with a first message, which is reviewed before anybody replies.
    pub fn start_tree(&self, actor: Actor, project: Id, text: &str, language: Option<&str>) -> Result<Id> {
        actor.require(Role::Manager)?;
        check::text("prompt", text, TEXT_BYTES_MAX)?;
        let (now, name) = (self.now_ms(), format!("tree-{}", crate::random::name()?));
        let id = self.write(|transaction| {
            let project = project::project(transaction, project)?;
            let facts = make_json!({"message_tree_id": name, "tree_state": null, "prompt": null});
            let state = TreeState::InitialPromptReview;
            let tree = insert_tree(transaction, &project, &name, state, &json(&facts), now)?;
            let new = NewMessage { tree, parent: None, depth: 0, speaker: Speaker::User, text, author: actor.person() };
            let root = insert_message(transaction, &new, language, now)?;
            ask_review(transaction, &project, root, now)?;
            Ok(tree)
        })?;
        self.note_in(actor, Some(project), "tree.start", &format!("tree {id}"), "")?;
        Ok(id)
    }

    /// A project's trees, the newest first.
    pub fn trees(&self, project: Id) -> Result<Vec<TreeSummary>> {
        self.read(|transaction| {
            let sql = "SELECT t.id, t.name, t.state, (SELECT COUNT(*) FROM message m WHERE m.tree_id = t.id), \
                       (SELECT m.text FROM message m WHERE m.tree_id = t.id AND m.parent_id IS NULL) \
                       FROM tree t WHERE t.project_id = ?1 ORDER BY t.id DESC";
            let summary = |row: &Row| {
                Ok(TreeSummary {
                    id: row.integer(0),
                    name: row.text(1),
                    state: row.text(2).parse()?,
                    size: row.integer(3),
                    title: opening(&Prompt::Text(row.text(4))),
                })
            };
            transaction.rows(sql, values![project])?.iter().map(summary).collect()
        })
    }

    /// Stops a tree: its tasks are taken back.
    pub fn halt_tree(&self, actor: Actor, tree: Id) -> Result<()> {
        actor.require(Role::Manager)?;
        self.write(|transaction| {
            if transaction.number("SELECT COUNT(*) FROM tree WHERE id = ?1", values![tree])? == 0 {
                return Err(LabelError::not_found("tree", tree));
            }
            withdraw(transaction, tree, &[TaskKind::Review, TaskKind::Continue, TaskKind::Rank])?;
            set_state(transaction, tree, TreeState::HaltedByModerator)
        })?;
        self.note(actor, "tree.halt", &format!("tree {tree}"), "")
    }
}

fn wrong(field: &str, found: &str, expected: &str) -> LabelError {
    LabelError::invalid(field, found, expected)
}

// ---- import and export

/// Refuses what isn't a tree of messages before anything is written.
fn check_message(value: &Json, at: &str, speaker: Speaker, levels: usize, left: &mut usize) -> Result<()> {
    let map = value.as_object().ok_or_else(|| wrong(at, "no object", "a message"))?;
    if levels == 0 || *left == 0 {
        let expected = format!("at most {MESSAGES_MAX} messages on {LEVELS_MAX} levels");
        return Err(wrong(at, "more messages", &expected));
    }
    *left -= 1;
    let text = map.get("text").and_then(Json::as_str).ok_or_else(|| wrong(&format!("{at}.text"), "no text", "text"))?;
    check::optional_text("text", text, TEXT_BYTES_MAX)?;
    let expected = oasst_role(speaker);
    if map.get("role").and_then(Json::as_str) != Some(expected) {
        let found = map.get("role").map_or("nothing".to_owned(), Json::to_string);
        return Err(wrong(&format!("{at}.role"), &found, expected));
    }
    let other = if speaker == Speaker::User { Speaker::Assistant } else { Speaker::User };
    match map.get("replies") {
        None | Some(Json::Null) => Ok(()),
        Some(Json::Array(replies)) => replies
            .iter()
            .enumerate()
            .try_for_each(|(i, reply)| check_message(reply, &format!("{at}.replies[{i}]"), other, levels - 1, left)),
        Some(_) => Err(wrong(&format!("{at}.replies"), "no list", "a list of messages")),
    }
}

struct Import {
    tree: Id,
    now: i64,
}

/// Adds a message and all below it.
fn import_message(
    transaction: &mut Transaction<'_>,
    project: &Project,
    import: &Import,
    parent: Option<(Id, Option<Id>)>,
    place: usize,
    value: &Json,
    above: &mut Vec<Message>,
) -> Result<()> {
    let Some(map) = value.as_object() else { return Ok(()) };
    let text = map.get("text").and_then(Json::as_str).unwrap_or_default();
    let speaker = if above.len().is_multiple_of(2) { Speaker::User } else { Speaker::Assistant };
    let mut facts = map.clone();
    let replies = match facts.get_mut("replies") {
        Some(replies @ Json::Array(_)) => replies.take(),
        _ => Json::Array(Vec::new()),
    };
    let flag = |key: &str| map.get(key).and_then(Json::as_bool);
    let state = match () {
        () if flag("deleted") == Some(true) => "deleted",
        () if flag("review_result") == Some(false) => "refused",
        () => "accepted",
    };
    let is_kept = state == "accepted" && !text.trim().is_empty();
    let source = flag("synthetic").map(|synthetic| if synthetic { Source::Model } else { Source::Human });
    let candidate = match parent {
        Some((_, Some(prompt))) if speaker == Speaker::Assistant && is_kept => {
            let origin = map.get("model_name").and_then(Json::as_str).unwrap_or("imported").to_owned();
            let new = NewCandidate { source, origin, ..NewCandidate::new(text) };
            Some(candidate::add(transaction, prompt, &new, import.now)?)
        }
        _ => None,
    };
    let rank = map.get("rank").and_then(Json::as_i64);
    let sql = "INSERT INTO message (tree_id, parent_id, place, depth, role, text, state, rank, candidate_id, facts, \
               created_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let (depth, parent_id) = (above.len(), parent.map(|(id, _)| id));
    let id = transaction.insert(
        sql,
        values![
            import.tree,
            parent_id,
            place,
            depth,
            speaker.as_str(),
            text,
            state,
            rank,
            candidate,
            json(&facts),
            import.now
        ],
    )?;
    above.push(Message { role: speaker, content: text.to_owned() });
    let prompt = if speaker == Speaker::User && is_kept {
        let language = map.get("lang").and_then(Json::as_str).map(str::to_owned);
        let new = NewPrompt { source, language, ..NewPrompt::new(Prompt::Messages(above.clone())) };
        Some(thread_prompt(transaction, project, &new, import.now)?)
    } else {
        None
    };
    for (i, reply) in replies.as_array().into_iter().flatten().enumerate() {
        import_message(transaction, project, import, Some((id, prompt)), i, reply, above)?;
    }
    above.pop();
    Ok(())
}

/// The prompt of a thread. Threads of a tree share long beginnings: only equal ones are one.
fn thread_prompt(transaction: &mut Transaction<'_>, project: &Project, new: &NewPrompt, now: i64) -> Result<Id> {
    let mut project = project.clone();
    project.settings.prompts.duplicate_prefix = 0;
    project.settings.prompts.per_user_max = u32::MAX;
    match prompt::add(transaction, &project, new, now)? {
        Added::New(id) | Added::Known(id) => Ok(id),
        Added::OverLimit => Err(wrong("prompt", "too many of one user", "fewer")),
    }
}

fn export_tree(transaction: &mut Transaction<'_>, row: &Row) -> Result<Json> {
    let sql = "SELECT id, parent_id, role, text, state, rank, facts FROM message WHERE tree_id = ?1 \
               ORDER BY parent_id, place, id";
    let messages = transaction.rows(sql, values![row.integer(0)])?;
    let root = messages.iter().find(|message| message.optional_integer(1).is_none());
    let mut map: Map<String, Json> = serde_json::from_str(&row.text(3)).unwrap_or_default();
    if map.contains_key("tree_state") {
        map["tree_state"] = row.text(2).into();
    }
    map.insert("prompt".to_owned(), root.map_or(Json::Null, |root| export_message(&messages, root)));
    Ok(Json::Object(map))
}

fn export_message(messages: &[Row], message: &Row) -> Json {
    let id = message.integer(0);
    let children = messages.iter().filter(|child| child.optional_integer(1) == Some(id));
    let replies: Vec<Json> = children.map(|child| export_message(messages, child)).collect();
    let mut map: Map<String, Json> = match serde_json::from_str(&message.text(6)) {
        Ok(map) => map,
        Err(_) => own_facts(message),
    };
    if map.contains_key("replies") || !replies.is_empty() {
        map.insert("replies".to_owned(), Json::Array(replies));
    }
    let rank = message.optional_integer(5);
    if rank != map.get("rank").and_then(Json::as_i64) {
        map.insert("rank".to_owned(), rank.into());
    }
    Json::Object(map)
}

/// What is said of a message that was written here.
fn own_facts(message: &Row) -> Map<String, Json> {
    let state = message.text(4);
    let role = if message.text(2) == "user" { "prompter" } else { "assistant" };
    let facts = make_json!({
        "message_id": format!("message-{}", message.integer(0)),
        "parent_id": message.optional_integer(1).map(|id| format!("message-{id}")),
        "text": message.text(3),
        "role": role,
        "review_result": state == "accepted",
        "deleted": state == "deleted",
        "synthetic": false,
        "replies": [],
    });
    let mut map = facts.as_object().cloned().unwrap_or_default();
    if map["parent_id"].is_null() {
        map.shift_remove("parent_id");
    }
    map
}

fn oasst_role(speaker: Speaker) -> &'static str {
    if speaker == Speaker::User { "prompter" } else { "assistant" }
}

// ---- growth

fn insert_tree(
    transaction: &mut Transaction<'_>,
    project: &Project,
    name: &str,
    state: TreeState,
    facts: &str,
    now: i64,
) -> Result<Id> {
    let sql = "INSERT INTO tree (project_id, name, state, facts, created_ms) VALUES (?1, ?2, ?3, ?4, ?5)";
    transaction.insert(sql, values![project.id, name, state.as_str(), facts, now])
}

struct NewMessage<'a> {
    tree: Id,
    parent: Option<Id>,
    depth: i64,
    speaker: Speaker,
    text: &'a str,
    author: Option<Id>,
}

fn insert_message(
    transaction: &mut Transaction<'_>,
    new: &NewMessage<'_>,
    language: Option<&str>,
    now: i64,
) -> Result<Id> {
    let sql = "SELECT COUNT(*) FROM message WHERE tree_id = ?1 AND parent_id = ?2";
    let place = transaction.number(sql, values![new.tree, new.parent.unwrap_or(-1)])?;
    let sql = "INSERT INTO message (tree_id, parent_id, place, depth, role, text, state, author_id, facts, created_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'review', ?7, '', ?8)";
    let (role, author) = (new.speaker.as_str(), new.author);
    let id = transaction.insert(sql, values![new.tree, new.parent, place, new.depth, role, new.text, author, now])?;
    if let Some(language) = language {
        // Kept with the tree's facts: a message written here has no others.
        let row = transaction.row("SELECT facts FROM tree WHERE id = ?1", values![new.tree])?;
        let mut facts: Map<String, Json> =
            row.and_then(|row| serde_json::from_str(&row.text(0)).ok()).unwrap_or_default();
        facts.insert("lang".to_owned(), language.into());
        transaction.change("UPDATE tree SET facts = ?2 WHERE id = ?1", values![new.tree, json(&facts)])?;
    }
    Ok(id)
}

/// A message of a growing tree.
struct Node {
    id: Id,
    tree: Id,
    parent: Option<Id>,
    depth: i64,
    speaker: Speaker,
    text: String,
    author: Option<Id>,
}

fn node(transaction: &mut Transaction<'_>, id: Id) -> Result<Node> {
    let sql = "SELECT tree_id, parent_id, depth, role, text, author_id FROM message WHERE id = ?1";
    let row = transaction.row(sql, values![id])?.ok_or_else(|| LabelError::not_found("message", id))?;
    Ok(Node {
        id,
        tree: row.integer(0),
        parent: row.optional_integer(1),
        depth: row.integer(2),
        speaker: if row.text(3) == "user" { Speaker::User } else { Speaker::Assistant },
        text: row.text(4),
        author: row.optional_integer(5),
    })
}

/// The messages from the first to this one.
fn thread(transaction: &mut Transaction<'_>, id: Id) -> Result<Vec<Message>> {
    let mut turns = Vec::new();
    let mut next = Some(id);
    while let Some(id) = next {
        let node = node(transaction, id)?;
        turns.push(Message { role: node.speaker, content: node.text });
        next = node.parent;
    }
    turns.reverse();
    Ok(turns)
}

/// Asks people to review a message.
fn ask_review(transaction: &mut Transaction<'_>, project: &Project, message: Id, now: i64) -> Result<()> {
    let node = node(transaction, message)?;
    // A reply is reviewed as an answer to what stands above it, a question as itself.
    let (prompt, candidates) = match (node.speaker, node.parent) {
        (Speaker::Assistant, Some(parent)) => {
            let turns = Prompt::Messages(thread(transaction, parent)?);
            let prompt = thread_prompt(transaction, project, &NewPrompt::new(turns), now)?;
            let new = NewCandidate {
                source: Some(Source::Human),
                origin: "written in a conversation".to_owned(),
                author: node.author,
                ..NewCandidate::new(node.text.as_str())
            };
            let candidate = candidate::add(transaction, prompt, &new, now)?;
            let sql = "UPDATE message SET candidate_id = ?2 WHERE id = ?1";
            transaction.change(sql, values![message, candidate])?;
            (prompt, vec![candidate])
        }
        _ => {
            let turns = Prompt::Messages(thread(transaction, message)?);
            (thread_prompt(transaction, project, &NewPrompt::new(turns), now)?, Vec::new())
        }
    };
    let overlap = Some(project.settings.tree.reviews);
    let new = NewTask { overlap, ..NewTask::new(TaskKind::Review, Some(prompt), candidates) };
    let extra = Extra { message: Some(message), author: node.author, role: Some(Role::Labeler), ..Extra::default() };
    insert_with(transaction, project, &new, extra, now)?;
    Ok(())
}

/// What a judgement on a message of a tree brings about.
pub(crate) fn advance(
    transaction: &mut Transaction<'_>,
    project: &Project,
    task: &TaskRow,
    message: Id,
    (person, body): (Id, &Body),
    now: i64,
) -> Result<()> {
    let at = node(transaction, message)?;
    match body {
        Body::Continue { text } => {
            let speaker = if at.speaker == Speaker::User { Speaker::Assistant } else { Speaker::User };
            let (tree, depth) = (at.tree, at.depth + 1);
            let new = NewMessage { tree, parent: Some(message), depth, speaker, text, author: Some(person) };
            let child = insert_message(transaction, &new, None, now)?;
            ask_review(transaction, project, child, now)?;
        }
        Body::Review { .. } => decide_review(transaction, project, task, &at, now)?,
        _ => {}
    }
    settle(transaction, project, at.tree, now)
}

/// Accepts or refuses a message when its reviews are there, and asks for replies to it.
fn decide_review(
    transaction: &mut Transaction<'_>,
    project: &Project,
    task: &TaskRow,
    at: &Node,
    now: i64,
) -> Result<()> {
    let current = "j.task_id = ?1 AND NOT EXISTS (SELECT 1 FROM judgement c WHERE c.corrects = j.id)";
    let reviews = judgement::select(transaction, project, current, values![task.id])?;
    if (reviews.len() as i64) < task.overlap {
        return Ok(());
    }
    let accepted = reviews.iter().filter(|review| matches!(review.body, Body::Review { accept: true, .. })).count();
    let settings = &project.settings.tree;
    let is_accepted = accepted as f64 >= settings.accept_share * reviews.len() as f64;
    let state = if is_accepted { "accepted" } else { "refused" };
    let sql = "UPDATE message SET state = ?2 WHERE id = ?1 AND state = 'review'";
    if transaction.change(sql, values![at.id, state])? == 0 {
        return Ok(());
    }
    if at.parent.is_none() {
        let next = if is_accepted { TreeState::Growing } else { TreeState::AbortedLowGrade };
        set_state(transaction, at.tree, next)?;
    }
    let may_grow = at.depth < i64::from(settings.depth_max) && !is_full(transaction, project, at.tree)?;
    if is_accepted && may_grow {
        let turns = Prompt::Messages(thread(transaction, at.id)?);
        let prompt = thread_prompt(transaction, project, &NewPrompt::new(turns), now)?;
        let overlap = Some(settings.children_max);
        let new = NewTask { overlap, ..NewTask::new(TaskKind::Continue, Some(prompt), Vec::new()) };
        // Nobody answers themselves.
        let extra = Extra { message: Some(at.id), author: at.author, ..Extra::default() };
        insert_with(transaction, project, &new, extra, now)?;
    }
    Ok(())
}

/// Whether a tree has all its messages: those that were refused don't count.
fn is_full(transaction: &mut Transaction<'_>, project: &Project, tree: Id) -> Result<bool> {
    let sql = "SELECT COUNT(*) FROM message WHERE tree_id = ?1 AND state IN ('accepted', 'review')";
    Ok(transaction.number(sql, values![tree])? >= i64::from(project.settings.tree.size))
}

fn open_tasks(transaction: &mut Transaction<'_>, tree: Id, kind: TaskKind) -> Result<i64> {
    let sql = "SELECT COUNT(*) FROM task WHERE kind = ?2 AND state = 'open' \
               AND message_id IN (SELECT id FROM message WHERE tree_id = ?1)";
    transaction.number(sql, values![tree, kind.as_str()])
}

/// Moves a tree on when nothing more is to be done in its state.
fn settle(transaction: &mut Transaction<'_>, project: &Project, tree: Id, now: i64) -> Result<()> {
    let row = transaction.row("SELECT state FROM tree WHERE id = ?1", values![tree])?;
    let state: TreeState = row.map(|row| row.text(0)).unwrap_or_default().parse()?;
    if state == TreeState::Growing {
        if is_full(transaction, project, tree)? {
            withdraw(transaction, tree, &[TaskKind::Continue])?;
        }
        let waiting =
            open_tasks(transaction, tree, TaskKind::Continue)? + open_tasks(transaction, tree, TaskKind::Review)?;
        if waiting > 0 {
            return Ok(());
        }
        let asked = ask_rankings(transaction, project, tree, now)?;
        let next = if asked > 0 { TreeState::Ranking } else { TreeState::ReadyForExport };
        return set_state(transaction, tree, next);
    }
    if state == TreeState::Ranking && open_tasks(transaction, tree, TaskKind::Rank)? == 0 {
        set_state(transaction, tree, TreeState::ReadyForScoring)?;
        let next = match score(transaction, project, tree) {
            Ok(()) => TreeState::ReadyForExport,
            Err(LabelError::Statistics(_)) => TreeState::ScoringFailed,
            Err(other) => return Err(other),
        };
        return set_state(transaction, tree, next);
    }
    Ok(())
}

/// Asks for rankings of the replies to each question that has several; how many.
fn ask_rankings(transaction: &mut Transaction<'_>, project: &Project, tree: Id, now: i64) -> Result<usize> {
    let sql = "SELECT m.parent_id, m.candidate_id, c.prompt_id FROM message m JOIN candidate c ON c.id = m.candidate_id \
               WHERE m.tree_id = ?1 AND m.state = 'accepted' AND m.role = 'assistant' ORDER BY m.parent_id, m.place";
    let replies = transaction.rows(sql, values![tree])?;
    let mut asked = 0;
    for family in replies.chunk_by(|a, b| a.integer(0) == b.integer(0)) {
        let mut candidates: Vec<Id> = family.iter().map(|row| row.integer(1)).collect();
        candidates.dedup();
        candidates.truncate(project.settings.ranking.k_max);
        if candidates.len() < project.settings.ranking.k_min {
            continue;
        }
        let overlap = Some(project.settings.tree.rankings);
        let new = NewTask { overlap, ..NewTask::new(TaskKind::Rank, Some(family[0].integer(2)), candidates) };
        let extra = Extra { message: Some(family[0].integer(0)), ..Extra::default() };
        insert_with(transaction, project, &new, extra, now)?;
        asked += 1;
    }
    Ok(asked)
}

/// Makes one ranking of each family's rankings; ranks among siblings start at 0, as Open-Assistant's do.
fn score(transaction: &mut Transaction<'_>, project: &Project, tree: Id) -> Result<()> {
    let sql = "SELECT id, message_id FROM task WHERE kind = 'rank' AND state = 'complete' \
               AND message_id IN (SELECT id FROM message WHERE tree_id = ?1)";
    for row in transaction.rows(sql, values![tree])? {
        let (task, question) = (row.integer(0), row.integer(1));
        let candidates: Vec<Id> = candidate::of_task(transaction, task)?.iter().map(|c| c.id).collect();
        let current = "j.task_id = ?1 AND NOT EXISTS (SELECT 1 FROM judgement c WHERE c.corrects = j.id)";
        let judgements = judgement::select(transaction, project, current, values![task])?;
        let rankings: Vec<_> = judgements.iter().map(|judgement| judgement.body.places(&candidates)).collect();
        for place in Aggregate::RankedPairs.rank(&candidates, &rankings)? {
            let sql = "UPDATE message SET rank = ?3 WHERE parent_id = ?1 AND candidate_id = ?2";
            transaction.change(sql, values![question, place.candidate, place.rank - 1])?;
        }
    }
    Ok(())
}

fn set_state(transaction: &mut Transaction<'_>, tree: Id, state: TreeState) -> Result<()> {
    transaction.change("UPDATE tree SET state = ?2 WHERE id = ?1", values![tree, state.as_str()])?;
    Ok(())
}

fn withdraw(transaction: &mut Transaction<'_>, tree: Id, kinds: &[TaskKind]) -> Result<()> {
    for kind in kinds {
        let sql = "UPDATE task SET state = 'withdrawn' WHERE kind = ?2 AND state = 'open' \
                   AND message_id IN (SELECT id FROM message WHERE tree_id = ?1)";
        transaction.change(sql, values![tree, kind.as_str()])?;
    }
    Ok(())
}
