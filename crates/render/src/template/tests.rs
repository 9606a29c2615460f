#![allow(clippy::unwrap_used)]
use super::*;

const MESSAGES: [TemplateMessage; 2] = [("user", "What?"), ("assistant", "That.")];

fn render(source: &str) -> Result<String, RenderError> {
    let template = ChatTemplate::new(source, TemplateOrigin::JinjaFile, SpecialNames::default(), Date::default())?;
    template.render(&MESSAGES, false)
}

fn failure(source: &str) -> String {
    match render(source) {
        Err(error) => error.to_string(),
        Ok(text) => panic!("rendered {} bytes", text.len()),
    }
}

#[test]
fn a_template_can_neither_hang_nor_flood_nor_nest_forever() {
    let forever = "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}";
    assert!(failure(forever).contains("more steps"));
    let flood = "{% for a in range(5000) %}{{ 'abcdefghij' * 10000 }}{% endfor %}";
    assert!(failure(flood).contains("more than a template may"));
    let recursion = "{% macro again(n) %}{{ again(n + 1) }}{% endmacro %}{{ again(0) }}";
    assert!(failure(recursion).contains("recursion"));
    // A list in a list in a list …, as deep as the fuel goes: it must also be dropped again.
    // A long conversation has more fuel.
    let nest = "{% set ns = namespace(x=[]) %}{% for a in range(100000) %}{% set ns.x = [ns.x] %}\
                {% endfor %}{{ ns.x }}";
    let names = SpecialNames::default();
    let template = ChatTemplate::new(nest, TemplateOrigin::JinjaFile, names, Date::default()).unwrap();
    let long = [MESSAGES[0]; 500];
    assert!(template.render(&long, false).unwrap_err().to_string().contains("more steps"));
}

#[test]
fn a_deep_or_long_expression_cannot_overflow_the_stack() {
    // (what opens, what closes): parsers recurse on the first, destructors on chains.
    let shapes = [
        ("(", ")"),
        ("[", "]"),
        ("not ", ""),
        ("-", ""),
        ("1+", ""),
        ("1~", ""),
        ("1 if x else ", ""),
        ("1 and ", ""),
        ("1<", ""),
    ];
    for (open, close) in shapes {
        let n = (SOURCE_BYTES_MAX - 100) / (open.len() + close.len());
        let source = format!("{{{{ {}1{} }}}}", open.repeat(n), close.repeat(n));
        let _ = render(&source);
    }
    for (start, link) in [("x", "|a"), ("x", ".a"), ("x", "[0]"), ("x", "()"), ("x", " is a")] {
        let n = (SOURCE_BYTES_MAX - 100) / link.len();
        let _ = render(&format!("{{{{ {start}{} }}}}", link.repeat(n)));
    }
    for block in ["{% if x %}", "{% for x in y %}", "{% set x %}", "{% if x %}{% elif x %}", "{% elif x %}"] {
        let n = (SOURCE_BYTES_MAX - 100) / block.len();
        failure(&block.repeat(n));
        let chain = block.repeat(n);
        let _ = render(&format!("{{% if x %}}{chain}{{% endif %}}"));
    }
}

#[test]
fn there_is_nothing_to_read() {
    for source in [
        "{% include '/etc/passwd' %}",
        "{% extends '/etc/passwd' %}",
        "{% import '/etc/passwd' as p %}{{ p }}",
        "{{ open('/etc/passwd') }}",
        "{{ ''.__class__.__mro__ }}",
    ] {
        failure(source);
    }
}

#[test]
fn errors_say_which_template_and_where() {
    let syntax = failure("{% for m in messages %}\n{{ m.role");
    assert!(syntax.starts_with("chat template (chat_template.jinja): "), "{syntax}");
    assert!(syntax.contains(":2"), "{syntax}");
    let refusal = render("{{ raise_exception('roles must alternate') }}");
    assert!(
        matches!(&refusal, Err(RenderError::TemplateRefused { message, .. }) if message == "roles must alternate"),
        "{refusal:?}"
    );
    let long = "x".repeat(SOURCE_BYTES_MAX + 1);
    assert!(failure(&long).contains("65537"));
}

#[test]
fn dates_read_as_python_writes_them() {
    let date = Date { year: 2026, month: 3, day: 5, hour: 15, minute: 4, second: 9 };
    // python3 -c "import datetime; print(datetime.datetime(2026, 3, 5, 15, 4, 9).strftime(…))"
    assert_eq!(
        date.format("%A %a %d %-d %e %B %b %m %Y %y %H %I %p %M %S %F %T %%"),
        "Thursday Thu 05 5  5 March Mar 03 2026 26 15 03 PM 04 09 2026-03-05 15:04:09 %"
    );
    assert_eq!(date.format("%Q 100%"), "%Q 100%");
    assert_eq!(Date::default().format("%d %b %Y %a"), "26 Jul 2024 Fri");
    let leap = Date { year: 2000, month: 2, day: 29, ..date };
    assert_eq!(leap.format("%a"), "Tue");
}

#[test]
fn generation_tags_change_nothing() {
    let tagged = "{% for m in messages %}{%- generation -%} {{ m.content }} {%- endgeneration %};{% endfor %}";
    assert_eq!(render(tagged).unwrap(), "What?;That.;");
}

#[test]
fn chatml_is_what_it_says() {
    let names = SpecialNames { eos: Some("it's \"</s>\"".to_string()), ..SpecialNames::default() };
    let template = ChatTemplate::chatml("it's \"</s>\"", TemplateOrigin::ChatMlWithEos, names).unwrap();
    assert_eq!(
        template.render(&MESSAGES, true).unwrap(),
        "<|im_start|>user\nWhat?it's \"</s>\"\n<|im_start|>assistant\nThat.it's \"</s>\"\n\
         <|im_start|>assistant\n"
    );
}
