//! Templates of all three kinds, what bounds them, and promptsource's own renderings where the shared folder is there.

use std::path::PathBuf;

use serde_json::json;

use super::*;

/// A set of one file.
fn set(name: &str, text: &str) -> Result<TemplateSet, TemplateError> {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect("writable");
    TemplateSet::open(&path)
}

fn row(value: serde_json::Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

/// A promptsource file with one template.
fn promptsource(jinja: &str, choices: &str) -> Result<TemplateSet, TemplateError> {
    let jinja = serde_json::to_string(jinja).expect("text");
    let choices = serde_json::to_string(choices).expect("text");
    set(
        "templates.yaml",
        &format!(
            "dataset: d\nsubset: s\ntemplates:\n  id1: !Template\n    answer_choices: {choices}\n    jinja: {jinja}\n    metadata: !TemplateMetadata\n      original_task: true\n      metrics:\n      - Accuracy\n    name: n\n    reference: ''\n"
        ),
    )
}

fn parts(jinja: &str, example: serde_json::Value) -> Result<Vec<String>, TemplateError> {
    Ok(promptsource(jinja, "no ||| yes")?.render(0, &row(example), Choice::First)?.parts)
}

#[track_caller]
fn check(jinja: &str, example: serde_json::Value, expected: &[&str]) {
    assert_eq!(parts(jinja, example).unwrap_or_else(|error| panic!("{error}")), expected);
}

#[test]
fn a_promptsource_template() {
    let set = promptsource("Is {{a}} so? ||| {{ answer_choices[label] }}", "no ||| yes").expect("a template");
    let template = &set.templates[0];
    assert_eq!((&template.task[..], &template.name[..]), ("d/s", "n"));
    assert_eq!((template.facts.original_task, &template.facts.metrics[..]), (Some(true), &["Accuracy".to_owned()][..]));
    let rendering = set.render(0, &row(json!({"a": "x|||y", "label": 1})), Choice::First).expect("rendered");
    // `|||` in the row's own text divides nothing.
    assert_eq!(rendering.parts, ["Is x|||y so?", "yes"]);
    assert_eq!(rendering.answer_choices, Some(vec!["no".to_owned(), "yes".to_owned()]));
    assert_eq!(rendering.pair(), Some(("Is x|||y so?", "yes")));
}

#[test]
fn a_missing_or_empty_target_skips_the_row() {
    let pair = |jinja: &str| {
        let set = promptsource(jinja, "a").expect("a template");
        set.render(0, &row(json!({"label": -1})), Choice::First).expect("rendered").pair().is_some()
    };
    assert!(!pair("p ||| {% if label != -1 %}x{% endif %}"));
    assert!(!pair("{% if label != -1 %}p ||| x{% endif %}"));
    assert!(pair("p ||| x"));
}

#[test]
fn python_is_where_templates_expect_it() {
    // Each as Jinja2 3.1.6 renders it.
    let list = json!({"l": [3, 1], "d": {"k": "it's", "n": null}, "f": 1.0, "t": true, "s": "abca"});
    check("{{l}} {{d}} {{f}} {{t}} {{none}}", list.clone(), &["[3, 1] {'k': \"it's\", 'n': None} 1.0 True None"]);
    check(
        "{% set x = [] %}{{ x.append(2) or '' }}{{ x.append([1]) or '' }}{{x}}{{x.pop()}}",
        list.clone(),
        &["[2, [1]][1]"],
    );
    check(
        "{% set ns = namespace(v=[]) %}{% for i in l %}{% set _ = ns.v.append(i) %}{% endfor %}{{ns.v|join('-')}}",
        list.clone(),
        &["3-1"],
    );
    check(
        "{% set m = {} %}{% set _ = m.update({'b': 1}) %}{% set _ = m.update({'a': 2, 'b': 3}) %}{{m}}",
        list.clone(),
        &["{'b': 3, 'a': 2}"],
    );
    check(
        "{{ s.index('c') }} {{ l.index(1) }} {% for a, b, c in zip(l, l, 'xy') %}{{a}}{{b}}{{c}};{% endfor %}",
        list.clone(),
        &["2 1 33x;11y;"],
    );
    check("{{ ['b', 'a', 'b', 'a', 'c'] | most_frequent | join(', ') }} {{ l | choice }}", list.clone(), &["b, a 3"]);
    check("{{ '%0.2f'|format(f) }} {{ '%5s|%-4d|%03d' | format('x', 7, -5) }}", list.clone(), &["1.00     x|7   |-05"]);
    check(
        "{{ s.replace('a', 'o', 1) }} {{ l | replace(', ', '+') }} {{ t | string }} {{ (l + [t])|join(' ') }}",
        list,
        &["obca [3+1] True 3 1 True"],
    );
    check("{{ 1e16 * f }} {{ f / 100000 }} {{ f * 0.5 }}", json!({"f": 1.0}), &["1e+16 1e-05 0.5"]);
}

#[test]
fn choices_are_first_or_drawn() {
    let set = promptsource("{{ range(1000) | list | choice }} ||| x", "a").expect("a template");
    let draw = |seed| {
        let stream = stdx::Seed(seed).stream("choice", 0);
        set.render(0, &row(json!({})), Choice::Random(Box::new(stream))).expect("rendered").parts[0].clone()
    };
    assert_eq!(draw(1), draw(1));
    assert!((2..6).any(|seed| draw(seed) != draw(1)));
    assert_eq!(set.render(0, &row(json!({})), Choice::First).expect("rendered").parts[0], "0");
}

#[test]
fn hostile_templates_fail_and_say_so() {
    let fails = |jinja: &str, expected: &str| {
        let error = on_deep_stack(|| parts(jinja, json!({"s": "x".repeat(1000)})).map(|parts| parts.len()))
            .expect("no panic")
            .expect_err(jinja)
            .to_string();
        assert!(error.contains(expected) && error.contains("\"n\""), "{jinja}: {error}");
    };
    fails("{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}", "more steps");
    fails("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion");
    fails(
        "{% set ns = namespace(s='ab') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "more than 1048576 bytes",
    );
    fails(
        "{% set a = 'ab' %}{% set a = a.replace('a', s).replace('x', s).replace('x', s) %}",
        "more than 1048576 bytes",
    );
    fails("{{ '%999999999d' | format(1) }}", "wider");
    fails("{{ 'x' * 99999999999 }}", "too large");
    fails("{% include '/etc/passwd' %}", "template");
    fails("{% if %}", "syntax error");
    fails("{% for i in range(9000) %}{{ s }}{% endfor %}", "writes more than a template may");
    fails(&"x".repeat(engine::SOURCE_BYTES_MAX + 1), "bytes of source");
    // A list that contains itself is printed, to a depth.
    let looped = parts("{% set x = [] %}{% set _ = x.append(x) %}{{ x }}", json!({}));
    assert!(looped.expect("printed")[0].contains("..."));
}

#[test]
fn nests_that_are_as_deep_as_the_fuel_allows_are_dropped() {
    let jinja = "{% set ns = namespace(x=[]) %}{% for i in range(19000) %}{% set ns.x = [ns.x] %}{% endfor %}done";
    let done = on_deep_stack(|| parts(jinja, json!({})).map(|parts| parts[0].clone())).expect("no panic");
    assert!(matches!(done.as_deref(), Ok("done") | Err(TemplateError::Render { .. })), "{done:?}");
}

#[test]
fn flan_patterns_replace_fields_and_nothing_else() {
    let text = r#"{"rte": [["{premise}n{hypothesis}\n\n{options_}", "{answer}"], ["Write \\{ {n} }", "{{premise}}"]]}"#;
    let set = set("flan.json", text).expect("patterns");
    let example = row(json!({"premise": "a {x}", "hypothesis": "b", "options": ["yes", "no"], "answer": "no", "n": 7}));
    let rendering = set.render(0, &example, Choice::First).expect("rendered");
    assert_eq!(rendering.parts, ["a {x}nb\n\nOPTIONS:\n- yes\n- no", "no"]);
    assert_eq!(rendering.answer_choices, Some(vec!["yes".to_owned(), "no".to_owned()]));
    assert_eq!(set.render(1, &example, Choice::First).expect("rendered").parts, ["Write \\{ 7 }", "{a {x}}"]);
    assert_eq!(set.warnings.len(), 1, "{:?}", set.warnings);
    let error = set.render(0, &row(json!({"premise": "a"})), Choice::First).expect_err("incomplete");
    assert_eq!(error.to_string(), "template \"rte 0\": the row has no field `hypothesis`");
}

#[test]
fn our_own_templates() {
    let text = "task = \"t\"\n[[template]]\nname = \"n\"\nanswer_choices = [\"{{ a }}\", \"z\"]\nprompt = \"{{ a }}?\\n\"\ncompletion = \"{{ answer_choices[1] }} ||| {{ answer_choices[0] }}\"\n";
    let set = set("t.toml", text).expect("templates");
    let rendering = set.render(0, &row(json!({"a": "x"})), Choice::First).expect("rendered");
    // Nothing is divided here: prompt and completion are programs of their own.
    assert_eq!(rendering.parts, ["x?", "z ||| x"]);
}

#[test]
fn broken_files_are_named() {
    let check = |name: &str, text: &str, expected: &str| {
        let error = set(name, text).err().expect(expected).to_string();
        assert!(error.contains(expected) && error.contains(name), "{error}");
    };
    check("a.yaml", "dataset: d\ntemplates:\n  i:\n    name: n\n", "template \"n\": jinja: found nothing");
    check("a.yaml", "dataset: d\n", "expected `dataset` and a map `templates`");
    check("a.yaml", "a: [", "a.yaml:");
    check("a.yaml", "a: 1\nb: *x\n", "a.yaml:2: invalid YAML: ");
    check("a.json", "{\"d\": [[\"x\"]]}", "template \"d 0\": pattern: found [\"x\"]");
    check("a.json", "[]", "invalid JSON");
    check(
        "a.toml",
        "task = \"t\"\n[[template]]\nname = \"n\"\nprompt = \"p\"\n",
        "a.toml:2: missing field `completion`",
    );
    check(
        "a.toml",
        "task = \"t\"\n[[template]]\nname = \"n\"\nprompt = \"{{\"\ncompletion = \"c\"\n",
        "template \"n\": ",
    );
    let folder = tempfile::tempdir().expect("temporary folder");
    assert!(matches!(TemplateSet::open(folder.path()), Err(TemplateError::None { .. })));
    assert!(
        TemplateSet::open(&PathBuf::from("/nowhere/t.yaml")).err().expect("missing").to_string().contains("/nowhere")
    );
}

/// A file or folder of the shared data folder; `None`, loudly, where there is none.
fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(name);
    if !path.exists() {
        eprintln!("SKIPPED: {} is not here", path.display());
        return None;
    }
    Some(path)
}

/// Jinja2 3.1.6 on 4,356 synthetic examples for 1,453 published templates; `choice` and `random` take the first item.
#[test]
fn published_templates_render_as_in_python() {
    let (Some(folder), Some(cases)) =
        (shared("templates/promptsource"), shared("oracles/promptsource_render_cases.jsonl"))
    else {
        return;
    };
    let work = || {
        let set = TemplateSet::open(&folder).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(set.templates.len(), 2085);
        assert_eq!(set.templates.iter().filter(|template| template.answer_choices.is_some()).count(), 1145);
        let places: std::collections::HashMap<&str, usize> =
            set.templates.iter().enumerate().filter_map(|(i, t)| Some((t.id.as_deref()?, i))).collect();
        let text = std::fs::read_to_string(&cases).expect("readable");
        let (mut n_cases, mut differing) = (0, Vec::new());
        for line in text.lines() {
            let case: Value = serde_json::from_str(line).expect("JSON");
            let place = places[case["id"].as_str().expect("an id")];
            let example = case["example"].as_object().expect("an object");
            let expected: Vec<&str> =
                case["parts"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
            n_cases += 1;
            match set.render(place, example, Choice::First) {
                Ok(rendering) if rendering.parts == expected => {}
                Ok(rendering) => {
                    differing.push(format!("{}: {:?}, expected {expected:?}", case["file"], rendering.parts))
                }
                Err(error) => differing.push(format!("{}: {error}", case["file"])),
            }
        }
        for difference in differing.iter().take(40) {
            eprintln!("{difference}");
        }
        assert_eq!(n_cases, 4356);
        eprintln!("{} of {n_cases} differ", differing.len());
        assert!(differing.len() * 200 <= n_cases, "{} of {n_cases} differ", differing.len());
    };
    on_deep_stack(work).expect("no panic");
}

/// FLAN's file: every pattern with a field for a field, against replacement written out here.
#[test]
fn published_patterns_are_byte_exact() {
    let Some(path) = shared("templates/flan_v1_templates.json") else { return };
    let set = TemplateSet::open(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(set.templates.len(), 610);
    // The data's README: nine slips `{hypothesis}n`.
    assert_eq!(set.warnings.len(), 9, "{:?}", set.warnings);
    let fields = regex::Regex::new(r"\{(\w*)\}").expect("valid");
    for (place, template) in set.templates.iter().enumerate() {
        let Body::Pattern(input, target) = &template.body else { panic!("{template:?}") };
        let mut example = Map::new();
        let mut expected = [input.clone(), target.clone()];
        for captures in fields.captures_iter(&format!("{input}{target}")) {
            let value = format!("<{}>", &captures[1]);
            expected = expected.map(|pattern| pattern.replace(&captures[0], &value));
            example.insert(captures[1].to_owned(), json!(value));
        }
        let rendering = set.render(place, &example, Choice::First).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(rendering.parts, expected, "{}", template.name);
    }
}
