//! The judgements' sections, one a source.

use super::{HeldOut, ModelVerdict, VerdictPart, Verdicts};
use crate::report::FEW;
use crate::report::Report;
use crate::report::block::Section;
use crate::report::measured::{Measured, shown};
use crate::report::strength;
use chart::{Axis, Dot, DotPlot, Figure, Group, Look, Point, Series};
use std::collections::BTreeSet;

/// What a source is called in headings.
pub(in crate::report) fn title(source: &str) -> &str {
    match source {
        "human" => "people",
        "simulated" => "simulated labelers",
        "model" => "a model as judge",
        "" => "judges whose rows name no source",
        other => other,
    }
}

/// A section a source; one that says n = 0 where people said nothing.
pub(in crate::report) fn sections(report: &Report) -> Vec<Section> {
    let mut sections: Vec<Section> = report.verdicts.iter().map(|verdicts| section(report, verdicts)).collect();
    if !report.verdicts.iter().any(|verdicts| verdicts.source == "human") {
        let mut people = Section::new("Preferred by people");
        people.text(
            "n = 0: these evaluations hold no judgements of people. Let them rank the models' answers to the same prompts, \
             sources hidden (`helpmate label serve`), export what they said (`helpmate label export PROJECT --out \
             rankings.jsonl`), and give it: `helpmate eval report … --judgements rankings.jsonl`.",
        );
        sections.push(people);
    }
    sections
}

fn section(report: &Report, verdicts: &Verdicts) -> Section {
    let mut section = Section::new(&format!("Preferred by {}", title(&verdicts.source)));
    let Verdicts { judgements, prompts, labelers, models, .. } = verdicts;
    let who = if *labelers == 0 { "nobody named".to_owned() } else { format!("{labelers} labelers") };
    section.text(format!("n = {judgements} judgements of {prompts} prompts by {who}."));
    if verdicts.without_model > 0 {
        let n = verdicts.without_model;
        section.text(format!(
            "{n} answers have neither `origin` nor `model`: nobody knows who wrote them, and they count nowhere."
        ));
    }
    if models.is_empty() {
        return section;
    }
    section.figures(figures(report, verdicts));
    let baseline = verdicts.baseline.as_deref().unwrap_or("none");
    let against = format!("win rate against {baseline}");
    let head = [
        "model",
        "parameters",
        "rating, 1 to 7",
        "the same, labeler-centred",
        &against,
        "won / tied / lost",
        "the win rate at equal lengths",
        "strength, Elo points",
    ];
    section.table(&head, models.iter().map(|model| row(model, baseline)).collect());
    if let Some(why) = &verdicts.no_strengths {
        section.text(format!("Strengths (Bradley–Terry with ties): can't say; {why}."));
    }
    if let Some(longer) = &verdicts.longer_wins {
        section.text(format!("The longer of two answers is preferred in {longer} of comparisons, ties half; ½ would be no liking for length."));
    }
    flags(&mut section, verdicts);
    held_out(&mut section, verdicts);
    for field in verdicts.parts.iter().map(|part| part.field.as_str()).collect::<BTreeSet<_>>() {
        let parts: Vec<&VerdictPart> = verdicts.parts.iter().filter(|part| part.field == field).collect();
        by_part(&mut section, verdicts, field, &parts);
    }
    section.note(
        "Intervals are of 95 % by bootstrap over prompts, of which n says how many: what people say of one prompt isn't \
         independent. A win rate counts every pair of an answer of the model and one of the baseline in one ranking, 1 won, ½ \
         tied, 0 lost. At equal lengths: what it would be if both answers had as many characters (length-controlled, arXiv \
         2404.04475, without instruction difficulties). Labeler-centred: less each labeler's mean, plus everybody's. Strengths: Davidson's model of ties, \
         400 points are odds of 10 to 1.",
    );
    section
}

fn row(model: &ModelVerdict, baseline: &str) -> Vec<String> {
    let ratings = |found: &Option<Measured>| match found {
        Some(found) => format!("{found}; {} ratings", model.ratings),
        None => "n = 0".to_owned(),
    };
    let win_rate = match &model.win_rate {
        _ if model.model == baseline => "the baseline".to_owned(),
        Some(found) => format!("{found}; {} comparisons", model.comparisons),
        None => "n = 0".to_owned(),
    };
    let is_baseline = model.model == baseline;
    let [won, tied, lost] = model.strict;
    let strict =
        if is_baseline || model.comparisons == 0 { "–".to_owned() } else { format!("{won} / {tied} / {lost}") };
    let at_equal_lengths = if is_baseline { "–".to_owned() } else { shown(model.length_controlled.as_ref()) };
    let strength = strength::shown(model.strength.as_ref());
    let parameters =
        model.parameters.map_or_else(|| "not told".to_owned(), |n| format!("{:.2} million", n as f64 / 1e6));
    vec![
        model.model.clone(),
        parameters,
        ratings(&model.rating),
        ratings(&model.centred),
        win_rate,
        strict,
        at_equal_lengths,
        strength,
    ]
}

/// Shares of yes to each question.
fn flags(section: &mut Section, verdicts: &Verdicts) {
    let names: BTreeSet<&String> = verdicts.models.iter().flat_map(|model| model.flags.keys()).collect();
    let mut head = vec!["share of yes".to_owned()];
    head.extend(verdicts.models.iter().map(|model| model.model.clone()));
    let row = |name: &&String| {
        let mut cells = vec![name.replace('_', " ")];
        cells.extend(verdicts.models.iter().map(|model| shown(model.flags.get(*name))));
        cells
    };
    section.table(&head, names.iter().map(row).collect());
}

fn held_out(section: &mut Section, verdicts: &Verdicts) {
    let is_told = verdicts.parts.iter().any(|part| part.field == "group");
    if verdicts.held_out.is_empty() {
        let why = if is_told { "say which with `--held-out-group NAME`" } else { "the rows name no groups" };
        section.text(format!("Held-out labelers against training labelers: n = 0; {why}."));
        return;
    }
    section.heading("Held-out labelers against training labelers");
    let row = |of: &HeldOut, name: &str, [held, seen, difference]: &[Option<Measured>; 3]| {
        let difference = difference.as_ref().map_or_else(|| "can't say".to_owned(), Measured::signed);
        vec![format!("{}: {name}", of.model), shown(held.as_ref()), shown(seen.as_ref()), difference]
    };
    let mut rows = Vec::new();
    for of in &verdicts.held_out {
        if of.win_rate.iter().any(Option::is_some) {
            rows.push(row(of, "win rate", &of.win_rate));
        }
        if of.rating.iter().any(Option::is_some) {
            rows.push(row(of, "rating", &of.rating));
        }
    }
    section.table(&["model", "held-out groups", "the other groups", "difference"], rows);
}

fn by_part(section: &mut Section, verdicts: &Verdicts, field: &str, parts: &[&VerdictPart]) {
    let has_wins = parts.iter().flat_map(|part| &part.models).any(|found| found.1.is_some());
    let what = if has_wins { "Win rate" } else { "Rating" };
    section.heading(format!("{what} by {}", field.replace('_', " ")));
    let shows = |model: &&ModelVerdict| !has_wins || Some(&model.model) != verdicts.baseline.as_ref();
    let mut head = vec![field.replace('_', " "), "judgements".to_owned()];
    head.extend(verdicts.models.iter().filter(shows).map(|model| model.model.clone()));
    let row = |part: &&VerdictPart| {
        let few = if part.judgements < FEW { " (few)" } else { "" };
        let mut cells = vec![part.name.clone(), format!("{}{few}", part.judgements)];
        let own = verdicts.models.iter().zip(&part.models).filter(|(model, _)| shows(model));
        cells.extend(own.map(|(_, (rating, win_rate))| shown(if has_wins { win_rate } else { rating }.as_ref())));
        cells
    };
    section.table(&head, parts.iter().map(row).collect());
}

/// Win rates and ratings, over size where several sizes are known.
fn figures(report: &Report, verdicts: &Verdicts) -> Vec<String> {
    let of =
        |name: &str, title: &str, axis: &str, reference: Option<f64>, of: fn(&ModelVerdict) -> Option<Measured>| {
            let sizes: BTreeSet<u64> =
                verdicts.models.iter().filter(|m| of(m).is_some()).filter_map(|m| m.parameters).collect();
            if sizes.len() > 1 {
                by_size(report, verdicts, title, axis, of)
            } else {
                dots(verdicts, name, title, axis, reference, of)
            }
        };
    let baseline = verdicts.baseline.as_deref().unwrap_or("none");
    vec![
        of("win rate", &format!("Win rate against {baseline}"), "win rate, ties half", Some(0.5), |model| {
            model.win_rate
        }),
        of("rating", "Mean rating", "rating, 1 to 7", None, |model| model.rating),
    ]
}

fn dots(
    verdicts: &Verdicts,
    name: &str,
    title: &str,
    axis: &str,
    reference: Option<f64>,
    of: fn(&ModelVerdict) -> Option<Measured>,
) -> String {
    let group = |model: &ModelVerdict| {
        let found = of(model)?;
        Some(Group { name: model.model.clone(), dots: vec![Some(Dot { value: found.value, interval: found.ends() })] })
    };
    let groups: Vec<Group> = verdicts.models.iter().filter_map(group).collect();
    if groups.is_empty() {
        return String::new();
    }
    let (title, axis, series) = (title.to_owned(), Axis::new(axis), vec![(name.to_owned(), 0)]);
    DotPlot { title, axis, series, groups, reference }.to_html()
}

fn by_size(
    report: &Report,
    verdicts: &Verdicts,
    title: &str,
    axis: &str,
    of: fn(&ModelVerdict) -> Option<Measured>,
) -> String {
    let role = |model: &ModelVerdict| {
        let at = report.models.iter().position(|own| own.model.name == model.model)?;
        report.roles.get(at).copied()
    };
    let roles: BTreeSet<_> = verdicts.models.iter().filter_map(role).collect();
    let series = roles.into_iter().map(|own| {
        let of_role = verdicts.models.iter().filter(|model| role(model) == Some(own));
        let point = |model: &ModelVerdict| {
            let found = of(model)?;
            Some(Point { x: model.parameters? as f64, y: found.value, interval: found.ends() })
        };
        let mut points: Vec<Point> = of_role.filter_map(point).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series::new(own.name(), Look::MarkedLine, own.colour(), points)
    });
    let (x, y) = (Axis::new("parameters").log(), Axis::new(axis));
    Figure { title: title.to_owned(), x, y, series: series.collect() }.to_html()
}
