//! What the repeats of one case through one peer come to: medians, with the least and the most.

use serde::Serialize;

use super::case::Case;
use super::measure::Sample;
use super::peer::Peer;

/// A line of the table; an object of the JSON. The plain figures are medians.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    pub case: String,
    pub peer: Peer,
    pub rps: f64,
    pub p50_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub cpu_us: f64,
    pub rss_mb: f64,
    pub failed: u64,
    pub repeats: usize,
    pub spread: Spread,
}

/// The least and the most of each figure.
#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    pub rps: [f64; 2],
    pub p50_us: [f64; 2],
    pub p99_us: [f64; 2],
    pub p999_us: [f64; 2],
    pub cpu_us: [f64; 2],
    pub rss_mb: [f64; 2],
}

impl Outcome {
    pub fn new(case: Case, peer: Peer, samples: &[Sample]) -> Self {
        let figure = |of: fn(&Sample) -> f64| sorted(samples, of);
        let [rps, p50, p99] = [figure(|s| s.rps), figure(|s| s.p50_us), figure(|s| s.p99_us)];
        let [p999, cpu, rss] = [figure(|s| s.p999_us), figure(|s| s.cpu_us), figure(|s| s.rss_mb)];
        Self {
            case: case.to_string(),
            peer,
            rps: median(&rps),
            p50_us: median(&p50),
            p99_us: median(&p99),
            p999_us: median(&p999),
            cpu_us: median(&cpu),
            rss_mb: median(&rss),
            failed: samples.iter().map(|sample| sample.failed).sum(),
            repeats: samples.len(),
            spread: Spread {
                rps: ends(&rps),
                p50_us: ends(&p50),
                p99_us: ends(&p99),
                p999_us: ends(&p999),
                cpu_us: ends(&cpu),
                rss_mb: ends(&rss),
            },
        }
    }
}

fn sorted(samples: &[Sample], of: fn(&Sample) -> f64) -> Vec<f64> {
    let mut figures: Vec<f64> = samples.iter().map(of).collect();
    figures.sort_by(f64::total_cmp);
    figures
}

fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted {
        [] => 0.0,
        _ if sorted.len() % 2 == 1 => rounded(sorted[middle]),
        _ => rounded(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

fn ends(sorted: &[f64]) -> [f64; 2] {
    [sorted.first(), sorted.last()].map(|end| rounded(end.copied().unwrap_or_default()))
}

/// More digits than two would only look exact.
fn rounded(figure: f64) -> f64 {
    (figure * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_stands_between_the_least_and_the_most() {
        let samples: Vec<Sample> =
            [5.0, 1.0, 3.004, 2.0, 4.0].map(|rps| Sample { rps, failed: 1, ..Sample::default() }).into();
        let outcome = Outcome::new(Case::H1Sat, Peer::Bare, &samples);
        assert_eq!((outcome.rps, outcome.spread.rps, outcome.failed), (3.0, [1.0, 5.0], 5));
        assert_eq!(Outcome::new(Case::Idle, Peer::Bare, &samples[..2]).rps, 3.0);
    }
}
