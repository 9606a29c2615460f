//! What must hold of a task's items before a model is asked, and of its scores before they are counted.

use crate::item::{Ask, Item};
use crate::metric::Score;
use crate::{EvalError, Task};
use std::collections::HashSet;

/// Refuses no items, two items of one id, empty prompts, and questions without choices.
pub fn items(task: &dyn Task, items: &[Item]) -> Result<(), EvalError> {
    if items.is_empty() {
        return Err(EvalError::NoItems { task: task.name().to_owned() });
    }
    let mut seen = HashSet::new();
    for item in items {
        let wrong = |problem: &str| {
            Err(EvalError::Item { task: task.name().to_owned(), id: item.id.clone(), problem: problem.to_owned() })
        };
        if !seen.insert(&item.id) {
            return wrong("the id stands twice, expected once");
        }
        match &item.ask {
            Ask::Choices { continuations, .. } if continuations.is_empty() => return wrong("no choices"),
            Ask::Choices { continuations, .. } if continuations.iter().any(|c| c.trim().is_empty()) => {
                return wrong("an empty choice");
            }
            Ask::Text { text } if text.is_empty() => return wrong("an empty text"),
            _ => {}
        }
    }
    Ok(())
}

/// Refuses scores that aren't numbers, and metrics that the task doesn't declare.
pub fn scores(task: &dyn Task, id: &str, scores: &[Score]) -> Result<(), EvalError> {
    for Score { metric, value, weight } in scores {
        assert!(task.metrics().iter().any(|m| m.name == metric), "{}: undeclared metric {metric}", task.name());
        if let Some(&found) = [value, weight].into_iter().find(|number| !number.is_finite()) {
            let (task, id, metric) = (task.name().to_owned(), id.to_owned(), metric.clone());
            return Err(EvalError::NotANumber { task, id, metric, found });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_are_no_numbers_are_told_by_task_item_and_metric() {
        let task = crate::task::find("multiple_choice").unwrap();
        assert!(scores(task, "a", &[Score::yes("acc", true)]).is_ok());
        for (value, weight) in [(f64::NAN, 1.0), (f64::INFINITY, 1.0), (1.0, f64::NAN)] {
            let error = scores(task, "q7", &[Score::weighted("acc", value, weight)]).unwrap_err().to_string();
            assert!(error.starts_with("task multiple_choice, item q7: acc is "), "{error}");
            assert!(error.ends_with("expected a finite number"), "{error}");
        }
    }
}
