//! Agreement on clusters that are drawn again and again, as [`bootstrap::clusters`](crate::bootstrap::clusters)
//! does: what each cluster adds to a statistic's counts is found once, so that a resample adds a few
//! numbers a cluster instead of reading its ratings again.
//!
//! Every statistic here is what the plain function gives for the ratings of the clusters drawn, one that
//! was drawn twice standing there twice.

use crate::Error;
use crate::agreement::{FleissSums, Weights, agreeing_pairs, cohen_of_table, distinct, place};
use crate::error::all_finite;
use crate::krippendorff::{Scale, alpha_of_coincidences, meetings};
use std::collections::BTreeMap;

/// What each cluster adds to a table of sums; cells to which it adds nothing aren't kept.
#[derive(Debug, Clone)]
struct Sums {
    /// Cells of the table.
    size: usize,
    /// Cell and amount, cluster by cluster.
    parts: Vec<(usize, f64)>,
    /// Where each cluster's parts end.
    ends: Vec<usize>,
}

impl Sums {
    fn new(size: usize) -> Sums {
        Sums { size, parts: Vec::new(), ends: Vec::new() }
    }

    fn push(&mut self, parts: BTreeMap<usize, f64>) {
        self.parts.extend(parts);
        self.ends.push(self.parts.len());
    }

    /// The table of the clusters drawn.
    fn of(&self, drawn: &[usize]) -> Vec<f64> {
        let mut table = vec![0.0; self.size];
        for &cluster in drawn {
            let start = cluster.checked_sub(1).map_or(0, |before| self.ends[before]);
            for &(cell, amount) in &self.parts[start..self.ends[cluster]] {
                table[cell] += amount;
            }
        }
        table
    }
}

/// What Krippendorff's α needs of clusters of rated things.
#[derive(Debug, Clone)]
pub struct Coincidences {
    values: Vec<f64>,
    sums: Sums,
}

impl Coincidences {
    /// Of `clusters[cluster][thing]`, the ratings of each thing; those with fewer than two don't count.
    pub fn new(clusters: &[Vec<Vec<f64>>]) -> Result<Self, Error> {
        let paired = |cluster: &'_ Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            cluster.iter().filter(|unit| unit.len() >= 2).cloned().collect()
        };
        let clusters: Vec<Vec<Vec<f64>>> = clusters.iter().map(paired).collect();
        let values = distinct(clusters.iter().flatten().flatten());
        all_finite("a rating", &values)?;
        let mut sums = Sums::new(values.len() * values.len());
        for cluster in &clusters {
            let mut parts = BTreeMap::new();
            for unit in cluster {
                meetings(unit, &values, |cell, amount| *parts.entry(cell).or_insert(0.0) += amount);
            }
            sums.push(parts);
        }
        Ok(Self { values, sums })
    }

    /// [`alpha_of_units`](crate::krippendorff::alpha_of_units) of the clusters drawn.
    pub fn alpha(&self, drawn: &[usize], scale: Scale) -> Result<f64, Error> {
        alpha_of_coincidences(&self.values, &self.sums.of(drawn), scale)
    }
}

/// What Cohen's κ needs of each two labelers of clusters of rated things.
#[derive(Debug, Clone)]
pub struct Contingencies {
    /// Of each two labelers: where their table begins, and how many categories they use.
    tables: Vec<(usize, usize)>,
    sums: Sums,
}

impl Contingencies {
    /// Of `clusters[cluster][thing]`, who gave each thing which rating.
    pub fn new<K: Ord + Copy>(clusters: &[Vec<Vec<(K, f64)>>]) -> Result<Self, Error> {
        // Each two labelers' ratings of one thing, with its cluster.
        let mut pairs = BTreeMap::<(K, K), Vec<(usize, f64, f64)>>::new();
        for (cluster, unit) in
            clusters.iter().enumerate().flat_map(|(i, units)| units.iter().map(move |unit| (i, unit)))
        {
            for a in unit {
                for b in unit.iter().filter(|b| a.0 < b.0) {
                    pairs.entry((a.0, b.0)).or_default().push((cluster, a.1, b.1));
                }
            }
        }
        let (mut tables, mut size) = (Vec::new(), 0);
        let mut parts = vec![BTreeMap::new(); clusters.len()];
        for ratings in pairs.values() {
            let values = distinct(ratings.iter().flat_map(|(_, a, b)| [a, b]));
            all_finite("a rating", &values)?;
            for (cluster, a, b) in ratings {
                let cell = size + place(*a, &values) * values.len() + place(*b, &values);
                *parts[*cluster].entry(cell).or_insert(0.0) += 1.0;
            }
            tables.push((size, values.len()));
            size += values.len() * values.len();
        }
        let mut sums = Sums::new(size);
        parts.into_iter().for_each(|parts| sums.push(parts));
        Ok(Self { tables, sums })
    }

    /// The mean of [`cohen_kappa`](crate::agreement::cohen_kappa) over each two labelers, weighted by
    /// how many things both rated in the clusters drawn. Two whose κ is undefined don't count; NaN
    /// without any.
    pub fn mean_kappa(&self, drawn: &[usize], weights: Weights) -> f64 {
        let table = self.sums.of(drawn);
        let (mut sum, mut n) = (0.0, 0.0);
        for &(start, categories) in &self.tables {
            let table = &table[start..start + categories * categories];
            if let Ok(kappa) = cohen_of_table(table, categories, weights) {
                let shared: f64 = table.iter().sum();
                sum += kappa * shared;
                n += shared;
            }
        }
        sum / n
    }
}

/// What Fleiss' κ needs of clusters of rated things.
#[derive(Debug, Clone)]
pub struct Assignments {
    /// Numbers of ratings that a thing has; each has a part of the table: things, agreeing pairs, and
    /// how often each category is used.
    sizes: Vec<usize>,
    categories: usize,
    sums: Sums,
}

impl Assignments {
    /// Of `clusters[cluster][thing]`, the ratings of each thing; those with fewer than two don't count.
    pub fn new(clusters: &[Vec<Vec<f64>>]) -> Result<Self, Error> {
        let values = distinct(clusters.iter().flatten().flatten());
        all_finite("a rating", &values)?;
        let mut sizes: Vec<usize> = clusters.iter().flatten().map(Vec::len).filter(|size| *size >= 2).collect();
        sizes.sort_unstable();
        sizes.dedup();
        let part = values.len() + 2;
        let mut sums = Sums::new(sizes.len() * part);
        for cluster in clusters {
            let mut parts = BTreeMap::new();
            for unit in cluster {
                let Ok(size) = sizes.binary_search(&unit.len()) else { continue };
                let mut add = |cell, amount| *parts.entry(size * part + cell).or_insert(0.0) += amount;
                add(0, 1.0);
                add(1, agreeing_pairs(unit));
                unit.iter().for_each(|rating| add(2 + place(*rating, &values), 1.0));
            }
            sums.push(parts);
        }
        Ok(Self { sizes, categories: values.len(), sums })
    }

    /// [`fleiss_kappa`](crate::agreement::fleiss_kappa) of those things of the clusters drawn that have
    /// the most frequent number of ratings, the larger of two that are as frequent. NaN where it is
    /// undefined.
    pub fn fleiss(&self, drawn: &[usize]) -> f64 {
        let table = self.sums.of(drawn);
        let part = |i: usize| &table[i * (self.categories + 2)..(i + 1) * (self.categories + 2)];
        let Some(most) = (0..self.sizes.len()).max_by(|&a, &b| part(a)[0].total_cmp(&part(b)[0])) else {
            return f64::NAN;
        };
        let [units, agreeing, totals @ ..] = part(most) else { return f64::NAN };
        let sums = FleissSums { units: *units, agreeing: *agreeing, totals: totals.to_vec() };
        sums.kappa(self.sizes[most]).unwrap_or(f64::NAN)
    }
}

/// Values of clusters, sorted once for the quantiles of those that are drawn.
#[derive(Debug, Clone)]
pub struct Sorted {
    /// The values with their clusters.
    values: Vec<(f64, usize)>,
    clusters: usize,
}

impl Sorted {
    /// Of the values of each cluster.
    pub fn new(clusters: &[Vec<f64>]) -> Self {
        let with_cluster = |(cluster, values): (usize, &Vec<f64>)| {
            values.iter().map(move |value| (*value, cluster)).collect::<Vec<_>>()
        };
        let mut values: Vec<(f64, usize)> = clusters.iter().enumerate().flat_map(with_cluster).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self { values, clusters: clusters.len() }
    }

    /// [`quantile`](crate::bootstrap::quantile) of all values of the clusters drawn. NaN for none.
    pub fn quantile(&self, drawn: &[usize], p: f64) -> f64 {
        let mut times = vec![0_usize; self.clusters];
        drawn.iter().for_each(|&cluster| times[cluster] += 1);
        let n: usize = self.values.iter().map(|(_, cluster)| times[*cluster]).sum();
        let Some(last) = n.checked_sub(1) else { return f64::NAN };
        let position = p.clamp(0.0, 1.0) * last as f64;
        let (low, high) = (self.at(&times, position.floor() as usize), self.at(&times, position.ceil() as usize));
        low + position.fract() * (high - low)
    }

    /// The value at a place, counted from 0, each standing there as often as its cluster was drawn.
    fn at(&self, times: &[usize], place: usize) -> f64 {
        let mut before = 0;
        let found = self.values.iter().find(|(_, cluster)| {
            before += times[*cluster];
            before > place
        });
        found.map_or(f64::NAN, |(value, _)| *value)
    }
}

#[cfg(test)]
mod tests;
