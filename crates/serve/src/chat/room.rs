//! Conversations of the chat page, in memory: who asked what, and what each model said.

use crate::app::App;
use crate::keys::Caller;
use crate::random;
use record::Message;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Conversations kept; the one that was touched longest ago goes first.
const ROOMS_MAX: usize = 1000;
/// Visitors with a key that are remembered.
const VISITORS_MAX: usize = 1000;
/// Turns of a conversation.
pub(super) const TURNS_MAX: usize = 100;

/// What a person said of two answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The first is better.
    First,
    /// The second is.
    Second,
    /// Neither is better, both will do.
    Tie,
    /// Neither will do.
    BothBad,
}

impl Verdict {
    /// Its name in forms.
    pub fn parse(name: &str) -> Option<Verdict> {
        match name {
            "first" => Some(Verdict::First),
            "second" => Some(Verdict::Second),
            "tie" => Some(Verdict::Tie),
            "both_bad" => Some(Verdict::BothBad),
            _ => None,
        }
    }

    /// Whether neither is better.
    pub fn is_tie(self) -> bool {
        matches!(self, Verdict::Tie | Verdict::BothBad)
    }

    /// Its name in forms, again.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::First => "first",
            Verdict::Second => "second",
            Verdict::Tie => "tie",
            Verdict::BothBad => "both_bad",
        }
    }
}

/// One model's side of a conversation.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// Which model.
    pub model_idx: usize,
    /// Its answers, one a turn.
    pub answers: Vec<String>,
}

/// A conversation with one model, or with two that don't say who they are. Two are compared turn by turn, and what was
/// preferred is what both go on from, so that each comparison is of answers to the same conversation.
#[derive(Clone, Debug, Default)]
pub struct Room {
    /// Its name in addresses: nobody guesses it.
    pub id: String,
    /// Whose it is.
    pub caller: Caller,
    /// One side, or two.
    pub sides: Vec<Side>,
    /// What the person said.
    pub asked: Vec<String>,
    /// Whether its prompts may be kept.
    pub may_collect: bool,
    /// Whether an answer is being written.
    pub is_busy: bool,
    /// What was said of each turn of two answers.
    pub verdicts: Vec<Verdict>,
    /// Whether the person asked who the two are: nothing is compared any more.
    pub is_revealed: bool,
    /// Answers that were flagged, by turn and side.
    pub flagged: Vec<(usize, usize)>,
}

impl Room {
    /// Whether two models are compared.
    pub fn compares(&self) -> bool {
        self.sides.len() > 1
    }

    /// Whether the person must say which answer is better before anything else.
    pub fn awaits_verdict(&self) -> bool {
        self.compares() && !self.is_revealed && self.verdicts.len() < self.n_turns()
    }

    /// The side whose answer the conversation went on from.
    pub fn preferred(&self, turn: usize) -> usize {
        usize::from(self.verdicts.get(turn) == Some(&Verdict::Second))
    }

    /// What the models are asked at a turn: everything before it, and the turn's question.
    pub fn messages(&self, turn: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        for (i, asked) in self.asked.iter().enumerate().take(turn + 1) {
            messages.push(Message::user(asked));
            if i < turn
                && let Some(answer) = self.sides.get(self.preferred(i)).and_then(|side| side.answers.get(i))
            {
                messages.push(Message::assistant(answer));
            }
        }
        messages
    }

    /// Turns that all sides have answered.
    pub fn n_turns(&self) -> usize {
        self.sides.iter().map(|side| side.answers.len()).min().unwrap_or(0)
    }
}

/// Every conversation.
#[derive(Default)]
pub struct Rooms {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    rooms: HashMap<String, Room>,
    /// Names, the one touched last at the end.
    order: VecDeque<String>,
    visitors: HashMap<String, Caller>,
    visitor_order: VecDeque<String>,
}

impl Rooms {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a conversation with one or two models; two are put in an order that a coin decides.
    pub fn open(&self, caller: Caller, mut models: Vec<usize>, may_collect: bool) -> String {
        if models.len() == 2 && random::number() & 1 == 1 {
            models.swap(0, 1);
        }
        let id = random::name();
        let sides = models.into_iter().map(|model_idx| Side { model_idx, answers: Vec::new() }).collect();
        let room = Room { id: id.clone(), caller, sides, may_collect, ..Room::default() };
        let mut kept = self.kept();
        kept.order.push_back(id.clone());
        kept.rooms.insert(id.clone(), room);
        if kept.order.len() > ROOMS_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.rooms.remove(&oldest);
        }
        id
    }

    /// A conversation as it stands.
    pub fn get(&self, id: &str) -> Option<Room> {
        self.kept().rooms.get(id).cloned()
    }

    /// Changes a conversation; `None` when it isn't there.
    pub fn change<T>(&self, id: &str, change: impl FnOnce(&mut Room) -> T) -> Option<T> {
        let mut kept = self.kept();
        if let Some(at) = kept.order.iter().position(|name| name == id)
            && let Some(name) = kept.order.remove(at)
        {
            kept.order.push_back(name);
        }
        kept.rooms.get_mut(id).map(change)
    }

    /// Remembers a visitor who showed a key; the name of the visit, for a cookie.
    pub fn admit(&self, caller: Caller) -> String {
        let visit = random::name();
        let mut kept = self.kept();
        kept.visitors.insert(visit.clone(), caller);
        kept.visitor_order.push_back(visit.clone());
        if kept.visitor_order.len() > VISITORS_MAX
            && let Some(oldest) = kept.visitor_order.pop_front()
        {
            kept.visitors.remove(&oldest);
        }
        visit
    }

    /// Whose visit it is.
    pub fn visitor(&self, visit: &str) -> Option<Caller> {
        self.kept().visitors.get(visit).cloned()
    }
}

/// Marks a conversation as busy as long as it lives.
pub struct Busy {
    app: Arc<App>,
    id: String,
}

impl Busy {
    /// Begins a turn with what the person says; the turn's number, or nothing when one is being answered.
    pub fn begin(app: &Arc<App>, id: &str, text: &str) -> Option<(Busy, usize)> {
        let begun = app.rooms.change(id, |room| {
            if room.is_busy || room.is_revealed || room.awaits_verdict() || room.n_turns() >= TURNS_MAX {
                return None;
            }
            room.is_busy = true;
            // What was asked and never answered whole is forgotten.
            let turn = room.n_turns();
            room.asked.truncate(turn);
            room.sides.iter_mut().for_each(|side| side.answers.truncate(turn));
            room.asked.push(text.to_owned());
            Some(turn)
        });
        begun.flatten().map(|turn| (Busy { app: app.clone(), id: id.to_owned() }, turn))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.app.rooms.change(&self.id, |room| room.is_busy = false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_go_on_from_what_was_preferred() {
        let rooms = Rooms::default();
        let id = rooms.open(Caller::default(), vec![0, 1], false);
        rooms.change(&id, |room| {
            room.asked = vec!["one".into()];
            room.sides[0].answers = vec!["A1".into()];
            room.sides[1].answers = vec!["B1".into()];
        });
        assert!(rooms.get(&id).unwrap().awaits_verdict());
        rooms.change(&id, |room| {
            room.verdicts.push(Verdict::Second);
            room.asked.push("two".into());
        });
        let room = rooms.get(&id).unwrap();
        assert_eq!((room.n_turns(), room.awaits_verdict()), (1, false));
        let expected = vec![Message::user("one"), Message::assistant("B1"), Message::user("two")];
        assert_eq!(room.messages(1), expected);
        assert_eq!(room.messages(0), [Message::user("one")]);
    }

    #[test]
    fn the_oldest_rooms_go_and_those_in_use_stay() {
        let rooms = Rooms::default();
        let open = || rooms.open(Caller::default(), vec![0], false);
        let (used, left) = (open(), open());
        for _ in 2..ROOMS_MAX {
            open();
        }
        rooms.change(&used, |_| ());
        open();
        assert!(rooms.get(&used).is_some() && rooms.get(&left).is_none());
    }

    #[test]
    fn two_models_come_in_either_order() {
        let rooms = Rooms::default();
        let first = |_| rooms.get(&rooms.open(Caller::default(), vec![0, 1], false)).unwrap().sides[0].model_idx;
        let n_swapped: usize = (0..200).map(first).sum();
        // A fair coin is outside of this about once in 10^17.
        assert!((40..160).contains(&n_swapped), "{n_swapped}");
    }
}
