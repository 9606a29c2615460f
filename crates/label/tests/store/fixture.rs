//! A fresh store with a clock that the test moves, and shorthands.

use label::{
    Actor, Assignment, Body, Clock, Id, MakeTasks, NewCandidate, NewPerson, NewPrompt, Next, OpenOptions, PasswordCost,
    Person, Place, Project, Role, Settings, Store, Submission, Submitted, TaskKind,
};
use record::Prompt;

/// Saturday, 2026-11-21 10:00 UTC.
pub const START_MS: i64 = 1_795_255_200_000;
pub const MINUTE: i64 = 60_000;

pub struct Fixture {
    pub store: Store,
    pub clock: Clock,
    /// How to open it again.
    pub address: String,
    /// Temporary files of the test.
    pub folder: tempfile::TempDir,
}

pub fn options(clock: &Clock) -> OpenOptions {
    OpenOptions { password_cost: PasswordCost::Least, clock: clock.clone(), ..OpenOptions::default() }
}

impl Fixture {
    pub fn sqlite() -> Fixture {
        let folder = tempfile::tempdir().expect("temporary folder");
        let address = folder.path().join("labels.db").display().to_string();
        Fixture::open(address, folder)
    }

    pub fn open(address: String, folder: tempfile::TempDir) -> Fixture {
        let clock = Clock::manual(START_MS);
        let store = Store::open(&address, &options(&clock)).expect("open");
        Fixture { store, clock, address, folder }
    }

    pub fn person(&self, name: &str, role: Role) -> Person {
        let new = NewPerson {
            name: name.to_owned(),
            password: Some(format!("{name} password")),
            role,
            group: "training".to_owned(),
        };
        self.store.add_person(Actor::Operator, &new).expect("person")
    }

    pub fn labeler(&self, name: &str) -> Id {
        self.person(name, Role::Labeler).id
    }

    /// A project whose tasks ask for nothing but an order.
    pub fn project(&self, settings: &str) -> Project {
        let settings = Settings::from_toml(&format!("field = []\n{settings}")).expect("settings");
        self.store.create_project(Actor::Operator, "p", &settings).expect("project")
    }

    pub fn prompt(&self, project: &Project, text: &str, answers: &[&str]) -> (Id, Vec<Id>) {
        let new = NewPrompt::new(Prompt::Text(text.to_owned()));
        let added = self.store.add_prompts(Actor::Operator, project.id, &[new]).expect("prompt");
        let prompt = added.ids[0].expect("under the limit");
        let new: Vec<NewCandidate> =
            answers.iter().map(|text| NewCandidate { origin: "model-a".into(), ..NewCandidate::new(*text) }).collect();
        (prompt, self.store.add_candidates(Actor::Operator, prompt, &new).expect("candidates"))
    }

    pub fn make(&self, project: &Project, kind: TaskKind) -> usize {
        self.store.make_tasks(Actor::Operator, project.id, &MakeTasks::of(kind)).expect("tasks")
    }

    /// The next task, which must be there.
    #[track_caller]
    pub fn take(&self, person: Id, project: &Project) -> Assignment {
        match self.store.next_task(person, project.id, &[]).expect("next") {
            Next::Task(task) => *task,
            other => panic!("expected a task, found {other:?}"),
        }
    }

    pub fn next(&self, person: Id, project: &Project) -> Next {
        self.store.next_task(person, project.id, &[]).expect("next")
    }

    /// Submits under a name of the lease.
    pub fn submit(&self, person: Id, task: &Assignment, body: Body) -> label::Result<Submitted> {
        self.store.submit(person, &submission(task, &format!("s-{}", &task.lease[..16]), body))
    }

    /// Takes the next task and ranks its answers by the order of `best_first`; answers in one text are ties.
    #[track_caller]
    pub fn rank(&self, person: Id, project: &Project, best_first: &[&str]) -> Submitted {
        let task = self.take(person, project);
        let body = ranked(&task, best_first);
        self.submit(person, &task, body).expect("submitted")
    }
}

pub fn submission(task: &Assignment, name: &str, body: Body) -> Submission {
    Submission { lease: task.lease.clone(), submission: name.to_owned(), body, seconds: Some(30.0) }
}

/// A ranking by the answers' texts, each entry a rank: `&["b", "a c"]` puts b first, a and c behind it.
pub fn ranked(task: &Assignment, best_first: &[&str]) -> Body {
    let rank = |text: &str| best_first.iter().position(|texts| texts.split(' ').any(|one| one == text));
    let places = task
        .answers
        .iter()
        .filter_map(|answer| Some(Place { candidate: answer.candidate, rank: rank(&answer.text)? as u32 + 1 }));
    Body::Rank { places: places.collect(), all_bad: false, ratings: Vec::new(), notes: String::new() }
}
