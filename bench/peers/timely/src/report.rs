//! The report that a run prints.

use crate::histogram::Histogram;

/// The result of a benchmark, on one worker or summed over all.
pub struct Outcome {
    /// Time from the common start until the work was complete.
    pub seconds: f64,
    /// Rounds of all workers together.
    pub rounds: u64,
    /// Records sent by this worker.
    pub records: u64,
    /// Bytes of text sent by this worker; 0 if bytes mean nothing.
    pub bytes: u64,
    /// This worker's part of the wrapping sum over results.
    pub checksum: u64,
    /// Nanoseconds per round, unless it is seconds over rounds.
    pub ns_per_round: Option<f64>,
    pub latencies: Histogram,
}

impl Outcome {
    pub fn new(seconds: f64, rounds: u64, records: u64, checksum: u64) -> Self {
        Outcome {
            seconds,
            rounds,
            records,
            bytes: 0,
            checksum,
            ns_per_round: None,
            latencies: Histogram::new(),
        }
    }
}

/// A benchmark's outcome over all workers, and its cost.
pub struct Report {
    pub name: String,
    pub workers: usize,
    pub outcome: Outcome,
    /// User and system time of all processes while the clock ran.
    pub cpu_seconds: f64,
    /// Sum over processes of the peak memory since their start.
    pub peak_rss_bytes: u64,
    /// Frames and bytes of progress between processes while the clock ran; 0 if they were not counted.
    pub progress_frames: u64,
    pub progress_bytes: u64,
}

impl Report {
    /// Names and JSON values, without the fields that mean nothing here.
    fn fields(&self) -> Vec<(&'static str, String)> {
        let outcome = &self.outcome;
        let float = |value: f64| format!("{value:.3}");
        let mut fields = vec![
            ("name", format!("\"{}\"", self.name)),
            ("workers", self.workers.to_string()),
            ("seconds", format!("{:.6}", outcome.seconds)),
        ];
        if outcome.rounds > 0 {
            fields.push(("rounds", outcome.rounds.to_string()));
        }
        if outcome.records > 0 {
            fields.push(("records", outcome.records.to_string()));
            fields.push(("records_per_s", float(outcome.records as f64 / outcome.seconds)));
        }
        if outcome.rounds > 0 {
            let even = outcome.seconds * 1e9 / outcome.rounds as f64;
            fields.push(("ns_per_round", float(outcome.ns_per_round.unwrap_or(even))));
        }
        if outcome.bytes > 0 {
            fields.push(("bytes_per_s", float(outcome.bytes as f64 / outcome.seconds)));
        }
        if !outcome.latencies.is_empty() {
            for (name, fraction) in [("p50_us", 0.5), ("p99_us", 0.99), ("p999_us", 0.999)] {
                fields.push((name, float(outcome.latencies.quantile_us(fraction))));
            }
        }
        fields.push(("checksum", outcome.checksum.to_string()));
        fields.push(("cpu_seconds", float(self.cpu_seconds)));
        fields.push(("peak_rss_bytes", self.peak_rss_bytes.to_string()));
        if outcome.rounds > 0 && self.progress_frames > 0 {
            let per_round = |count: u64| float(count as f64 / outcome.rounds as f64);
            fields.push(("progress_frames_per_round", per_round(self.progress_frames)));
            fields.push(("progress_bytes_per_round", per_round(self.progress_bytes)));
        }
        fields
    }

    pub fn to_json(&self) -> String {
        let fields = self.fields();
        let parts: Vec<String> =
            fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", parts.join(","))
    }

    pub fn to_text(&self) -> String {
        let fields = self.fields();
        let lines: Vec<String> = fields
            .iter()
            .map(|(name, value)| format!("{name:<26}{}", value.trim_matches('"')))
            .collect();
        lines.join("\n")
    }
}
