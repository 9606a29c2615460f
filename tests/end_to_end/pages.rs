//! The pages about instruction data: their examples run as they are written, from the project's own files.

use crate::{Place, repository};

/// The commands of a page's code blocks, continued lines joined.
fn commands(page: &str) -> Vec<String> {
    let text = std::fs::read_to_string(repository().join("docs").join(page)).unwrap();
    let text = text.replace("\\\n", " ");
    let blocks = text.split("\n```").skip(1).step_by(2);
    let lines = blocks.flat_map(|block| block.lines().skip(1));
    lines.filter(|line| line.starts_with("helpmate ")).map(str::to_owned).collect()
}

/// Runs the examples of a page in a folder that has the project's data, as somebody in a checkout would. Those that need
/// a real model are left to the recorded runs.
fn check(page: &str, expected: usize) {
    let place = Place::new();
    #[cfg(unix)]
    std::os::unix::fs::symlink(repository().join("data").canonicalize().unwrap(), place.path("data")).unwrap();
    std::fs::create_dir(place.path("runs")).unwrap();
    let all = commands(page);
    let mut n = 0;
    for command in all.iter().filter(|command| !command.contains("default") && !command.contains("runs/self-instruct"))
    {
        place.run(command.trim_start_matches("helpmate "));
        n += 1;
    }
    assert_eq!(n, expected, "{all:?}");
}

#[cfg(unix)]
#[test]
fn examples_run_as_written() {
    check("templates.md", 3);
    check("curation.md", 1);
    check("self-instruct.md", 2);
}
