//! What no program would send to the labeling API: right requests with parts exchanged, left out or made absurd. Whatever
//! comes, the answer is one of the API's own, and what was taken in can be read, counted and exported.

use super::{Site, answer};
use label::{Actor, MakeTasks, NewApiToken, NewPerson, Role, Scope, TaskKind};
use serde_json::{Value, json};
use stdx::seed::{Seed, Stream};

/// People, each of whom may send so many requests at once.
const PEOPLE: usize = 6;
const REQUESTS: usize = 50;

fn pick(values: &[Value], stream: &mut Stream) -> Value {
    values[stream.below(values.len() as u64) as usize].clone()
}

/// Anything at all.
fn odd(stream: &mut Stream) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1e300),
        json!(i64::MIN),
        json!(u64::MAX),
        json!("1"),
        json!(""),
        json!("\u{0}"),
        json!("</script><script>alert(1)</script>"),
        json!("=cmd|' /C calc'!A0"),
        json!("\u{202e}\u{feff}🦀"),
        json!("x".repeat(70_000)),
        json!([]),
        json!([[[[]]]]),
        json!({}),
        json!({"kind": "rank"}),
    ];
    pick(&values, stream)
}

/// Exchanges, drops or adds something somewhere in a value.
fn spoil(value: &mut Value, stream: &mut Stream) {
    match value {
        Value::Object(map) if !map.is_empty() && stream.below(4) > 0 => {
            let key = map.keys().nth(stream.below(map.len() as u64) as usize).cloned().unwrap_or_default();
            match stream.below(6) {
                0 => drop(map.remove(&key)),
                1 => drop(map.insert("unknown".into(), odd(stream))),
                _ => spoil(&mut map[&key], stream),
            }
        }
        Value::Array(list) if !list.is_empty() && stream.below(4) > 0 => {
            let at = stream.below(list.len() as u64) as usize;
            match stream.below(5) {
                0 => drop(list.remove(at)),
                1 => list.push(list[at].clone()),
                _ => spoil(&mut list[at], stream),
            }
        }
        other => *other = odd(stream),
    }
}

/// A right judgement of a task that the API gave.
fn judgement(task: &Value, stream: &mut Stream) -> Value {
    let candidates: Vec<&Value> =
        task["answers"].as_array().into_iter().flatten().map(|answer| &answer["candidate"]).collect();
    match task["kind"].as_str() {
        Some("rank") => {
            let place = |id: &&Value| json!({"candidate": id, "rank": 1 + stream.below(candidates.len() as u64)});
            json!({"kind": "rank", "places": candidates.iter().map(place).collect::<Vec<_>>(), "notes": "n"})
        }
        Some("pairwise") => json!({"kind": "pairwise", "better": candidates.first(), "notes": ""}),
        Some("use_case") => json!({"kind": "use_case", "use_case": "chat"}),
        _ => json!({"kind": "demonstrate", "text": "An answer.", "notes": ""}),
    }
}

pub fn no_request_breaks_the_api(site: &Site) {
    for kind in [TaskKind::Demonstrate, TaskKind::UseCase, TaskKind::Pairwise] {
        let make = MakeTasks { k: (kind == TaskKind::Pairwise).then_some(2), overlap: Some(20), ..MakeTasks::of(kind) };
        site.store.make_tasks(Actor::Operator, site.project, &make).expect("tasks");
    }
    let api = site.visitor();
    let (mut n_judged, mut n_taken, mut n_refused) = (0, 0, 0);
    for person in 0..PEOPLE {
        let new =
            NewPerson { name: format!("program-{person}"), password: None, role: Role::Manager, group: String::new() };
        let id = site.store.add_person(Actor::Operator, &new).expect("a person").id;
        let scopes = vec![Scope::Read, Scope::Label, Scope::Import];
        let token = NewApiToken { name: "fuzz".into(), scopes, valid_ms: None };
        let secret = site.store.create_api_token(Actor::Operator, id, &token).expect("a token").1;
        let mut task = json!(null);
        for i in 0..REQUESTS {
            let mut stream = Seed(23).stream("label-fuzz", (person * REQUESTS + i) as u64);
            let (path, mut body) = match stream.below(8) {
                0 => ("projects/first/prompts", json!({"prompt": format!("{person} {i}"), "completions": ["a", "b"]})),
                1..=3 => ("projects/first/next", json!({"kinds": []})),
                _ => {
                    let said = judgement(&task, &mut stream);
                    (
                        "submit",
                        json!({"lease": task["lease"], "submission": format!("s{person}-{i}"), "body": said, "seconds": 3.5}),
                    )
                }
            };
            for _ in 0..stream.below(3) {
                spoil(&mut body, &mut stream);
            }
            let mut bytes = body.to_string().into_bytes();
            if stream.below(10) == 0 {
                bytes.truncate(stream.below(bytes.len() as u64) as usize);
            }
            let sent = api
                .agent
                .post(api.url(&format!("/label/api/{path}")))
                .header("authorization", format!("Bearer {secret}"));
            let found = answer(sent.send(&bytes[..]));
            let shown = || {
                let sent = String::from_utf8_lossy(&bytes[..bytes.len().min(500)]).into_owned();
                format!("request {i} of {person}: {path} {sent}\n→ {} {}", found.status, found.text)
            };
            let said: Value = serde_json::from_str(&found.text).unwrap_or_else(|_| panic!("no JSON: {}", shown()));
            match found.status {
                200 if path == "submit" => n_judged += usize::from(said["duplicate"] == false),
                200 if said["state"] == "task" => (task, n_taken) = (said, n_taken + 1),
                200 => {}
                404 | 409 | 410 | 413 | 422 => {
                    assert!(said["error"]["message"].as_str().is_some_and(|text| !text.is_empty()), "{}", shown());
                    n_refused += 1;
                }
                _ => panic!("{}", shown()),
            }
        }
    }
    assert!(n_judged > 5 && n_taken > 5 && n_refused > 50, "{n_judged} judged, {n_taken} taken, {n_refused} refused");
    assert_eq!(site.n_judgements(), n_judged, "what was acknowledged is there, and nothing else");
    let mia = site.log_in("mia");
    for page in ["", "/prompts", "/tasks", "/labelers", "/agreement", "/disagreements", "/log"] {
        assert_eq!(mia.get(&format!("/label/manage/{}{page}", site.project)).status, 200, "{page}");
    }
    for content in ["rankings", "demonstrations", "prompts"] {
        let export = format!("content={content}&format=csv");
        assert_eq!(mia.post(&format!("/label/manage/{}/export", site.project), &export).status, 200, "{content}");
    }
}
