//! The loop: instructions, what kind each is, instances, tasks.
//!
//! A run is a function of its seed, its seeds and the writer's answers: prompts are drawn from named streams, and what
//! is kept depends on nothing else. So there is no state to save beside the answers; resuming replays them.

use endpoint::completion::{CompletionAnswer, CompletionRequest};
use serde::Serialize;
use stdx::{Seed, Stream};
use text::token::Words;

use crate::candidate::{self, Reason, Task};
use crate::filter::{Filter, Judgement, Similarity};
use crate::instance::{self, Instance};
use crate::prompt::{self, Prompts};
use crate::recipe::{Recipe, says_yes};
use crate::writer::{Answers, Asked, Budget, Spent, WriteError, Writer};

/// Instructions shown in a prompt of the paper's, and how many of them the model wrote itself.
const N_SHOWN: usize = 8;
const N_SHOWN_MACHINE: usize = 2;
/// Tasks shown in Alpaca's prompt.
const N_SHOWN_TASKS: usize = 3;

/// How a run is made.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whose recipe.
    pub recipe: Recipe,
    /// Instructions to keep.
    pub target: usize,
    /// Prompts a round; what a round keeps is shown in the next (published: 5).
    pub prompts_per_round: usize,
    /// Rounds in a row that may keep nothing before it gives up.
    pub barren_rounds_max: usize,
    /// Instances of a task at most, chosen at random (published: 5).
    pub max_instances: usize,
    /// ROUGE-L F above which an instruction is dropped.
    pub similarity_max: f64,
    /// Most tokens of an answer to the first prompt; the recipe's own where absent.
    pub max_tokens: Option<usize>,
    /// Ask for classification tasks from classification seeds only.
    pub only_classification: bool,
    /// What counts as a word.
    pub words: Words,
    /// Seed of all streams.
    pub seed: Seed,
    /// What may be spent.
    pub budget: Budget,
}

impl Settings {
    /// The published settings.
    pub fn new(recipe: Recipe, target: usize) -> Settings {
        Settings {
            recipe,
            target,
            prompts_per_round: 5,
            barren_rounds_max: 20,
            max_instances: 5,
            similarity_max: crate::filter::SIMILARITY_MAX,
            max_tokens: None,
            only_classification: false,
            words: Words::Ascii,
            seed: Seed(0),
            budget: Budget::default(),
        }
    }
}

/// A task that is there before the model writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedTask {
    /// What is asked.
    pub instruction: String,
    /// With what, and the answer.
    pub instances: Vec<Instance>,
    /// Whether it is a classification.
    pub is_classification: bool,
}

/// A task that the model wrote.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WrittenTask {
    /// Its place, from 0.
    pub id: String,
    /// What is asked.
    pub instruction: String,
    /// Inputs and outputs.
    pub instances: Vec<Instance>,
    /// What the model said about it; Alpaca doesn't ask.
    pub is_classification: bool,
    /// Always `model`.
    pub source: &'static str,
    /// Mean ROUGE-L F against all seeds and what was kept before.
    pub avg_similarity_score: f64,
    /// The highest.
    pub max_similarity: f64,
    /// Whose that is.
    pub nearest: Option<String>,
    /// The round that wrote it.
    pub request_idx: usize,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub enum Progress {
    /// An answer came.
    Answer(Spent),
    /// So many of the target are kept.
    Kept(usize),
}

/// What a run made.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Tasks with at least one instance, in the order of their making.
    pub tasks: Vec<WrittenTask>,
    /// Every candidate that was judged, in order.
    pub judged: Vec<Judgement>,
    /// Kept instructions without a valid instance.
    pub n_without_instances: usize,
    /// Blocks of Alpaca's answers that aren't tasks, and answers of the paper's that the length limit cut.
    pub n_malformed: usize,
    /// Rounds of the first step.
    pub rounds: usize,
    /// It gave up: so many rounds in a row kept nothing.
    pub gave_up: bool,
}

/// Runs a recipe. On an error, what was answered is kept, and the same call goes on from there.
///
/// # Errors
/// The writer has no answer, the budget is spent, or the person stops it.
pub fn run(
    seeds: &[SeedTask],
    prompts: &Prompts,
    settings: &Settings,
    writer: &mut dyn Writer,
    answers: &mut Answers,
    progress: &mut dyn FnMut(Progress),
) -> Result<Outcome, WriteError> {
    let seeds: Vec<&SeedTask> =
        seeds.iter().filter(|seed| seed.is_classification || !settings.only_classification).collect();
    let shown = if settings.recipe == Recipe::Paper { 1 } else { N_SHOWN_TASKS };
    if seeds.len() < shown || seeds.iter().any(|seed| seed.instances.is_empty()) {
        return Err(WriteError::Wrong(format!(
            "{} seed tasks, expected at least {shown}, each with an instance",
            seeds.len()
        )));
    }
    let mut context = Run { seeds, prompts, settings, writer, answers, progress };
    let kept = context.first_step()?;
    match settings.recipe {
        Recipe::Paper => context.instances_of(kept),
        Recipe::Alpaca => Ok(context.whole_tasks(kept)),
    }
}

struct Run<'a> {
    seeds: Vec<&'a SeedTask>,
    prompts: &'a Prompts,
    settings: &'a Settings,
    writer: &'a mut dyn Writer,
    answers: &'a mut Answers,
    progress: &'a mut dyn FnMut(Progress),
}

/// What the first step kept: instructions, or whole tasks.
#[derive(Default)]
struct Kept {
    tasks: Vec<(Task, Similarity, usize)>,
    outcome: Outcome,
}

impl Run<'_> {
    fn ask(&mut self, requests: &[Asked]) -> Result<Vec<CompletionAnswer>, WriteError> {
        let progress = &mut *self.progress;
        let budget = &self.settings.budget;
        self.answers.of(self.writer, requests, budget, &mut |spent| progress(Progress::Answer(*spent)))
    }

    fn first_step(&mut self) -> Result<Kept, WriteError> {
        let settings = self.settings;
        let instructions = self.seeds.iter().map(|seed| &seed.instruction);
        let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut filter =
            Filter::new(settings.recipe, settings.words, instructions).with(settings.similarity_max, n_threads);
        let mut kept = Kept::default();
        let mut barren = 0;
        while kept.tasks.len() < settings.target {
            let round = kept.outcome.rounds;
            let requests: Vec<Asked> = (0..settings.prompts_per_round.max(1))
                .map(|i| (self.request(&kept, (round * settings.prompts_per_round + i) as u64), round as u64))
                .collect();
            let answers = self.ask(&requests)?;
            let before = kept.tasks.len();
            for answer in &answers {
                self.take(answer, round, &mut filter, &mut kept);
            }
            kept.outcome.rounds += 1;
            (self.progress)(Progress::Kept(kept.tasks.len().min(settings.target)));
            barren = if kept.tasks.len() == before { barren + 1 } else { 0 };
            if barren == settings.barren_rounds_max.max(1) {
                kept.outcome.gave_up = true;
                break;
            }
        }
        kept.tasks.truncate(settings.target);
        Ok(kept)
    }

    fn request(&self, kept: &Kept, index: u64) -> CompletionRequest {
        let mut stream = self.settings.seed.stream("prompt", index);
        let mut request = match self.settings.recipe {
            Recipe::Paper => {
                let machine = sample(kept.tasks.len(), N_SHOWN_MACHINE, &mut stream);
                let human = sample(self.seeds.len(), N_SHOWN - machine.len(), &mut stream);
                let mut shown: Vec<&str> = machine.iter().map(|&i| &kept.tasks[i].0.instruction[..]).collect();
                shown.extend(human.iter().map(|&i| &self.seeds[i].instruction[..]));
                stream.shuffle(&mut shown);
                prompt::instructions(&shown, self.settings.only_classification)
            }
            Recipe::Alpaca => {
                let shown = sample(self.seeds.len(), N_SHOWN_TASKS, &mut stream);
                prompt::tasks(&shown.iter().map(|&i| first_task(self.seeds[i])).collect::<Vec<_>>())
            }
        };
        if let Some(max_tokens) = self.settings.max_tokens {
            request.max_tokens = max_tokens;
        }
        request
    }

    /// Judges what an answer holds.
    fn take(&self, answer: &CompletionAnswer, round: usize, filter: &mut Filter, kept: &mut Kept) {
        let tasks: Vec<Task> = match self.settings.recipe {
            Recipe::Paper => {
                kept.outcome.n_malformed += usize::from(answer.cut);
                let instructions = candidate::instructions(&answer.text, answer.cut).into_iter();
                let bare = |instruction: &str| Task {
                    instruction: instruction.to_owned(),
                    input: String::new(),
                    output: String::new(),
                };
                instructions.map(bare).collect()
            }
            Recipe::Alpaca => {
                let (tasks, n_malformed) = candidate::tasks(&answer.text, N_SHOWN_TASKS, answer.cut);
                kept.outcome.n_malformed += n_malformed;
                tasks
            }
        };
        for task in tasks {
            let judgement = filter.judge(&task.instruction);
            if judgement.kept {
                let instruction = judgement.instruction.clone();
                let similarity = judgement.similarity.clone().unwrap_or_default();
                kept.tasks.push((Task { instruction, ..task }, similarity, round));
            }
            kept.outcome.judged.push(judgement);
        }
    }

    /// Steps 2 to 4 of the paper.
    fn instances_of(&mut self, kept: Kept) -> Result<Outcome, WriteError> {
        let questions: Vec<_> =
            kept.tasks.iter().map(|(task, ..)| (self.prompts.classification(&task.instruction), 0)).collect();
        let kinds: Vec<bool> = self.ask(&questions)?.iter().map(|answer| says_yes(&answer.text)).collect();
        let requests: Vec<_> = kept
            .tasks
            .iter()
            .zip(&kinds)
            .map(|((task, ..), &kind)| (self.prompts.instances(&task.instruction, kind), 0))
            .collect();
        let answers = self.ask(&requests)?;
        let mut outcome = kept.outcome;
        for (i, ((task, similarity, round), (answer, kind))) in
            kept.tasks.into_iter().zip(answers.iter().zip(kinds)).enumerate()
        {
            let mut instances = instance::parse(&answer.text, kind, answer.cut).instances;
            let mut stream = self.settings.seed.stream("instances", i as u64);
            instance::sample(&mut instances, self.settings.max_instances, &mut stream);
            outcome.add(task.instruction, instances, kind, similarity, round);
        }
        Ok(outcome)
    }

    /// Alpaca: one instance each, as it came.
    fn whole_tasks(&self, kept: Kept) -> Outcome {
        let mut outcome = kept.outcome;
        for (task, similarity, round) in kept.tasks {
            let instances = match task.output.is_empty() {
                true => Vec::new(),
                false => vec![Instance { input: task.input, output: task.output }],
            };
            outcome.add(task.instruction, instances, false, similarity, round);
        }
        outcome
    }
}

impl Outcome {
    fn add(
        &mut self,
        instruction: String,
        instances: Vec<Instance>,
        is_classification: bool,
        similarity: Similarity,
        request_idx: usize,
    ) {
        if instances.is_empty() {
            self.n_without_instances += 1;
            return;
        }
        self.tasks.push(WrittenTask {
            id: format!("model-{}", self.tasks.len()),
            instruction,
            instances,
            is_classification,
            source: "model",
            avg_similarity_score: similarity.avg,
            max_similarity: similarity.max,
            nearest: similarity.nearest,
            request_idx,
        });
    }

    /// How many candidates were dropped, by reason.
    pub fn dropped(&self) -> Vec<(Reason, usize)> {
        let count = |reason: &Reason| self.judged.iter().filter(|judgement| judgement.reason == Some(*reason)).count();
        Reason::ALL.iter().map(|reason| (*reason, count(reason))).filter(|(_, n)| *n > 0).collect()
    }
}

fn first_task(seed: &SeedTask) -> Task {
    let Instance { input, output } = seed.instances[0].clone();
    Task { instruction: seed.instruction.clone(), input, output }
}

/// At most `n` different places below `length`, in random order.
fn sample(length: usize, n: usize, stream: &mut Stream) -> Vec<usize> {
    let mut places: Vec<usize> = (0..length).collect();
    stream.shuffle(&mut places);
    places.truncate(n);
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::tests::Scripted;

    fn seeds() -> Vec<SeedTask> {
        let words = ["sea", "bread", "rain", "clock", "violin", "garden", "winter", "bridge", "candle"];
        let seed = |(i, word): (usize, &&str)| SeedTask {
            instruction: format!("Write about the {word} in {i} different styles"),
            instances: vec![Instance { input: String::new(), output: format!("The {word}.") }],
            is_classification: i.is_multiple_of(3),
        };
        words.iter().enumerate().map(seed).collect()
    }

    /// Words that differ from prompt to prompt.
    fn fresh(prompt: &str) -> String {
        let hash = stdx::hash::bytes(prompt.as_bytes());
        let word = |i: usize| format!("w{}", &hash[4 * i..4 * i + 4]);
        (0..6).map(word).collect::<Vec<_>>().join(" ")
    }

    fn answer_paper(prompt: &str) -> String {
        if prompt.starts_with("Come up with") {
            format!(" {}\n10. Draw a circle now please\n11. {}", fresh(prompt), fresh(&format!("{prompt}x")))
        } else if prompt.ends_with("Is it classification?") {
            if stdx::hash::bytes(prompt.as_bytes()).as_bytes()[0].is_multiple_of(2) {
                " Yes".into()
            } else {
                " No".into()
            }
        } else if prompt.starts_with("For each classification") {
            "Class label: a\nText: x\nClass label: b\nText: y".into()
        } else {
            "Example 1\nInput: x\nOutput: y".into()
        }
    }

    fn finish(fails_after: usize, settings: &Settings, path: &std::path::Path) -> (Result<Outcome, WriteError>, usize) {
        let answer = |prompt: &str| match settings.recipe {
            Recipe::Paper => answer_paper(prompt),
            Recipe::Alpaca => {
                format!(" {}\n4. Input:\n<noinput>\n4. Output:\nfine\n###\n5. Instruction: broken", fresh(prompt))
            }
        };
        let mut writer = Scripted { answer, fails_after, asked: 0 };
        let mut answers = Answers::open(path).expect("answers");
        let outcome = run(&seeds(), &Prompts::default(), settings, &mut writer, &mut answers, &mut |_| {});
        (outcome, writer.asked)
    }

    #[test]
    fn stopped_anywhere_and_resumed_it_makes_the_same_tasks_and_asks_nothing_twice() {
        for recipe in [Recipe::Paper, Recipe::Alpaca] {
            let settings = Settings { seed: Seed(4), ..Settings::new(recipe, 9) };
            let dir = tempfile::tempdir().expect("temporary folder");
            let (whole, n_asked) = finish(usize::MAX, &settings, &dir.path().join("whole.jsonl"));
            let whole = whole.expect("finished");
            assert_eq!(whole.tasks.len(), 9, "{whole:?}");
            for stop in 0..n_asked {
                let path = dir.path().join(format!("{stop}.jsonl"));
                let (stopped, first) = finish(stop, &settings, &path);
                assert!(matches!(stopped, Err(WriteError::Missing(_))));
                let (resumed, second) = finish(usize::MAX, &settings, &path);
                assert_eq!(resumed.expect("finished").tasks, whole.tasks);
                assert_eq!(first + second, n_asked);
            }
        }
    }

    #[test]
    fn the_paper_drops_counts_and_asks_for_instances() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let settings = Settings::new(Recipe::Paper, 7);
        let (outcome, _) = finish(usize::MAX, &settings, &dir.path().join("a.jsonl"));
        let outcome = outcome.expect("finished");
        assert!(
            outcome.dropped().iter().any(|(reason, n)| *reason == Reason::Keyword && *n >= 5),
            "{:?}",
            outcome.dropped()
        );
        let classification = outcome.tasks.iter().find(|task| task.is_classification).expect("one");
        assert_eq!(classification.instances.len(), 2);
        assert_eq!(outcome.tasks.iter().find(|task| !task.is_classification).expect("one").instances[0].input, "x");
    }

    #[test]
    fn a_model_that_repeats_itself_is_given_up() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let settings = Settings { barren_rounds_max: 3, ..Settings::new(Recipe::Paper, 50) };
        let mut writer = Scripted {
            answer: |prompt: &str| {
                if prompt.starts_with("Come") { " Say the very same thing again".into() } else { answer_paper(prompt) }
            },
            fails_after: usize::MAX,
            asked: 0,
        };
        let mut answers = Answers::open(&dir.path().join("a.jsonl")).expect("answers");
        let outcome =
            run(&seeds(), &Prompts::default(), &settings, &mut writer, &mut answers, &mut |_| {}).expect("ends");
        assert!(outcome.gave_up);
        assert_eq!((outcome.rounds, outcome.tasks.len()), (4, 1));
    }

    #[test]
    fn too_few_seeds_are_refused() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut answers = Answers::open(&dir.path().join("a.jsonl")).expect("answers");
        let mut writer = Scripted { answer: |_: &str| String::new(), fails_after: 0, asked: 0 };
        let error = run(
            &seeds()[..2],
            &Prompts::default(),
            &Settings::new(Recipe::Alpaca, 1),
            &mut writer,
            &mut answers,
            &mut |_| {},
        );
        assert!(error.expect_err("refused").to_string().contains("2 seed tasks, expected at least 3"));
    }
}
