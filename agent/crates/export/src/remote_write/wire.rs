//! The messages of remote write 1.0 (prometheus, `prompb/remote.proto` and `prompb/types.proto`), and their compression.

use prost::Message as _;
use snap::raw::Encoder;

use super::queue::Waiting;

/// `prometheus.WriteRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) timeseries: Vec<TimeSeries>,
}

/// `prometheus.TimeSeries`: labels in the order of their names, `__name__` among them.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    pub(super) labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    pub(super) samples: Vec<Sample>,
}

/// `prometheus.Label`
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
pub(super) struct Label {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

/// `prometheus.Sample`
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Sample {
    #[prost(double, tag = "1")]
    pub(super) value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    pub(super) timestamp: i64,
}

/// Requests of at most so many samples, in Snappy's block format.
pub(super) fn requests(series: Vec<TimeSeries>, samples_max: usize) -> Vec<Waiting> {
    let mut compressor = Encoder::new();
    let mut requests = Vec::new();
    let mut rest = series;
    while !rest.is_empty() {
        let later = rest.split_off(samples_max.min(rest.len()));
        let samples = rest.len() as u64;
        let message = WriteRequest { timeseries: rest }.encode_to_vec();
        // It fails for more than 4 GiB alone.
        let body = compressor.compress_vec(&message).expect("a request is small");
        requests.push(Waiting { body: body.into(), samples });
        rest = later;
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_cut_and_come_back_as_they_were() {
        let series: Vec<_> = (0..5)
            .map(|n| TimeSeries {
                labels: vec![Label { name: "__name__".to_owned(), value: format!("m{n}") }],
                samples: vec![Sample { value: f64::from(n), timestamp: 1_700_000_000_000 }],
            })
            .collect();
        let requests = requests(series.clone(), 2);
        assert_eq!(requests.iter().map(|request| request.samples).collect::<Vec<_>>(), [2, 2, 1]);
        let read = requests.iter().flat_map(|request| {
            let message = snap::raw::Decoder::new().decompress_vec(&request.body).unwrap();
            WriteRequest::decode(message.as_slice()).unwrap().timeseries
        });
        assert_eq!(read.collect::<Vec<_>>(), series);
    }
}
