//! The test before the work: agreement with known answers decides who gets ordinary tasks.

use crate::agreement::body_agreement;
use crate::database::{Transaction, values};
use crate::{Body, Id, Project, Result, judgement};

/// A person's agreement with the test's answers, and whether it passed; nothing before the test is done.
pub(crate) fn result(transaction: &mut Transaction<'_>, project: Id, person: Id) -> Result<Option<(f64, bool)>> {
    let sql = "SELECT agreement, passed FROM qualification WHERE project_id = ?1 AND person_id = ?2";
    let row = transaction.row(sql, values![project, person])?;
    Ok(row.map(|row| (row.real(0), row.is_set(1))))
}

/// Decides when the last item of the test was done (items skipped count as wrong).
pub(crate) fn decide(transaction: &mut Transaction<'_>, project: &Project, person: Id, now: i64) -> Result<()> {
    let sql = "SELECT t.id, t.gold, b.body, l.id FROM task t \
               LEFT JOIN lease l ON l.task_id = t.id AND l.person_id = ?2 AND l.state IN ('submitted', 'skipped') \
               LEFT JOIN judgement j ON j.task_id = t.id AND j.person_id = ?2 \
               LEFT JOIN judgement_body b ON b.judgement_id = j.id \
               WHERE t.project_id = ?1 AND t.purpose = 'qualification' AND t.state = 'open' ORDER BY t.id";
    let items = transaction.rows(sql, values![project.id, person])?;
    if items.is_empty() || items.iter().any(|row| row.optional_integer(3).is_none()) {
        return Ok(());
    }
    let mut agreements = Vec::new();
    for row in &items {
        let task = row.integer(0);
        let Some(said) = row.optional_text(2) else {
            agreements.push(0.0);
            continue;
        };
        let (gold, said): (Body, Body) = (judgement::parse(&row.text(1), task)?, judgement::parse(&said, task)?);
        let sql = "SELECT candidate_id FROM task_candidate WHERE task_id = ?1 ORDER BY place";
        let candidates: Vec<Id> = transaction.rows(sql, values![task])?.iter().map(|row| row.integer(0)).collect();
        agreements.extend(body_agreement(&said, &gold, &candidates));
    }
    if agreements.is_empty() {
        return Ok(());
    }
    let agreement = agreements.iter().sum::<f64>() / agreements.len() as f64;
    let passed = agreement >= project.settings.qualification.agreement_min;
    let sql = "INSERT INTO qualification (project_id, person_id, passed, agreement, decided_ms) \
               VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (project_id, person_id) DO UPDATE \
               SET passed = excluded.passed, agreement = excluded.agreement, decided_ms = excluded.decided_ms";
    transaction.change(sql, values![project.id, person, passed, agreement, now])?;
    Ok(())
}
