//! What memory can be had, and whether a plan fits into it.
use crate::TrainError;
use crate::error::gigabytes;
use model::memory::MemoryPlan;
use std::fs;
use std::path::Path;

/// Bytes that this process can still get: the least of what the system has and what its control groups allow.
/// `None` where neither says.
pub fn available() -> Option<u64> {
    let system = fs::read_to_string("/proc/meminfo").ok().and_then(|text| meminfo_available(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    system.into_iter().chain(group_available(Path::new("/sys/fs/cgroup"), &groups)).min()
}

/// Refuses a plan that can't fit. The weights are loaded already, so all else must fit into `available`.
pub fn check(plan: MemoryPlan, average: u64, available: Option<u64>, lora: bool) -> Result<(), TrainError> {
    let needed = plan.total() - plan.weights + average;
    match available {
        Some(available) if needed > available => Err(TrainError::Memory { needed, available, average, plan, lora }),
        _ => Ok(()),
    }
}

/// Refuses a stage that can't fit with everything that it holds.
pub fn check_all(parts: &[(String, u64)], needed: u64, available: Option<u64>, lora: bool) -> Result<(), TrainError> {
    match available {
        Some(available) if needed > available => {
            let listed = parts.iter().map(|(name, bytes)| format!("{name} {}", gigabytes(*bytes))).collect::<Vec<_>>();
            Err(TrainError::MemoryBeside { needed, available, parts: listed.join(", "), lora })
        }
        _ => Ok(()),
    }
}

/// Refuses a model whose weights, gradients and moments alone can't fit, before anything of it is loaded.
pub fn check_size(path: &Path, parameters: u64, lora: bool, available: Option<u64>) -> Result<(), TrainError> {
    // everything: f32 master, gradient and two moments; adapters: a base of at least 8 bits a weight
    let needed = if lora { parameters } else { 16 * parameters };
    match available {
        Some(available) if needed > available => {
            Err(TrainError::TooLarge { path: path.to_path_buf(), parameters, needed, available, lora })
        }
        _ => Ok(()),
    }
}

/// `MemAvailable` of `/proc/meminfo`.
fn meminfo_available(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// What each control group above this process (version 2; the memory controller of version 1) leaves: its limit minus
/// what is used, where file cache that can be dropped doesn't count as used.
fn group_available(root: &Path, groups: &str) -> Option<u64> {
    let mut least = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (_, Some(controllers), Some(group)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let (base, limit, used) = match controllers {
            "" => (root.to_path_buf(), "memory.max", "memory.current"),
            list if list.split(',').any(|name| name == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes", "memory.usage_in_bytes")
            }
            _ => continue,
        };
        for above in Path::new(group.trim_start_matches('/')).ancestors() {
            let folder = base.join(above);
            let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
            if let (Some(limit), Some(used)) = (number(limit), number(used)) {
                let cache = fs::read_to_string(folder.join("memory.stat")).ok().and_then(|text| droppable(&text));
                let left = limit.saturating_sub(used.saturating_sub(cache.unwrap_or(0)));
                least = Some(least.map_or(left, |least: u64| least.min(left)));
            }
        }
    }
    least
}

fn droppable(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("inactive_file "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_is_in_kilobytes() {
        let text = "MemTotal:       24000 kB\nMemFree:  10 kB\nMemAvailable:   12000 kB\n";
        assert_eq!(meminfo_available(text), Some(12_000 * 1024));
        assert_eq!(meminfo_available("MemFree: 10 kB\n"), None);
    }

    #[test]
    fn the_tightest_group_counts_and_cache_is_free() {
        let dir = tempfile::tempdir().expect("temporary folder");
        let write = |folder: &str, limit: &str, used: &str, cache: &str| {
            let folder = dir.path().join(folder);
            fs::create_dir_all(&folder).expect("mkdir");
            fs::write(folder.join("memory.max"), limit).expect("write");
            fs::write(folder.join("memory.current"), used).expect("write");
            fs::write(folder.join("memory.stat"), format!("anon 1\ninactive_file {cache}\n")).expect("write");
        };
        write("a", "1000\n", "700\n", "200");
        write("a/b", "max\n", "600\n", "0");
        assert_eq!(group_available(dir.path(), "0::/a/b\n"), Some(500));
        write("a/b", "650\n", "600\n", "0");
        assert_eq!(group_available(dir.path(), "0::/a/b\n"), Some(50));
        assert_eq!(group_available(dir.path(), "0::/elsewhere\n"), None);
        assert_eq!(group_available(dir.path(), "nonsense"), None);
    }

    #[test]
    fn a_plan_that_does_not_fit_is_refused_with_advice() {
        let plan = MemoryPlan { weights: 100, gradients: 40, optimizer: 80, activations: 30, head: 5 };
        assert!(check(plan, 40, Some(195), false).is_ok());
        let error = check(plan, 40, Some(194), false).expect_err("one byte short");
        assert!(error.hint().expect("advice").contains("train.micro_tokens"));
        assert!(check(plan, 40, None, false).is_ok());
        let parts = [("reference".to_owned(), 2_000_000_000)];
        assert!(check_all(&parts, 9, Some(9), false).is_ok() && check_all(&parts, 9, None, false).is_ok());
        let error = check_all(&parts, 3_000_000_000, Some(2_999_999_999), false).expect_err("one byte short");
        assert!(error.to_string().contains("reference 2.00 GB") && error.hint().is_some(), "{error}");
        let error = check_size(Path::new("m"), 1_000_000_000, false, Some(15_000_000_000)).expect_err("16 GB");
        assert_eq!(
            error.to_string(),
            "m: 1000000000 parameters need at least 16.00 GB to train and 15.00 GB can be had"
        );
        assert!(check_size(Path::new("m"), 1_000_000_000, true, Some(15_000_000_000)).is_ok());
    }

    #[test]
    fn this_machine_has_some() {
        if Path::new("/proc/meminfo").exists() {
            assert!(available().is_some_and(|bytes| bytes > 1 << 20));
        }
    }
}
