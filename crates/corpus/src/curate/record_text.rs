//! The text in records.

use record::{Demonstration, Message, Prompt, Record};

/// Calls `with` with every piece of text.
pub(super) fn for_each_text(record: &mut Record, with: &mut impl FnMut(&mut String)) {
    fn messages(messages: &mut [Message], with: &mut impl FnMut(&mut String)) {
        messages.iter_mut().for_each(|message| with(&mut message.content));
    }
    fn prompt(prompt: &mut Prompt, with: &mut impl FnMut(&mut String)) {
        match prompt {
            Prompt::Text(text) => with(text),
            Prompt::Messages(list) => messages(list, with),
        }
    }
    match record {
        Record::Text(text) => with(text),
        Record::Prompt(own) => prompt(own, with),
        Record::Demonstration(Demonstration::Completion { prompt: own, completion }) => {
            prompt(own, with);
            with(completion);
        }
        Record::Demonstration(Demonstration::Conversation { messages: own }) => messages(own, with),
        Record::Preference(preference) => {
            prompt(&mut preference.prompt, with);
            with(&mut preference.chosen);
            with(&mut preference.rejected);
        }
        Record::Ranking(ranking) => {
            prompt(&mut ranking.prompt, with);
            ranking.completions.iter_mut().for_each(|completion| with(&mut completion.text));
        }
        Record::Unpaired(unpaired) => {
            prompt(&mut unpaired.prompt, with);
            with(&mut unpaired.completion);
        }
    }
}

/// All text of a record, a line break between its pieces.
pub fn whole_text(record: &Record) -> String {
    let mut pieces = Vec::new();
    for_each_text(&mut record.clone(), &mut |text| pieces.push(std::mem::take(text)));
    pieces.join("\n")
}

/// What is asked; of running text the text.
pub fn prompt_text(record: &Record) -> String {
    match (record, record.prompt()) {
        (Record::Text(text), _) => text.clone(),
        (_, Some(Prompt::Text(text))) => text,
        (_, Some(Prompt::Messages(messages))) => {
            messages.iter().map(|message| &message.content[..]).collect::<Vec<_>>().join("\n")
        }
        (_, None) => String::new(),
    }
}
