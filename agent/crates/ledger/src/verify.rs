//! Whether a ledger or bundle is as it was written.

mod blame;
mod segments;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::bundle;
use crate::error::LedgerError;
use crate::hash::ChainHash;
use crate::identity::Identity;
use crate::key::{PUBLIC_KEY_FILE, PublicKey};
use crate::recovery::{self, DAMAGED};
use crate::retention::{HORIZON_FILE, Horizon};
use crate::segment;
use crate::signed_head::{SIGNED_HEAD_FILE, SignedHead};
use crate::stats::Head;
use crate::wal::{self, Position, WalReader};

use self::segments::{check_segments, check_signature, segments_before};

/// How often, and how long in between, a log whose end is torn is looked at for whether it grows.
const GROWTH_LOOKS: u32 = 10;
const GROWTH_LOOK_MS: u64 = 20;

/// The answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Everything is as it was written.
    Intact(Intact),
    /// Something is not; this is the first of it.
    Broken(Fault),
}

/// What is intact.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Intact {
    /// Sealed segments.
    pub segments: u64,
    /// Frames whose hashes were computed again from their records.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// Frames of which retention took records: their hashes are chained and signed, their records cannot be checked.
    pub thinned_frames: u64,
    /// The first frame that is there.
    pub first_frame: u64,
    /// The last frame.
    pub head: Option<Head>,
    /// The last frame that a signature covers, by a manifest or as the newest of the log; 0 if none does.
    pub signed_frame: u64,
    /// Frames behind it, which are chained only.
    pub unsigned_frames: u64,
    /// Records that were lost, by what loss records in segments say.
    pub lost: u64,
    /// What else is to be known.
    pub notes: Vec<String>,
}

/// What is not as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The segment, if it is in one.
    pub segment: Option<u64>,
    /// The first frame that is not, where it can be told.
    pub frame: Option<u64>,
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub why: String,
}

impl Fault {
    fn new(path: &Path, why: impl Into<String>) -> Self {
        Self { segment: None, frame: None, path: path.to_owned(), why: why.into() }
    }

    fn at_frame(self, frame: u64) -> Self {
        Self { frame: Some(frame), ..self }
    }
}

/// Why a check ends early.
enum Stop {
    Fault(Fault),
    Error(LedgerError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<LedgerError> for Stop {
    fn from(error: LedgerError) -> Self {
        Self::Error(error)
    }
}

/// What is known of the chain so far.
struct Chain {
    identity: Identity,
    key: PublicKey,
    /// What the next frame has to follow; none before the first that is there.
    position: Option<Position>,
    heads: Vec<Head>,
    intact: Intact,
    /// The frame of the log that was signed last.
    signed: Option<SignedHead>,
    /// What the next manifest has to name as the one before; none where that cannot be known.
    manifest: Option<Option<ChainHash>>,
}

impl Chain {
    /// Compares a frame with what was published of it.
    fn pass(&mut self, sequence: u64, hash: ChainHash, path: &Path) -> Result<(), Fault> {
        if self.intact.first_frame == 0 {
            self.intact.first_frame = sequence;
        }
        let differs = |head: &Head| head.sequence == sequence && head.hash != hash;
        if let Some(head) = self.heads.iter().find(|head| differs(head)) {
            let why = format!("its hash is {hash}, but {} was published", head.hash);
            return Err(Fault::new(path, why).at_frame(sequence));
        }
        if let Some(signed) = self.signed.as_ref().filter(|signed| signed.frame == sequence) {
            if signed.hash != hash {
                let why =
                    format!("its hash is {hash}, but {} was signed at {}", signed.hash, signed.signed_at);
                return Err(Fault::new(path, why).at_frame(sequence));
            }
            self.intact.signed_frame = self.intact.signed_frame.max(sequence);
        }
        self.heads.retain(|head| head.sequence != sequence);
        self.intact.head = Some(Head { sequence, hash });
        Ok(())
    }
}

/// Checks everything in the directory: hashes, signatures, checksums, and that nothing is missing in between. `heads` are
/// hashes that were published elsewhere; `key` is the node's public key as it is known elsewhere, else the one in the
/// directory is believed. An error says that it cannot be told, e.g. since a file may not be read.
pub fn verify(dir: &Path, key: Option<PublicKey>, heads: &[Head]) -> Result<Verdict, LedgerError> {
    verdict(check(dir, key, heads, None))
}

/// As [`verify`], but begins with the segment that holds this frame, up to which everything was found intact before. What
/// stands before that segment is not read again; the frame has to be there with that hash.
pub fn verify_after(
    dir: &Path,
    key: Option<PublicKey>,
    heads: &[Head],
    after: Head,
) -> Result<Verdict, LedgerError> {
    let mut heads = heads.to_vec();
    heads.push(after);
    verdict(check(dir, key, &heads, Some(after.sequence)))
}

fn verdict(checked: Result<Intact, Stop>) -> Result<Verdict, LedgerError> {
    match checked {
        Ok(intact) => Ok(Verdict::Intact(intact)),
        Err(Stop::Fault(fault)) => Ok(Verdict::Broken(fault)),
        Err(Stop::Error(LedgerError::Malformed { path, why })) => Ok(Verdict::Broken(Fault::new(&path, why))),
        Err(Stop::Error(LedgerError::Parquet { path, source })) => {
            Ok(Verdict::Broken(Fault::new(&path, source.to_string())))
        }
        Err(Stop::Error(error)) => Err(error),
    }
}

fn check(dir: &Path, key: Option<PublicKey>, heads: &[Head], after: Option<u64>) -> Result<Intact, Stop> {
    let Some(identity) = Identity::read(dir)? else {
        return Err(LedgerError::NoLedger { path: dir.to_owned(), why: "it has no ledger.json" }.into());
    };
    let mut intact = Intact::default();
    let key = match key {
        Some(key) => key,
        None => {
            intact.notes.push("the key in the directory itself is believed; --key names another".to_owned());
            PublicKey::read(&dir.join(PUBLIC_KEY_FILE))?
        }
    };
    // Told only where segments and log, which name frames, have nothing to say.
    let of_bundle = match bundle::check_files(dir, &key)? {
        Some(Err((path, why))) => Some(Fault::new(&path, why)),
        Some(Ok(note)) => {
            intact.notes.push(note);
            None
        }
        None => None,
    };
    // Read first: a writer signs only what is in its log.
    let signed = match SignedHead::read(dir, identity.id, &key)? {
        Some(Err(why)) => return Err(Fault::new(&dir.join(SIGNED_HEAD_FILE), why).into()),
        signed => signed.and_then(Result::ok),
    };
    let mut chain =
        Chain { identity, key, position: None, heads: heads.to_vec(), intact, signed, manifest: None };
    // Opened first: what is sealed meanwhile is met in one of the two.
    let logs = wal::open_all(dir)?;
    let is_bundle = dir.join(bundle::QUERY_FILE).exists();
    if let Some(horizon) = Horizon::read(dir)? {
        check_signature(&dir.join(HORIZON_FILE), &chain.key)?;
        let note = format!("segments up to {} were removed by retention", horizon.segment);
        chain.intact.notes.push(note);
        chain.manifest = Some(Some(horizon.manifest));
        chain.position = Some(Position {
            next_sequence: horizon.frames.last + 1,
            next_record: horizon.frames.last_record + 1,
            previous: horizon.frames.last_hash,
        });
    } else if !is_bundle {
        chain.manifest = Some(None);
        let previous = ChainHash::genesis(&chain.identity.id.0);
        chain.position = Some(Position { next_sequence: 1, next_record: 1, previous });
    }
    let mut segments = segment::list(dir)?;
    if let Some(after) = after {
        let skipped = segments_before(&segments, after)?;
        if skipped > 0 {
            segments.drain(..skipped);
            let first = segments[0].0;
            chain.intact.notes.push(format!("segments before {first} were checked earlier: not read again"));
            (chain.position, chain.manifest) = (None, None);
        }
    }
    let damaged = recovery::damaged_files(dir, DAMAGED)?;
    // The cause, before the gap that it leaves in the chain.
    if let Some(path) = damaged.iter().find(|path| named(path, recovery::SEGMENT_PREFIX)) {
        let why = "this segment was set aside when the ledger was opened: its manifest could not be read";
        return Err(Fault::new(path, why).into());
    }
    check_segments(dir, &segments, &mut chain)?;
    for (file, path) in logs {
        check_log(file, &path, &mut chain)?;
    }
    if let Some(fault) = of_bundle {
        return Err(fault.into());
    }
    if let Some(path) = damaged.first() {
        let why = if named(path, "head-") {
            "the frame that it signs was not there when the ledger was opened"
        } else {
            "this was cut off from a damaged part of the ledger"
        };
        return Err(Fault::new(path, why).into());
    }
    let torn = recovery::damaged_files(dir, recovery::TORN)?.len();
    if torn > 0 {
        let note = format!("{torn} torn ends of the log were cut off at starts, as crashes leave them");
        chain.intact.notes.push(note);
    }
    let last = chain.intact.head.map_or(0, |head| head.sequence);
    if let Some(signed) = chain.signed.as_ref().filter(|signed| signed.frame > last) {
        let why = format!("frame {} was signed, but the last that is there is {last}", signed.frame);
        return Err(Fault::new(&dir.join(SIGNED_HEAD_FILE), why).at_frame(last + 1).into());
    }
    chain.intact.unsigned_frames = last.saturating_sub(chain.intact.signed_frame);
    for head in &chain.heads {
        if head.sequence > last {
            let why = format!("frame {} was published, but the last that is there is {last}", head.sequence);
            return Err(Fault::new(dir, why).at_frame(last + 1).into());
        }
        let note = format!("frame {} was published, but is not here any more: not checked", head.sequence);
        chain.intact.notes.push(note);
    }
    Ok(chain.intact)
}

fn check_log(file: File, path: &Path, chain: &mut Chain) -> Result<(), Stop> {
    let mut reader = WalReader::of(file, path)?;
    let header = *reader.header();
    if header.ledger != chain.identity.id {
        return Err(Fault::new(path, "it is of another ledger").into());
    }
    if let Some(position) = chain.position {
        let is_sealed = header.position.next_sequence < position.next_sequence;
        if is_sealed {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            chain.intact.notes.push(format!("{name} is sealed already and still there"));
            return Ok(());
        }
        if header.position != position {
            let why = format!(
                "it begins with frame {} after hash {}, expected frame {} after {}",
                header.position.next_sequence,
                header.position.previous,
                position.next_sequence,
                position.previous
            );
            return Err(Fault::new(path, why).at_frame(position.next_sequence).into());
        }
    }
    while let Some(frame) = reader.next()? {
        match frame {
            Ok(frame) => {
                chain.pass(frame.facts.sequence, frame.hash, path)?;
                chain.intact.frames += 1;
                chain.intact.records += u64::from(frame.facts.records);
            }
            Err(fault) if fault.is_tail && is_growing(path, fault.at + fault.bytes) => {
                chain.intact.notes.push(format!("frame {} is being written", fault.sequence));
            }
            Err(fault) => {
                let why = format!("at byte {}: {}", fault.at, fault.why);
                return Err(Fault::new(path, why).at_frame(fault.sequence).into());
            }
        }
    }
    chain.position = Some(reader.position());
    Ok(())
}

/// Whether somebody writes to the log: then its end need not be a whole frame yet.
fn is_growing(path: &Path, bytes: u64) -> bool {
    (0..GROWTH_LOOKS).any(|_| {
        std::thread::park_timeout(Duration::from_millis(GROWTH_LOOK_MS));
        std::fs::metadata(path).map_or(true, |metadata| metadata.len() != bytes)
    })
}

fn named(path: &Path, prefix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
}
