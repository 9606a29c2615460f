//! The differences in words, gains and losses alike.
use crate::compare::Estimate;
use crate::report::{Line, Report, Standing, verdict};
use crate::summary::{number, signed};
use chart::escape;

/// What each step did, a sentence a step.
pub(super) fn list(report: &Report) -> String {
    let to_base = |line: &Line| line.models.iter().find(|cell| cell.model == "sft").and_then(|cell| cell.against_base);
    let of = |model: &'static str| {
        move |line: &Line| line.models.iter().find(|cell| cell.model == model).and_then(|cell| cell.against_sft)
    };
    let mut items = vec![
        format!("<b>SFT against the base:</b> {}", changes(report, &to_base)),
        format!("<b>PPO against SFT:</b> {}", changes(report, &of("ppo"))),
        format!("<b>PPO-ptx against SFT:</b> {}", changes(report, &of("ppo-ptx"))),
    ];
    items.extend(mix(report));
    let items: String = items.iter().map(|item| format!("<li>{item}</li>\n")).collect();
    format!(
        "<ul>\n{items}</ul>\n<p class=\"note\">A change counts where its 95 % interval excludes 0; intervals are over questions, paired, \
         and not adjusted for their number: of twenty where nothing changed, one would.</p>\n"
    )
}

/// Which gold measures and costs changed.
fn changes(report: &Report, of: &dyn Fn(&Line) -> Option<Estimate>) -> String {
    let judged = report.measures.iter().filter(|line| line.better != "neither");
    let mut sides = [("better", Vec::new()), ("worse", Vec::new())];
    let mut neither = Vec::new();
    for line in judged {
        let Some(difference) = of(line) else { continue };
        let found = verdict(&line.better, &difference);
        let text = format!("{} ({})", escape(&line.name), signed(difference.value));
        match sides.iter_mut().find(|(side, _)| *side == found) {
            Some((_, texts)) => texts.push(text),
            None => neither.push(text),
        }
    }
    let mut parts = Vec::new();
    for (side, texts) in &sides {
        if !texts.is_empty() {
            parts.push(format!("<span class=\"{side}\">{side}</span> in {}", texts.join(", ")));
        }
    }
    if !neither.is_empty() {
        parts.push(format!("no difference shown in {}", neither.join(", ")));
    }
    if let Some(reward) = report.measures.iter().find(|line| line.standing == Standing::Objective).and_then(of) {
        parts.push(format!("the proxy reward, which is what was trained on, moved by {}", signed(reward.value)));
    }
    if parts.is_empty() { "nothing to compare.".to_owned() } else { format!("{}.", parts.join("; ")) }
}

/// What the mix did: the tax with and without it, and the KL of both, without which neither can be judged.
fn mix(report: &Report) -> Option<String> {
    let tax = |model: &str| report.cell("text_loss", model)?.against_base;
    let kl = |model: &str| report.cell("kl_sft", model)?.value;
    let (ppo, ptx) = (tax("ppo")?, tax("ppo-ptx")?);
    Some(format!(
        "<b>The pretraining mix:</b> the loss on held-out text is {} nats a token from the base's after PPO and {} after PPO-ptx, \
         at a KL from SFT of {} and {} nats an answer.",
        signed(ppo.value),
        signed(ptx.value),
        number(kl("ppo")?.value),
        number(kl("ppo-ptx")?.value)
    ))
}
