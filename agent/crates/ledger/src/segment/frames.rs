//! The file with what the chain needs of each frame of a segment: all but the records, which are in the tables.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;

use super::pages::guarded;
use super::schema;
use crate::error::{At as _, InFile as _, LedgerError};
use crate::hash::{ChainHash, FrameFacts};

const HASH_BYTES: u64 = 32;

/// A frame without its records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SealedFrame {
    pub(crate) facts: FrameFacts,
    pub(crate) hash: ChainHash,
}

pub(super) fn write_frames(file: &mut File, frames: &[SealedFrame]) -> Result<(), ParquetError> {
    let columns: [fn(&FrameFacts) -> i64; 5] = [
        |facts| facts.sequence.cast_signed(),
        |facts| facts.first_record.cast_signed(),
        |facts| facts.records.into(),
        |facts| facts.payload_bytes.into(),
        |facts| facts.wall_ns,
    ];
    let schema = Arc::new(schema::frames_schema()?);
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(schema::frames_properties()?))?;
    let mut group = writer.next_row_group()?;
    let mut columns = columns.into_iter();
    while let Some(mut column) = group.next_column()? {
        if let Some(number) = columns.next() {
            let numbers: Vec<i64> = frames.iter().map(|frame| number(&frame.facts)).collect();
            column.typed::<Int64Type>().write_batch(&numbers, None, None)?;
        } else {
            let hashes: Vec<_> = frames.iter().map(|frame| ByteArray::from(frame.hash.0.to_vec())).collect();
            column.typed::<ByteArrayType>().write_batch(&hashes, None, None)?;
        }
        column.close()?;
    }
    group.close()?;
    writer.close().map(drop)
}

/// Reads all frames of a segment, in order. The file has to be the one whose checksum is in the manifest: that is for
/// the caller to see to.
pub(crate) fn read_frames(path: &Path) -> Result<Vec<SealedFrame>, LedgerError> {
    guarded(path, || read_all(path))
}

fn read_all(path: &Path) -> Result<Vec<SealedFrame>, LedgerError> {
    let file = File::open(path).at("cannot open", path)?;
    let bytes = file.metadata().at("cannot look at", path)?.len();
    let reader = SerializedFileReader::new(file).in_file(path)?;
    let mut frames = Vec::new();
    for at in 0..reader.num_row_groups() {
        let group = reader.get_row_group(at).in_file(path)?;
        // Hashes do not become smaller by being compressed.
        let rows_max = bytes / HASH_BYTES;
        let rows = u64::try_from(group.metadata().num_rows()).ok().filter(|rows| *rows <= rows_max);
        let Some(rows) = rows.and_then(|rows| usize::try_from(rows).ok()) else {
            let why =
                format!("a group has {} rows, expected at most {rows_max}", group.metadata().num_rows());
            return Err(LedgerError::malformed(path, why));
        };
        let mut numbers: [Vec<i64>; 5] = Default::default();
        let mut hashes = Vec::new();
        for column in 0..group.num_columns() {
            match group.get_column_reader(column).in_file(path)? {
                ColumnReader::Int64ColumnReader(mut reader) if column < numbers.len() => {
                    reader.read_records(rows, None, None, &mut numbers[column]).in_file(path)?;
                }
                ColumnReader::ByteArrayColumnReader(mut reader) => {
                    reader.read_records(rows, None, None, &mut hashes).in_file(path)?;
                }
                _ => return Err(LedgerError::malformed(path, "expected the columns of frames")),
            }
        }
        for at in 0..rows {
            frames.push(
                frame(&numbers, &hashes, at).ok_or_else(|| {
                    LedgerError::malformed(path, format!("row {at} of a group is no frame"))
                })?,
            );
        }
    }
    Ok(frames)
}

fn frame(numbers: &[Vec<i64>; 5], hashes: &[ByteArray], at: usize) -> Option<SealedFrame> {
    let [sequence, first_record, records, payload_bytes, written] =
        [0, 1, 2, 3, 4].map(|column| numbers[column].get(at).copied());
    Some(SealedFrame {
        facts: FrameFacts {
            sequence: sequence?.try_into().ok()?,
            first_record: first_record?.try_into().ok()?,
            records: records?.try_into().ok()?,
            payload_bytes: payload_bytes?.try_into().ok()?,
            wall_ns: written?,
        },
        hash: ChainHash(hashes.get(at)?.data().try_into().ok()?),
    })
}
