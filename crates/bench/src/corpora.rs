//! Measures of text at the scale of corpora. `xtask/peer/text.py` makes the same inputs.
use corpus::template::{Choice, TemplateSet, on_deep_stack};
use serde_json::{Value, json};
use std::time::Instant;
use text::lcs::Pattern;
use text::minhash::{NearDuplicates, Shingles, Sketch, Sketcher};
use text::rouge::RougePool;
use text::token::Words;

/// Comparisons whose scores are summed, to be the same in a peer.
const N_CHECKED: usize = 20_000;

/// Words of a small, skewed vocabulary: low numbers are common.
fn words(seed: u64, n: usize) -> Vec<u32> {
    let mut state = (seed * 2_654_435_761 % (1 << 32)) as u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let u = f64::from(state) / 4_294_967_296.0;
        (u * u * u * 4000.0) as u32
    };
    (0..n).map(|_| next()).collect()
}

fn sentence(seed: u64) -> String {
    let length = 6 + (seed * 7919 % 15) as usize;
    words(seed, length).iter().map(|word| format!("w{word} ")).collect()
}

/// Every candidate against every text of a pool by ROUGE-L, as the filter of Self-Instruct compares them.
pub fn rouge_filter(n_pool: u64, n_candidates: u64) -> Value {
    let mut pool = RougePool::new(Words::Ascii);
    (0..n_pool).for_each(|i| pool.push(&sentence(i + 1)));
    let (mut pattern, mut scores, mut checksum, mut check) = (Pattern::default(), Vec::new(), 0.0, 0.0);
    let began = Instant::now();
    for i in 0..n_candidates {
        pool.scores_into(&sentence(1_000_003 + i), 0, &mut pattern, &mut scores);
        checksum += scores.iter().sum::<f64>();
        if i == 0 {
            // What the peers compute too: this candidate against the pool's first, each score weighted by its place.
            check = scores.iter().take(N_CHECKED).enumerate().map(|(j, f)| f * (1.0 + (j % 7) as f64)).sum::<f64>();
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    json!({"comparisons_per_second": (n_pool * n_candidates) as f64 / seconds, "seconds": seconds, "checksum": checksum, "check": check,
        "peak_bytes": crate::measure::peak_memory()})
}

/// Near duplicates among texts of forty words, every tenth being one that was there with a word replaced.
pub fn near_duplicates(n_documents: u64) -> Value {
    const CHUNK: u64 = 20_000;
    let sketcher = Sketcher::new(Shingles::Words(1), 0.8);
    let mut index = NearDuplicates::new(0.8);
    let (mut n_found, mut marks) = (0_u64, Vec::new());
    let began = Instant::now();
    let mut start = 0;
    while start < n_documents {
        let numbers: Vec<u64> = (start..(start + CHUNK).min(n_documents)).collect();
        let halves = numbers.split_at(numbers.len() / 2);
        let make = |numbers: &[u64]| numbers.iter().map(|&i| sketcher.sketch(&document(i))).collect::<Vec<Sketch>>();
        let (first, second) = std::thread::scope(|scope| {
            let second = scope.spawn(|| make(halves.1));
            (make(halves.0), second.join().unwrap_or_default())
        });
        for sketch in first.iter().chain(&second) {
            n_found += u64::from(index.insert(sketch).is_some());
        }
        start += CHUNK;
        marks.push(began.elapsed().as_secs_f64());
    }
    let seconds = began.elapsed().as_secs_f64();
    json!({"documents_per_second": n_documents as f64 / seconds, "seconds": seconds, "found": n_found,
        "seconds_of_first_chunk": marks.first(), "seconds_of_last_chunk": marks.last().zip(marks.iter().rev().nth(1)).map(|(a, b)| a - b),
        "peak_bytes": crate::measure::peak_memory()})
}

fn document(i: u64) -> String {
    let seed = if i.is_multiple_of(10) { i.saturating_sub(5).max(1) } else { i + 1 };
    let mut words: Vec<String> = words(seed, 40).iter().map(|word| format!("w{word}")).collect();
    if i.is_multiple_of(10) {
        words[0] = format!("x{i}");
    }
    words.join(" ")
}

/// A template with a condition, options and a filter, on one thread.
pub fn render(n: u64) -> Result<Value, String> {
    const TEMPLATE: &str = "task = \"t\"\n[[template]]\nname = \"n\"\nanswer_choices = [\"negative\", \"positive\"]\nprompt = \"{{ text }}\\nIs this {% if short %}short {% endif %}review {{ answer_choices | join(' or ') }}?\"\ncompletion = \"{{ answer_choices[label] }}\"\n";
    let path = std::env::temp_dir().join(format!("helpmate-bench-template-{}.toml", std::process::id()));
    std::fs::write(&path, TEMPLATE).map_err(|error| error.to_string())?;
    let work = || {
        let set = TemplateSet::open(&path).map_err(|error| error.to_string())?;
        let began = Instant::now();
        let mut bytes = 0;
        for i in 0..n {
            let row = json!({"text": sentence(i + 1), "label": i % 2, "short": i.is_multiple_of(3)});
            let rendering = row.as_object().map(|row| set.render(0, row, Choice::First));
            bytes += rendering.and_then(Result::ok).map_or(0, |rendering| rendering.parts[0].len());
        }
        let seconds = began.elapsed().as_secs_f64();
        Ok(
            json!({"renderings_per_second": n as f64 / seconds, "bytes": bytes, "peak_bytes": crate::measure::peak_memory()}),
        )
    };
    let result = on_deep_stack(work).map_err(|error| error.to_string())?;
    let _ = std::fs::remove_file(&path);
    result
}
