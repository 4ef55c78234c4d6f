//! One segment on its way: its tables and hashes side by side, then the signature, and its manifest last, which says that
//! all of it is there.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use tokio::task::JoinSet;
use watchfire_ledger::{FileSum, SealedSegment, SignedHorizon};

use crate::error::ShipError;
use crate::layout::Source;
use crate::stats::ShipStats;
use crate::store::{Put, Store, blocking, read_file};
use crate::throttle::Throttle;

/// How often a segment is begun anew since retention took files of it meanwhile.
const CHANGES_MAX: u32 = 4;

/// What shipping a segment takes.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) store: Store,
    pub(crate) source: Source,
    pub(crate) ledger: PathBuf,
    pub(crate) concurrency: usize,
    pub(crate) throttle: Arc<Throttle>,
    pub(crate) stats: Arc<ShipStats>,
}

/// What became of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shipped {
    /// It is in the store.
    Whole,
    /// A part of it cannot get there.
    InPart,
    /// Retention took it before.
    Gone,
}

/// A file of a segment and its object.
#[derive(Debug)]
struct Piece {
    name: Path,
    path: PathBuf,
    /// As the manifest has it; none of what the manifest does not name.
    sum: Option<FileSum>,
}

impl Way {
    /// Ships the segment. `before` is the one that was shipped last.
    pub(crate) async fn ship(&self, number: u64, before: u64) -> Result<Shipped, ShipError> {
        let mut changes = 0;
        loop {
            let ledger = self.ledger.clone();
            let Some(segment) = blocking(move || SealedSegment::read(&ledger, number)).await? else {
                return Ok(Shipped::Gone);
            };
            match self.ship_as_it_is(segment, before).await {
                Err(ShipError::Gone { .. }) if changes < CHANGES_MAX => changes += 1,
                shipped => return shipped,
            }
        }
    }

    async fn ship_as_it_is(&self, segment: SealedSegment, before: u64) -> Result<Shipped, ShipError> {
        let number = segment.manifest.segment;
        if number > before + 1 {
            self.say_what_is_missing(number).await?;
        }
        let mut pieces = self.pieces(&segment);
        let last = pieces.split_off(pieces.len() - 2);
        let mut is_whole = self.side_by_side(pieces).await?;
        for piece in last {
            is_whole &= self.put(piece).await?;
        }
        Ok(if is_whole { Shipped::Whole } else { Shipped::InPart })
    }

    /// What of a segment is shipped; signature and manifest last.
    fn pieces(&self, segment: &SealedSegment) -> VecDeque<Piece> {
        let manifest = &segment.manifest;
        let root = self.store.root();
        let folder = self.source.segment(root, manifest.segment);
        let beside = |object: &str, file: &str, sum| Piece {
            name: folder.clone().join(object),
            path: segment.dir.join(file),
            sum,
        };
        let mut pieces: VecDeque<Piece> = segment
            .tables()
            .map(|family| Piece {
                name: self.source.table(root, manifest, family),
                path: segment.dir.join(family.file_name()),
                sum: Some(manifest.tables[&family].file),
            })
            .collect();
        pieces.push_back(beside(FRAMES_OBJECT, SealedSegment::FRAMES_FILE, Some(manifest.frames_file)));
        if !segment.retired.is_empty() {
            let (retired, signature) = retired_files();
            pieces.push_back(beside(&signature, &signature, None));
            pieces.push_back(beside(&retired, &retired, None));
        }
        for file in [SealedSegment::SIGNATURE_FILE, SealedSegment::MANIFEST_FILE] {
            pieces.push_back(beside(file, file, None));
        }
        pieces
    }

    /// Says whether all are in the store.
    async fn side_by_side(&self, mut pieces: VecDeque<Piece>) -> Result<bool, ShipError> {
        let mut running = JoinSet::new();
        let mut is_whole = true;
        loop {
            while running.len() < self.concurrency
                && let Some(piece) = pieces.pop_front()
            {
                let way = self.clone();
                running.spawn(async move { way.put(piece).await });
            }
            match running.join_next().await {
                None => return Ok(is_whole),
                Some(Ok(put)) => is_whole &= put?,
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }

    /// Says whether it is in the store; false if it cannot get there.
    async fn put(&self, piece: Piece) -> Result<bool, ShipError> {
        let Piece { name, path, sum } = piece;
        let put = match sum {
            Some(sum) => self.store.put_file(&name, &path, &sum, &self.throttle).await,
            None => {
                let bytes = read_file(&path).await?;
                self.store.put(&name, bytes.into(), &self.throttle).await
            }
        };
        self.count(put, || std::fs::metadata(&path).map_or(0, |metadata| metadata.len()))
    }

    /// Ships what is small and no part of a segment.
    pub(crate) async fn put_bytes(&self, name: &Path, bytes: Vec<u8>) -> Result<bool, ShipError> {
        let length = bytes.len() as u64;
        let put = self.store.put(name, Bytes::from(bytes), &self.throttle).await;
        self.count(put, || length)
    }

    fn count(&self, put: Result<Put, ShipError>, bytes: impl Fn() -> u64) -> Result<bool, ShipError> {
        let stats = &self.stats;
        match put {
            Ok(Put::Written) => {
                stats.uploaded.add(1);
                stats.shipped_bytes.add(bytes());
                Ok(true)
            }
            Ok(Put::Present) => {
                stats.present.add(1);
                Ok(true)
            }
            Err(error @ ShipError::Conflict { .. }) => {
                stats.conflicts.add(1);
                tracing::error!("{error}");
                Ok(false)
            }
            Err(error @ ShipError::Damaged { .. }) => {
                stats.damaged.add(1);
                tracing::error!("{error}");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Segments before this one were removed unshipped: what retention signed about them stands for them.
    async fn say_what_is_missing(&self, number: u64) -> Result<(), ShipError> {
        let ledger = self.ledger.clone();
        let horizon = blocking(move || SignedHorizon::read(&ledger)).await?;
        let Some(horizon) = horizon.filter(|horizon| horizon.segment + 1 == number) else {
            tracing::warn!(
                segment = number,
                "segments before it are not there, and retention does not say why"
            );
            return Ok(());
        };
        let name = self.source.removed(self.store.root(), horizon.segment);
        let signature = Path::from(format!("{name}{}", SignedHorizon::SIGNATURE_SUFFIX));
        self.put_bytes(&signature, horizon.signature).await?;
        self.put_bytes(&name, horizon.bytes).await?;
        Ok(())
    }
}

/// The hashes of frames, under a name that no reader takes for a table.
pub(crate) const FRAMES_OBJECT: &str = "frames";

/// What says which tables retention took, and its signature.
pub(crate) fn retired_files() -> (String, String) {
    let retired = SealedSegment::RETIRED_FILE.to_owned();
    let signature = format!("{retired}{}", SignedHorizon::SIGNATURE_SUFFIX);
    (retired, signature)
}
