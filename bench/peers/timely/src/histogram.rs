//! Latencies in nanoseconds, counted in buckets that are at most 1/128 of their value wide.

const SUB_BITS: u32 = 7;
const SUB_BUCKETS: usize = 1 << SUB_BITS;
const BUCKETS: usize = SUB_BUCKETS * (65 - SUB_BITS as usize);

#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
}

impl Histogram {
    pub fn new() -> Self {
        Histogram { counts: vec![0; BUCKETS] }
    }

    #[inline]
    pub fn add(&mut self, nanoseconds: u64) {
        self.counts[bucket(nanoseconds)] += 1;
    }

    /// The non-empty buckets, to send them to another worker.
    pub fn buckets(&self) -> Vec<(u64, u64)> {
        let numbered = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        numbered.map(|(index, count)| (index as u64, *count)).collect()
    }

    pub fn merge(&mut self, buckets: &[(u64, u64)]) {
        for (index, count) in buckets {
            self.counts[*index as usize] += count;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// The smallest bucket bound in microseconds such that at least `fraction` of the latencies are not greater.
    pub fn quantile_us(&self, fraction: f64) -> f64 {
        let total: u64 = self.counts.iter().sum();
        let rank = ((total as f64 * fraction).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_bound(index) as f64 / 1e3;
            }
        }
        0.0
    }
}

fn bucket(value: u64) -> usize {
    if value < SUB_BUCKETS as u64 {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - SUB_BITS;
    (shift as usize) * SUB_BUCKETS + (value >> shift) as usize
}

fn upper_bound(bucket: usize) -> u64 {
    if bucket < 2 * SUB_BUCKETS {
        return bucket as u64;
    }
    let shift = (bucket / SUB_BUCKETS - 1) as u32;
    let mantissa = (bucket % SUB_BUCKETS + SUB_BUCKETS) as u64;
    (mantissa << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_contains_its_values_and_is_narrow() {
        for value in [0, 1, 127, 128, 255, 256, 257, 1_000, 65_535, 65_536, 123_456_789, u64::MAX] {
            let bound = upper_bound(bucket(value));
            assert!(bound >= value && bound - value <= value / 128, "{value} {bound}");
        }
    }

    #[test]
    fn quantiles_are_ranks() {
        let mut histogram = Histogram::new();
        (1..=100).for_each(|value| histogram.add(value));
        assert_eq!(histogram.quantile_us(0.5), 0.050);
        assert_eq!(histogram.quantile_us(0.99), 0.099);
        assert_eq!(histogram.quantile_us(0.999), 0.100);
    }
}
