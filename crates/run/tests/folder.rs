//! The run directory under bad circumstances.
#![allow(clippy::unwrap_used)]
use run::lineage::{DeviceNote, Hashed, Lineage, SourceNote};
use run::{RunError, RunFolder};
use std::fs;
use std::path::Path;

fn lineage() -> Lineage {
    Lineage {
        stage: "sft".into(),
        parent: Hashed { path: "m".into(), hash: "1".into() },
        source: SourceNote::default(),
        tokenizer: "2".into(),
        data: vec![],
        held_out: vec![],
        chat_template: None,
        seed: 0,
        device: DeviceNote::default(),
        version: "0.1.0".into(),
        git_revision: None,
        command_line: vec!["helpmate".into()],
        started: run::lineage::now(),
    }
}

fn save(folder: &RunFolder, step: u64, keep: usize, spare: &[u64]) {
    let write = |path: &Path| -> Result<(), RunError> {
        fs::write(path.join("weights"), step.to_string()).unwrap();
        Ok(())
    };
    folder.save_checkpoint(step, keep, spare, write).unwrap();
}

fn steps(folder: &RunFolder) -> Vec<u64> {
    folder.checkpoints().unwrap().iter().map(|checkpoint| checkpoint.step).collect()
}

#[test]
fn a_run_starts_in_an_empty_folder_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("thesis.tex"), "x").unwrap();
    let error = RunFolder::create(&path, "", &lineage()).err().unwrap();
    assert!(matches!(&error, RunError::Foreign { found, .. } if found == "thesis.tex"), "{error}");
    assert!(path.join("thesis.tex").exists());

    fs::remove_file(path.join("thesis.tex")).unwrap();
    let folder = RunFolder::create(&path, "# config\n", &lineage()).unwrap();
    assert_eq!(folder.lineage().unwrap(), lineage_as_saved(&folder));
    drop(folder);
    let error = RunFolder::create(&path, "", &lineage()).err().unwrap();
    assert!(error.hint().unwrap().contains("--resume"), "{error}");
    assert!(matches!(RunFolder::open(dir.path()).err().unwrap(), RunError::NoRun { .. }));
}

fn lineage_as_saved(folder: &RunFolder) -> Lineage {
    Lineage { started: folder.lineage().unwrap().started, ..lineage() }
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let first = RunFolder::create(&path, "", &lineage()).unwrap();
    assert!(matches!(RunFolder::open(&path).err().unwrap(), RunError::Locked { .. }));
    drop(first);
    RunFolder::open(&path).unwrap();
}

#[test]
fn old_checkpoints_go_and_spared_ones_stay() {
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&dir.path().join("run"), "", &lineage()).unwrap();
    for step in [2, 4, 6] {
        save(&folder, step, 2, &[2]);
    }
    assert_eq!(steps(&folder), [2, 4, 6]);
    save(&folder, 8, 2, &[4]);
    assert_eq!(steps(&folder), [4, 6, 8]);
    save(&folder, 10, 0, &[]);
    assert_eq!(steps(&folder), [4, 6, 8, 10]);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_with_a_notice() {
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&dir.path().join("run"), "", &lineage()).unwrap();
    save(&folder, 5, 0, &[]);
    save(&folder, 10, 0, &[]);
    fs::write(folder.checkpoint_path(10).join("weights"), "11").unwrap();
    let (found, notices) = folder.latest_checkpoint().unwrap();
    assert_eq!(found.unwrap().step, 5);
    assert!(notices[0].contains("step-000010") && notices[0].contains("checksum"), "{notices:?}");
    fs::remove_file(folder.checkpoint_path(5).join("manifest.json")).unwrap();
    let (found, notices) = folder.latest_checkpoint().unwrap();
    assert_eq!((found, notices.len()), (None, 2));
}

#[test]
fn a_checkpoint_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&dir.path().join("run"), "", &lineage()).unwrap();
    save(&folder, 1, 1, &[]);
    let full = |path: &Path| -> Result<(), RunError> {
        fs::write(path.join("half"), "x").unwrap();
        let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Err(stdx::FileError::at(path, "write")(source).into())
    };
    let error = folder.save_checkpoint(2, 1, &[], full).unwrap_err();
    assert!(error.hint().unwrap().contains("make room"));
    assert_eq!(steps(&folder), [1]);
    let names = fs::read_dir(folder.path().join("checkpoints")).unwrap().count();
    assert_eq!(names, 1, "a temporary folder was left");
}

/// What SIGKILL leaves: a temporary folder whose process is gone.
#[test]
fn leftovers_of_a_killed_process_go_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run");
    let folder = RunFolder::create(&path, "", &lineage()).unwrap();
    save(&folder, 1, 1, &[]);
    drop(folder);
    // in a container every run may have the same process id
    for process in [4_194_305, std::process::id()] {
        let killed = path.join(format!("checkpoints/step-000002.helpmate-tmp-{process}-0"));
        fs::create_dir(&killed).unwrap();
        fs::write(killed.join("weights"), "half").unwrap();
        drop(RunFolder::open(&path).unwrap());
        assert!(!killed.exists());
    }
    let folder = RunFolder::open(&path).unwrap();
    assert_eq!(folder.latest_checkpoint().unwrap().0.unwrap().step, 1);
}

#[test]
fn other_data_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let folder = RunFolder::create(&dir.path().join("run"), "", &lineage()).unwrap();
    let mut other = lineage();
    other.tokenizer = "3".into();
    let error = folder.check_lineage(&other).unwrap_err().to_string();
    assert!(error.contains("the tokenizer changed since the run was started: 3, expected 2"), "{error}");
}
