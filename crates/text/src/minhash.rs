//! Near duplicates among many texts, in a stream (MinHash with locality-sensitive hashing; Broder 1997).
//!
//! A text is its set of shingles, as 32-bit hashes. Candidates are found by bands: texts that agree in all rows of a
//! band of MinHash values, the rows being as many as the threshold allows (see [`Sketcher::new`]). A candidate is then compared by its sketch: the [`SKETCH_MAX`] lowest of its
//! shingles' hashes. For a text with fewer shingles that is all of them, so that the Jaccard similarity is exact but for
//! collisions of hashes; for a longer one it is estimated. What is kept of a text is its sketch and a slot a band:
//! some hundred bytes for a short one, a kilobyte or so for any other.

/// MinHash values of a text.
const N_HASHES: usize = 126;
/// Hashes kept of a text at most.
pub const SKETCH_MAX: usize = 256;
/// Candidates looked at in a band at most: a band that thousands share says nothing.
const CANDIDATES_MAX: usize = 64;

/// What a text is divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shingles {
    /// Runs of so many words, lower-cased.
    Words(usize),
    /// Runs of so many characters, lower-cased, white space as single blanks.
    Characters(usize),
}

impl Shingles {
    /// The set's hashes, sorted. A text that is shorter than a shingle is one shingle; an empty one has none.
    pub fn of(self, text: &str) -> Vec<u32> {
        let words = crate::token::Words::Unicode.of(text);
        let mut hashes: Vec<u32> = match self {
            Shingles::Words(n) => {
                let each: Vec<u64> = words.iter().map(|word| hash_bytes(word.as_bytes())).collect();
                let run = |run: &[u64]| fold(run.iter().fold(run.len() as u64, |sum, &word| mix(sum ^ word)));
                if each.is_empty() { Vec::new() } else { each.windows(n.clamp(1, each.len())).map(run).collect() }
            }
            Shingles::Characters(n) => {
                let text = words.join(" ");
                let starts: Vec<usize> = text.char_indices().map(|(start, _)| start).chain([text.len()]).collect();
                let n = n.clamp(1, (starts.len() - 1).max(1));
                starts.windows(n + 1).map(|run| fold(hash_bytes(&text.as_bytes()[run[0]..run[n]]))).collect()
            }
        };
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }
}

/// FNV-1a with a final mix: fast on the few bytes of a word.
fn hash_bytes(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    mix(hash)
}

/// The finalizer of SplitMix64.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn fold(x: u64) -> u32 {
    (x ^ (x >> 32)) as u32
}

/// What is kept of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    /// The lowest hashes of its shingles, sorted.
    lowest: Vec<u32>,
    /// How many shingles it has.
    n_shingles: u32,
    bands: Vec<u64>,
}

/// How sketches are made; those that are compared must be made alike.
#[derive(Clone, Copy, Debug)]
pub struct Sketcher {
    shingles: Shingles,
    n_rows: usize,
}

impl Sketcher {
    /// For finding texts with a similarity from `threshold` on. Two texts exactly that similar share a band with a
    /// probability of at least 0.98 for thresholds of 0.5 and above: 1 − (1 − s^r)^(126 ÷ r) with the largest r for
    /// which it is.
    pub fn new(shingles: Shingles, threshold: f64) -> Sketcher {
        let found = |n_rows: &usize| {
            let n_bands = (N_HASHES / n_rows) as i32;
            1.0 - (1.0 - threshold.powi(*n_rows as i32)).powi(n_bands) >= 0.98
        };
        Sketcher { shingles, n_rows: (1..=14).rev().find(found).unwrap_or(1) }
    }

    /// The sketch of a text. Those of different texts can be made by different threads.
    pub fn sketch(&self, text: &str) -> Sketch {
        let mut hashes = self.shingles.of(text);
        let mut minima = [u32::MAX; N_HASHES];
        for &hash in &hashes {
            // Multiply and add with odd multipliers, low bits mixed in by the xor before: enough to order sets anew.
            let hash = hash ^ (hash >> 15);
            for (minimum, (a, b)) in minima.iter_mut().zip(PERMUTATIONS) {
                *minimum = (*minimum).min(hash.wrapping_mul(a).wrapping_add(b));
            }
        }
        let band = |rows: &[u32]| rows.iter().fold(1, |sum, &row| mix(sum ^ u64::from(row)));
        let bands = minima.chunks_exact(self.n_rows).map(band).collect();
        let n_shingles = hashes.len() as u32;
        hashes.truncate(SKETCH_MAX);
        hashes.shrink_to_fit();
        Sketch { lowest: hashes, n_shingles, bands }
    }
}

impl Sketch {
    /// Jaccard similarity: shared shingles ÷ all of both. 1 for two texts without any.
    pub fn similarity(&self, other: &Sketch) -> f64 {
        similarity(&self.lowest, self.n_shingles, &other.lowest, other.n_shingles)
    }
}

/// Of the lowest hashes of the union that both sketches can tell, the share that is in both.
fn similarity(a: &[u32], n_a: u32, b: &[u32], n_b: u32) -> f64 {
    let whole = n_a as usize == a.len() && n_b as usize == b.len();
    let limit = if whole { usize::MAX } else { SKETCH_MAX };
    let (mut i, mut j, mut n_union, mut n_both) = (0, 0, 0_usize, 0_usize);
    while n_union < limit && (i < a.len() || j < b.len()) {
        match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) if x == y => {
                n_both += 1;
                (i, j) = (i + 1, j + 1);
            }
            (Some(x), Some(y)) if x < y => i += 1,
            (Some(_), None) => i += 1,
            _ => j += 1,
        }
        n_union += 1;
    }
    if n_union == 0 { 1.0 } else { n_both as f64 / n_union as f64 }
}

/// Odd multipliers and addends.
const PERMUTATIONS: [(u32, u32); N_HASHES] = permutations();

const fn permutations() -> [(u32, u32); N_HASHES] {
    let mut pairs = [(0, 0); N_HASHES];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut i = 0;
    while i < N_HASHES {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = state;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^= x >> 31;
        pairs[i] = ((x >> 32) as u32 | 1, x as u32);
        i += 1;
    }
    pairs
}

/// The texts that were kept so far.
pub struct NearDuplicates {
    threshold: f64,
    bands: Vec<Band>,
    /// All sketches' lowest hashes, one after the other.
    lowest: Vec<u32>,
    /// Where each sketch ends, and how many shingles its text has.
    ends: Vec<(u64, u32)>,
}

impl NearDuplicates {
    /// Texts are near duplicates from this similarity on.
    pub fn new(threshold: f64) -> NearDuplicates {
        NearDuplicates { threshold, bands: Vec::new(), lowest: Vec::new(), ends: Vec::new() }
    }

    /// How many texts were kept.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The kept text that this one is most like, if it is a near duplicate: its number, and how like. Otherwise the
    /// text is kept, under the next number.
    pub fn insert(&mut self, sketch: &Sketch) -> Option<(usize, f64)> {
        let mut candidates: Vec<u32> = Vec::new();
        for (band, &key) in self.bands.iter().zip(&sketch.bands) {
            band.find(key, &mut candidates);
        }
        candidates.sort_unstable();
        candidates.dedup();
        let compared = candidates.into_iter().map(|number| (number as usize, self.compare(sketch, number as usize)));
        // Of equally like ones the first.
        let nearest = compared.fold(None, |best: Option<(usize, f64)>, next| match best {
            Some(best) if best.1 >= next.1 => Some(best),
            _ => Some(next),
        });
        if let Some(found) = nearest.filter(|(_, similarity)| *similarity >= self.threshold) {
            return Some(found);
        }
        let number = self.ends.len() as u32;
        self.bands.resize_with(sketch.bands.len(), Band::default);
        for (band, &key) in self.bands.iter_mut().zip(&sketch.bands) {
            band.add(key, number);
        }
        self.lowest.extend_from_slice(&sketch.lowest);
        self.ends.push((self.lowest.len() as u64, sketch.n_shingles));
        None
    }

    fn compare(&self, sketch: &Sketch, number: usize) -> f64 {
        let start = if number == 0 { 0 } else { self.ends[number - 1].0 as usize };
        let (end, n_shingles) = self.ends[number];
        similarity(&sketch.lowest, sketch.n_shingles, &self.lowest[start..end as usize], n_shingles)
    }
}

/// Numbers by key, in open addressing: eight bytes a slot.
#[derive(Default)]
struct Band {
    /// The upper half of the key, and the number plus one (0: empty).
    slots: Vec<(u32, u32)>,
    n_used: usize,
}

impl Band {
    fn find(&self, key: u64, found: &mut Vec<u32>) {
        if self.slots.is_empty() {
            return;
        }
        let (mut place, mark) = (self.place(key), (key >> 32) as u32);
        for _ in 0..CANDIDATES_MAX {
            match self.slots[place] {
                (_, 0) => return,
                (other, number) if other == mark => found.push(number - 1),
                _ => {}
            }
            place = (place + 1) & (self.slots.len() - 1);
        }
    }

    fn add(&mut self, key: u64, number: u32) {
        if self.n_used * 4 >= self.slots.len() * 3 {
            let new = vec![(0, 0); (self.slots.len() * 2).max(64)];
            let old = std::mem::replace(&mut self.slots, new);
            for (mark, number) in old.into_iter().filter(|(_, number)| *number != 0) {
                self.put(mark, number);
            }
        }
        self.put((key >> 32) as u32, number + 1);
        self.n_used += 1;
    }

    fn put(&mut self, mark: u32, number: u32) {
        let mut place = self.place(u64::from(mark) << 32);
        for _ in 0..CANDIDATES_MAX {
            if self.slots[place].1 == 0 {
                self.slots[place] = (mark, number);
                return;
            }
            place = (place + 1) & (self.slots.len() - 1);
        }
        // So many in a row: the key is a common one, and those that are there speak for it.
    }

    /// By the marks alone, so that a table can grow without its keys.
    fn place(&self, key: u64) -> usize {
        mix(key >> 32) as usize & (self.slots.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stdx::Seed;

    const WORDS: Shingles = Shingles::Words(1);

    fn sketch(text: &str, threshold: f64) -> Sketch {
        Sketcher::new(WORDS, threshold).sketch(text)
    }

    fn jaccard(a: &str, b: &str) -> f64 {
        sketch(a, 0.8).similarity(&sketch(b, 0.8))
    }

    #[test]
    fn rows_suit_the_threshold() {
        let rows = |threshold| Sketcher::new(WORDS, threshold).n_rows;
        // 1 − (1 − 0.8^7)^18 = 0.986; 1 − (1 − 0.5^3)^42 = 0.996, and with 4 rows in 31 bands 0.865.
        assert_eq!((rows(0.8), rows(0.5)), (7, 3));
        assert!(rows(0.95) > rows(0.8) && rows(0.1) == 1);
    }

    #[test]
    fn similarity_is_jaccard() {
        // a b c d against b c d e: three of five.
        assert_eq!(jaccard("a b c d", "D b c, e"), 0.6);
        assert_eq!(jaccard("", ""), 1.0);
        assert_eq!(jaccard("a", ""), 0.0);
        assert_eq!(Shingles::Words(3).of("one two three four").len(), 2);
        assert_eq!(Shingles::Words(3).of("one two").len(), 1);
        assert_eq!(Shingles::Characters(5).of("abc  déf").len(), 3);
        assert_eq!(Shingles::Characters(5).of("abc").len(), 1);
    }

    #[test]
    fn long_texts_are_estimated() {
        let text = |from: usize, to: usize| (from..to).map(|i| format!("w{i} ")).collect::<String>();
        // 4000 words, 3200 of them shared of 4800: 2/3; standard error of 256 draws 0.03.
        let found = jaccard(&text(0, 4000), &text(800, 4800));
        assert!((found - 2.0 / 3.0).abs() < 0.12, "{found}");
    }

    /// 3,000 texts of 45 words, of each a copy whose Jaccard similarity is 0.8 exactly, and one just below.
    #[test]
    fn planted_duplicates_are_found_and_others_are_not() {
        let mut stream = Seed(1).stream("minhash", 0);
        let (mut index, mut n_planted, mut n_found, mut n_wrong) = (NearDuplicates::new(0.8), 0, 0, 0);
        for _ in 0..3000 {
            let words: Vec<u64> = (0..45).map(|_| stream.below(1 << 40)).collect();
            let text = |words: &[u64]| words.iter().map(|word| format!("w{word} ")).collect::<String>();
            n_wrong += usize::from(index.insert(&sketch(&text(&words), 0.8)).is_some());
            // k of 45 words replaced: (45 − k) ÷ (45 + k); 5 gives 0.8, 6 gives 0.765.
            let mut copy = |k: usize| {
                let mut words = words.clone();
                words[..k].iter_mut().for_each(|word| *word = stream.below(1 << 40));
                index.insert(&sketch(&text(&words), 0.8)).is_some()
            };
            n_planted += 1;
            n_found += usize::from(copy(5));
            n_wrong += usize::from(copy(6));
        }
        let recall = f64::from(n_found as u32) / f64::from(n_planted);
        let precision = n_found as f64 / (n_found + n_wrong) as f64;
        assert!(recall >= 0.97 && precision >= 0.999, "recall {recall}, precision {precision}");
    }

    #[test]
    fn the_nearest_is_named_and_a_common_band_stays_bounded() {
        let mut index = NearDuplicates::new(0.5);
        for text in ["a b c d e f g h", "a b c d e f x y"] {
            index.insert(&sketch(text, 0.5));
        }
        let found = index.insert(&sketch("a b c d e f g z", 0.5));
        assert_eq!((index.len(), found), (1, Some((0, 7.0 / 9.0))));
        // Texts without any shingle are all alike.
        let mut index = NearDuplicates::new(0.8);
        for _ in 0..1000 {
            index.insert(&sketch("", 0.8));
        }
        assert_eq!(index.len(), 1);
    }
}
