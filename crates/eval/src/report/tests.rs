use super::*;
use fixture::{model, report};

#[test]
fn what_got_worse_stands_as_plainly_as_what_got_better() {
    let report = report(vec![model("base", "h", 40, 30), model("sft", "h", 40, 10)]);
    let html = report.to_html();
    let worse = html.find("What got worse").unwrap();
    let better = html.find("What got better").unwrap();
    assert!(worse < better);
    assert!(html[worse..better].contains("instructions/prompt_loose") && html[worse..better].contains("-0.5000 ["));
    assert!(html[better..].contains("Nothing beyond its 95 % interval"));
    let markdown = report.to_markdown();
    assert!(markdown.contains("| instructions/prompt_loose | sft | 0.7500 | 0.2500 | -0.5000 ["), "{markdown}");
    assert!(markdown.contains("n = 40"));
}

#[test]
fn a_page_is_whole_escaped_and_says_what_is_missing() {
    let html = report(vec![model("base", "h", 40, 30), model("b", "h", 40, 31)]).to_html();
    assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
    assert!(
        !html.contains("Question <0>") && html.contains("Question &lt;0&gt;?") && html.contains("read &lt;this&gt;")
    );
    // No n is missing, nothing is fetched.
    assert!(
        html.contains("n = 0: these evaluations hold no judgements of people")
            && !html.contains("http://")
            && !html.contains("src=")
    );
    assert!(html.contains("<mark>b </mark>"), "words that the first model doesn't say are marked");
    assert!(html.contains("all 40 items were written by a language model"));
    assert!(html.contains("would be seen four times in five"));
    assert!(html.contains("Still makes simple mistakes") && html.contains("item-31"));
}

#[test]
fn different_items_are_told_of_and_names_kept_apart() {
    let report = report(vec![model("base", "h", 40, 30), model("base", "other", 20, 10)]);
    assert_eq!(report.models[1].model.name, "base-2");
    assert!(report.comparisons.is_empty());
    assert!(report.limits.iter().any(|limit| limit.contains("different items")), "{:?}", report.limits);
    assert!(report.limits.iter().any(|limit| limit.contains("20 items only")));
    assert!(Report::new(String::new(), Material::default()).is_err());
}

/// A base, a run that began as it, and a run that began as that, on disk.
fn runs() -> (tempfile::TempDir, ModelResult) {
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str, weights: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("model.safetensors"), weights).unwrap();
        run::lineage::Hashed::of(&path).unwrap()
    };
    let write = |run: &str, lineage: &run::Lineage| {
        let text = serde_json::to_string(lineage).unwrap();
        std::fs::write(folder.path().join(run).join("lineage.json"), text).unwrap();
    };
    // Paths as they are told by runs that were started in the folder itself.
    let inside = |hashed: run::lineage::Hashed| run::lineage::Hashed {
        path: hashed.path.strip_prefix(folder.path()).unwrap().to_path_buf(),
        ..hashed
    };
    let base = inside(place("base", "weights"));
    let sft = inside(place("sft/final", "tuned"));
    place("ppo/final", "reinforced");
    let mut first = fixture::lineage("sft", base);
    first.source.source = "hf:org/base".into();
    first.source.note = "dequantised".into();
    write("sft", &first);
    write("ppo", &fixture::lineage("ppo", sft));
    let mut model = model("ppo", "h", 40, 10);
    model.model.path = folder.path().join("ppo/final").display().to_string();
    let text = std::fs::read_to_string(folder.path().join("ppo/lineage.json")).unwrap();
    model.model.lineage = serde_json::from_str(&text).unwrap();
    (folder, model)
}

#[test]
fn a_card_says_where_a_model_comes_from_and_what_got_worse() {
    let (folder, ppo) = runs();
    let report = report(vec![model("start", "h", 40, 30), ppo]);
    let card = report.card(None).unwrap();
    assert!(card.starts_with("---\nbase_model: \"hf:org/base\"\ntags:\n- helpmate\n---\n\n# ppo\n"), "{card}");
    assert!(card.contains("made by `helpmate ppo`") && card.contains("dequantised"), "{card}");
    let (sft, ppo) = (card.find("| sft | base (`").unwrap(), card.find("| ppo | sft/final (`").unwrap());
    assert!(
        sft < ppo && card.contains("data.jsonl (`feedfacecafe`)") && card.contains("`base`, the base: no run"),
        "{card}"
    );
    assert!(card.contains("| instructions, version 1 | prompt_loose | more | 0.2500 ["), "{card}");
    assert!(
        card.contains("## What got worse\n") && card.contains("| instructions/prompt_loose | ppo | 0.7500 |"),
        "{card}"
    );
    assert!(card.contains("n = 0: nobody judged its answers") && card.contains("what people prefer: n = 0"), "{card}");
    assert!(card.contains("`helpmate eval run instructions --model "), "{card}");
    // The other's limits are the other's.
    assert!(
        !card.contains("instructions, start: all 40 items") && card.contains("instructions, ppo: all 40 items"),
        "{card}"
    );
    let of_first = report.card(Some("start")).unwrap();
    assert!(
        of_first.contains("there is no other model to compare it with") && of_first.contains("isn't known"),
        "{of_first}"
    );
    let error = report.card(Some("dpo")).unwrap_err().to_string();
    assert!(error.contains("no model `dpo`; there are: start, ppo"), "{error}");
    drop(folder);
}

#[test]
fn a_parent_that_changed_is_not_taken_for_what_it_was() {
    let (folder, ppo) = runs();
    std::fs::write(folder.path().join("sft/final/model.safetensors"), "others").unwrap();
    let found = origin::chain(&ppo.model);
    assert_eq!(found.steps.len(), 1);
    assert!(found.end.as_deref().unwrap().contains("something else by now"), "{found:?}");
    std::fs::remove_dir_all(folder.path().join("sft")).unwrap();
    assert!(origin::chain(&ppo.model).end.unwrap().contains("isn't there any more"));
}

#[test]
fn every_section_without_data_says_how_to_get_some() {
    let one = report(vec![model("alone", "h", 40, 30)]);
    for text in [one.to_html(), one.to_markdown()] {
        for (title, how) in [
            ("Alignment tax", "helpmate eval run multiple_choice perplexity"),
            ("By part", "use_case"),
            ("Preferred by people", "helpmate label export"),
            ("The reward model", "helpmate rm"),
            ("Over-optimisation", "helpmate ppo"),
            ("How training went", "runs/sft"),
        ] {
            let section = text.split(title).nth(1).unwrap_or_else(|| panic!("no {title}"));
            let section = section.split("<h2>").next().unwrap().split("\n## ").next().unwrap();
            assert!(section.contains("n = 0") && section.contains(how), "{title}: {section}");
        }
    }
}

#[test]
fn training_runs_alone_make_a_report() {
    let lines = ["{\"step\": 1, \"loss\": 2.5}".to_owned()];
    // The same name twice: told apart by the folder above.
    let again = TrainingRun { path: "seed-2/again".into(), ..fixture::run("sft", "again", &lines) };
    let runs = vec![fixture::run("sft", "first", &lines), fixture::run("sft", "again", &lines), again];
    let material = Material { runs, ..Material::default() };
    let report = Report::new("x".into(), material).unwrap();
    assert!(
        report.to_html().contains("n = 0: no evaluation was given")
            && report.to_markdown().contains("| first | sft | 1 |")
    );
    assert!(report.card(None).unwrap_err().to_string().contains("a card needs an evaluated model"));
}

#[test]
fn a_folder_is_known_by_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let error = Material::default().add(folder.path()).unwrap_err().to_string();
    assert!(error.contains("found none of evaluation.json, lineage.json") && error.contains("reject.json"), "{error}");
    // A PPO run: whether the pretraining mix was in it stands in its config.
    let lineage = fixture::lineage("ppo", run::lineage::Hashed { path: "sft".into(), hash: "0".into() });
    std::fs::write(folder.path().join("lineage.json"), serde_json::to_string(&lineage).unwrap()).unwrap();
    let config = |ppo: &str| {
        let text = format!("[model]\npath = \"sft\"\n[data]\ntrain = [\"p.jsonl\"]\n[ppo]\nreward = [\"rm\"]\n{ppo}");
        std::fs::write(folder.path().join("config.toml"), text).unwrap();
        let mut material = Material::default();
        material.add(&folder.path().join("final")).unwrap();
        (material.runs[0].mix, material.runs[0].rollouts)
    };
    assert_eq!(config("rollout_batch = 6\nminibatches = 2\nsamples_per_prompt = 4\n"), (None, Some(24)));
    assert_eq!(config("ptx = [\"text.txt\"]\nptx_coefficient = 3.5\n").0, Some(3.5));
}
