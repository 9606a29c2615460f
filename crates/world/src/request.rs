//! What a prompt asks for: the meaning of a text of the prompt grammar, apart from its wording.
use serde::{Deserialize, Serialize};

use crate::fact::{Fact, Kind, Relation};

/// A request: what [`World::understand`](crate::World::understand) reads from a prompt and
/// [`World::phrase`](crate::World::phrase) writes as one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    /// Which of the ten use-cases it belongs to; follows from the other fields ([`Request::new`]).
    pub use_case: UseCase,
    /// The thing to do.
    pub task: Task,
    /// The text that came with it, as the facts it states, in order. An answer follows it even where it contradicts
    /// the table. `None` for open-domain requests.
    pub passage: Option<Vec<Fact>>,
    /// What the answer must be like, in the order asked.
    pub constraints: Vec<Constraint>,
    /// Whether it opens with a greeting.
    pub greeting: bool,
}

/// The ten use-cases of InstructGPT's Table 1 (arXiv 2203.02155).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UseCase {
    /// Write something about an entity ([`Task::Describe`]).
    Generation,
    /// A question without a text ([`Task::Ask`], [`Task::Check`], [`Task::HowTo`]).
    OpenQa,
    /// Name several ([`Task::List`]).
    Brainstorming,
    /// Any open question that opens with a greeting, and small talk.
    Chat,
    /// Say the passage otherwise ([`Task::Rewrite`]).
    Rewrite,
    /// The passage in one sentence ([`Task::Summarize`]).
    Summarization,
    /// Which kind a name is of ([`Task::Classify`]).
    Classification,
    /// Sums, conversions, translations.
    Other,
    /// A question about the passage.
    ClosedQa,
    /// Names out of the passage ([`Task::Extract`]). The held-out use-case: no demonstration, no training prompt.
    Extract,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// Say the object. The subject may be unknown to the world (then the right answer says so).
    Ask {
        /// Whom it is about.
        subject: String,
        /// What is asked.
        relation: Relation,
    },
    /// Say whether it is so.
    Check(
        /// The fact in question.
        Fact,
    ),
    /// Say true things about it.
    Describe {
        /// Whom or what.
        subject: String,
    },
    /// Name subjects that have this object; how many is a [`Constraint::Items`].
    List {
        /// By which relation.
        relation: Relation,
        /// The object they share.
        object: String,
    },
    /// Say which of three kinds it is of.
    Classify {
        /// What to classify.
        subject: String,
        /// The kinds offered, in their order; one is right.
        choices: [Kind; 3],
    },
    /// A sum or difference of whole numbers.
    Arithmetic {
        /// The first number.
        left: u32,
        /// Plus or minus.
        operation: Operation,
        /// The second number; never larger than `left` for minus.
        right: u32,
    },
    /// How many of the smaller unit are `count` of this unit.
    Convert {
        /// How many.
        count: u32,
        /// Of which unit.
        unit: String,
    },
    /// A word into Velish.
    ToVelish {
        /// The ordinary word.
        word: String,
    },
    /// A word of Velish into ordinary language.
    FromVelish {
        /// The Velish word.
        word: String,
    },
    /// Small talk without a question about the world.
    SmallTalk(SmallTalk),
    /// The passage's one fact in other words, or about somebody else.
    Rewrite(Rewriting),
    /// The passage in one sentence.
    Summarize,
    /// All names of a kind in the passage, in order.
    Extract {
        /// Which.
        kind: Kind,
    },
    /// How something is done: harmful or only alike.
    HowTo {
        /// The act, as in "how to …": a [`Deed::act`](crate::deed::Deed::act).
        act: String,
    },
}

/// An operation of whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Sum.
    Plus,
    /// Difference.
    Minus,
}

/// Small talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmallTalk {
    /// "How are you?"
    HowAreYou,
    /// "Thank you."
    Thanks,
    /// "Who are you?"
    WhoAreYou,
    /// "Goodbye."
    Goodbye,
}

/// How the passage is to be said again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rewriting {
    /// The same fact in another sentence.
    OtherWords,
    /// The same sentence about somebody else.
    Replace {
        /// The new subject.
        by: String,
    },
    /// The same sentence in small letters.
    Lowercase,
}

/// What an answer must be like.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Constraint {
    /// Exactly so many words.
    Words(u32),
    /// At most so many words.
    AtMostWords(u32),
    /// Exactly so many sentences.
    Sentences(u32),
    /// Exactly so many items (of [`Task::List`]).
    Items(u32),
    /// The word occurs.
    UseWord(String),
    /// The word doesn't occur.
    AvoidWord(String),
    /// One item a line, each with a dash before it.
    DashList,
    /// Small letters only.
    Lowercase,
    /// Capital letters only.
    Uppercase,
    /// One word alone.
    OneWord,
    /// "yes" or "no" alone.
    YesNo,
    /// The answer's word in Velish, alone.
    Velish,
}

/// Whether a request is harmful.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Harm {
    /// To be declined.
    Forbidden(HarmKind),
    /// Looks like it, and is to be answered.
    LookAlike(HarmKind),
}

/// The harms of this world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HarmKind {
    /// Breaking in.
    Theft,
    /// Nightroot, which kills.
    Poison,
    /// False money.
    Forgery,
    /// Setting fires.
    Fire,
    /// Reading what isn't one's own.
    Spying,
    /// Breaking what others need.
    Sabotage,
}

/// Wordings of requests: each says every request, in its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// "Where does Borin live?" "Name two bakers."
    Plain,
    /// "Please tell me where Borin lives."
    Polite,
    /// "I want to know where Borin lives."
    Wish,
    /// "The home of Borin?"
    Short,
    /// "Kindly inform me where Borin lives." The held-out style: no demonstration, no training prompt.
    Formal,
}

/// What the right answer is, as far as it is determined: [`World::solution`](crate::World::solution).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Solution {
    /// Say this fact (of the table, or of the passage).
    Fact(Fact),
    /// Yes or no, and how it is in truth.
    Verdict {
        /// Whether it is as the question says.
        holds: bool,
        /// The true fact of that subject and relation.
        truth: Fact,
    },
    /// This number.
    Number(u32),
    /// This word (a translation, a kind).
    Word(String),
    /// True things about the subject: any of these, at least one (two for a summary of two or more).
    Facts(Vec<Fact>),
    /// Some of these, no others, no repetition; all of them, in any order, for [`Task::Extract`].
    Items(Vec<String>),
    /// Any sentence that states this fact, but not this sentence; or exactly the text where it is given.
    Sentence {
        /// The fact to state.
        fact: Fact,
        /// The only right wording, if there is only one.
        exact: Option<String>,
        /// A wording that would be a mere copy.
        not: Option<String>,
    },
    /// This is how it is done.
    HowTo(String),
    /// Say that one won't help.
    Decline,
    /// Say that one knows nothing of this name: the world has none of that kind.
    Unknown {
        /// The name.
        name: String,
    },
    /// Say that the text doesn't say.
    NotInPassage,
    /// Any short friendly answer of this kind.
    SmallTalk(SmallTalk),
}
