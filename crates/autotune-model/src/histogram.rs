//! Histograms of times in microseconds, exact to three significant digits.
//!
//! The buckets are those of an HDR histogram of three digits, but only the ones
//! in use are held: a study of thousands of trials keeps a dozen histograms for
//! each, and a dense one takes 150 KiB. HDR's own format is what is stored.

use hdrhistogram::Histogram as Hdr;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

/// The largest time that a histogram holds: two minutes, in microseconds.
/// Longer ones are recorded as this one.
pub const HIGHEST_US: u64 = 120_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;
/// Values below 2^11 are exact; above, the low bits are dropped so that three
/// decimal digits stay.
const EXACT_BITS: u32 = 11;

/// A histogram with fixed buckets, so that any two can be merged exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Lowest value of the bucket and its count, ascending, no count of zero.
    counts: Vec<(u64, u64)>,
    len: u64,
}

/// Stored bytes that are not a histogram of ours.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// The bytes cannot be read.
    #[error("stored histogram cannot be read")]
    Read(#[from] hdrhistogram::serialization::DeserializeError),
    /// The histogram cannot be made.
    #[error("histogram cannot be built")]
    Create(#[from] hdrhistogram::CreationError),
    /// A value does not fit.
    #[error("value does not fit into the stored histogram")]
    Record(#[from] hdrhistogram::RecordError),
    /// The histogram cannot be written.
    #[error("histogram cannot be written")]
    Write(#[from] hdrhistogram::serialization::V2DeflateSerializeError),
}

impl Histogram {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records one time in microseconds; zero counts as one, times beyond
    /// [`HIGHEST_US`] as that.
    pub fn record(&mut self, value_us: u64) {
        self.record_n(value_us, 1);
    }

    /// Records the same time several times.
    pub fn record_n(&mut self, value_us: u64, count: u64) {
        if count == 0 {
            return;
        }
        let bucket = bucket_of(value_us);
        match self
            .counts
            .binary_search_by_key(&bucket, |(value, _)| *value)
        {
            Ok(at) => self.counts[at].1 += count,
            Err(at) => self.counts.insert(at, (bucket, count)),
        }
        self.len += count;
    }

    /// Adds all of the other one.
    pub fn merge(&mut self, other: &Self) {
        other
            .counts
            .iter()
            .for_each(|(value, count)| self.record_n(*value, *count));
    }

    /// How many values.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The mean in microseconds, each value taken as the middle of its bucket;
    /// `None` when empty.
    pub fn mean_us(&self) -> Option<f64> {
        let middle = |bucket: u64| bucket as f64 + (width(bucket) - 1) as f64 / 2.0;
        let sum: f64 = self
            .counts
            .iter()
            .map(|(value, n)| middle(*value) * *n as f64)
            .sum();
        (!self.is_empty()).then(|| sum / self.len as f64)
    }

    /// The largest value in microseconds, to the upper end of its bucket;
    /// `None` when empty.
    pub fn max_us(&self) -> Option<u64> {
        self.counts.last().map(|(bucket, _)| upper_end(*bucket))
    }

    /// The value at a quantile between 0 and 1, in microseconds, to the upper
    /// end of its bucket; `None` when empty.
    pub fn quantile_us(&self, fraction: f64) -> Option<u64> {
        self.quantile_with_infinite_us(fraction, 0)
    }

    /// The quantile where `infinite` further values lie above all others:
    /// failures count as infinitely slow. `None` means "not attained" (or no
    /// value at all). The quantile is the smallest value whose rank, counted
    /// from 1, is at least `fraction` times the number of values.
    pub fn quantile_with_infinite_us(&self, fraction: f64, infinite: u64) -> Option<u64> {
        let total = self.len + infinite;
        let rank = ((fraction * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut below = 0;
        for (bucket, count) in &self.counts {
            below += count;
            if below >= rank {
                return Some(upper_end(*bucket));
            }
        }
        None
    }

    /// The buckets in use (lowest value, microseconds) and their counts,
    /// ascending.
    pub fn counts(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts.iter().copied()
    }

    /// As V2 deflate, which the HdrHistogram libraries read.
    ///
    /// # Errors
    /// When the library cannot write it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, HistogramError> {
        let mut hdr: Hdr<u64> = Hdr::new_with_bounds(1, HIGHEST_US, SIGNIFICANT_DIGITS)?;
        for (value, count) in &self.counts {
            hdr.record_n(*value, *count)?;
        }
        let mut bytes = Vec::new();
        V2DeflateSerializer::new().serialize(&hdr, &mut bytes)?;
        Ok(bytes)
    }

    /// Back from [`Histogram::to_bytes`].
    ///
    /// # Errors
    /// When the bytes are not such a histogram.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, HistogramError> {
        let read: Hdr<u64> = Deserializer::new().deserialize(&mut bytes)?;
        let mut histogram = Self::new();
        for step in read.iter_recorded() {
            histogram.record_n(step.value_iterated_to(), step.count_at_value());
        }
        Ok(histogram)
    }
}

/// A histogram with the same buckets that holds only those in use: for one
/// endpoint and second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SparseHistogram(Vec<(u64, u32)>);

impl SparseHistogram {
    /// Records one time in microseconds, clamped as in [`Histogram::record`].
    pub fn record(&mut self, value_us: u64) {
        let bucket = bucket_of(value_us);
        match self.0.binary_search_by_key(&bucket, |(value, _)| *value) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(1),
            Err(at) => self.0.insert(at, (bucket, 1)),
        }
    }

    /// Adds all values to a dense histogram.
    pub fn add_to(&self, histogram: &mut Histogram) {
        for (value, count) in &self.0 {
            histogram.record_n(*value, u64::from(*count));
        }
    }

    /// How many values.
    pub fn len(&self) -> u64 {
        self.0.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bucket (its lowest value, microseconds) and count, ascending.
    pub fn counts(&self) -> &[(u64, u32)] {
        &self.0
    }

    /// Back from [`SparseHistogram::counts`]; buckets are normalised.
    pub fn from_counts(counts: impl IntoIterator<Item = (u64, u32)>) -> Self {
        let mut sparse = Self::default();
        for (value, count) in counts {
            let bucket = bucket_of(value);
            match sparse.0.binary_search_by_key(&bucket, |(value, _)| *value) {
                Ok(at) => sparse.0[at].1 = sparse.0[at].1.saturating_add(count),
                Err(at) => sparse.0.insert(at, (bucket, count)),
            }
        }
        sparse
    }
}

fn bucket_of(value_us: u64) -> u64 {
    let value = value_us.clamp(1, HIGHEST_US);
    let bits = u64::BITS - value.leading_zeros();
    let dropped = bits.saturating_sub(EXACT_BITS);
    (value >> dropped) << dropped
}

/// How many values fall into the bucket.
fn width(bucket: u64) -> u64 {
    let bits = u64::BITS - bucket.leading_zeros();
    1 << bits.saturating_sub(EXACT_BITS)
}

fn upper_end(bucket: u64) -> u64 {
    bucket + width(bucket) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn failures_push_a_quantile_out_of_reach() {
        let mut histogram = Histogram::new();
        (1..=96).for_each(|value| histogram.record(value));
        assert_eq!(histogram.quantile_with_infinite_us(0.95, 0), Some(92));
        assert_eq!(histogram.quantile_with_infinite_us(0.95, 4), Some(95));
        assert_eq!(histogram.quantile_with_infinite_us(0.95, 6), None);
        assert_eq!(Histogram::new().quantile_with_infinite_us(0.5, 3), None);
    }

    proptest! {
        #[test]
        fn sparse_and_dense_agree(values in prop::collection::vec(1u64..200_000_000, 1..200)) {
            let mut sparse = SparseHistogram::default();
            let mut dense = Histogram::new();
            for value in &values {
                sparse.record(*value);
                dense.record(*value);
            }
            let mut merged = Histogram::new();
            sparse.add_to(&mut merged);
            prop_assert_eq!(merged.len(), dense.len());
            prop_assert_eq!(&merged, &dense);
            prop_assert_eq!(Histogram::from_bytes(&dense.to_bytes().unwrap()).unwrap(), dense);
        }

        #[test]
        fn agrees_with_hdr(values in prop::collection::vec(1u64..HIGHEST_US, 1..200)) {
            let mut ours = Histogram::new();
            let mut hdr: Hdr<u64> = Hdr::new_with_bounds(1, HIGHEST_US, 3).unwrap();
            for value in &values {
                ours.record(*value);
                hdr.record(*value).unwrap();
            }
            for percent in 1..=100u32 {
                // Just below the step, where rounding cannot decide otherwise.
                let rank = (values.len() as f64 * f64::from(percent) / 100.0).ceil();
                let fraction = (rank - 0.5) / values.len() as f64;
                prop_assert_eq!(ours.quantile_us(fraction), Some(hdr.value_at_quantile(fraction)));
            }
            let mean = ours.mean_us().unwrap();
            prop_assert!((mean / hdr.mean() - 1.0).abs() < 1e-3);
        }

        #[test]
        fn quantile_with_infinite_is_the_order_statistic(
            mut values in prop::collection::vec(1u64..2000, 1..100),
            infinite in 0u64..50,
            percent in 1u32..100,
        ) {
            let mut histogram = Histogram::new();
            values.iter().for_each(|value| histogram.record(*value));
            values.sort_unstable();
            let fraction = f64::from(percent) / 100.0;
            let total = values.len() as u64 + infinite;
            let rank = ((fraction * total as f64).ceil() as u64).clamp(1, total) as usize;
            let expected = values.get(rank - 1).copied();
            prop_assert_eq!(histogram.quantile_with_infinite_us(fraction, infinite), expected);
        }
    }
}
