//! The event log: a file that rotates by size and keeps a bounded total.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::line_writer::Output;

/// Records carry command lines: for root's eyes, and whoever root lets in.
const FILE_MODE: u32 = 0o600;

/// How far from the end of a file that an earlier run left the last whole line is looked for.
const TAIL_BYTES_MAX: u64 = 1024 * 1024;

/// Where the event log goes and how much it may hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogFileConfig {
    /// The file written to; older ones stand beside it as `PATH.1` (the newest of them), `PATH.2` and so on.
    pub path: PathBuf,
    /// Size at which a file is rotated away, bytes.
    pub file_bytes_max: u64,
    /// Files kept, the one written to included. The total is bounded by this times `file_bytes_max`.
    pub files_max: u32,
}

/// The open event log.
#[derive(Debug)]
pub(super) struct LogFile {
    config: LogFileConfig,
    open: Open,
}

#[derive(Debug)]
struct Open {
    file: File,
    bytes: u64,
    /// Device and inode of a regular file; none for devices, which neither rotate nor go missing.
    identity: Option<(u64, u64)>,
    torn: bool,
}

impl LogFile {
    /// Opens or goes on with the file, and removes rotated files beyond the limit.
    pub(super) fn open(config: LogFileConfig) -> io::Result<Self> {
        let open = open(&config.path)?;
        let log = Self { config, open };
        if log.open.identity.is_some() {
            log.remove_surplus()?;
        }
        Ok(log)
    }

    /// Whether the file ends in the middle of a line.
    pub(super) fn is_torn(&self) -> bool {
        self.open.torn
    }

    fn rotated(&self, n: u32) -> PathBuf {
        let mut name = OsString::from(&self.config.path);
        name.push(format!(".{n}"));
        PathBuf::from(name)
    }

    /// A lowered limit leaves files behind that no rotation would ever reach.
    fn remove_surplus(&self) -> io::Result<()> {
        let path = &self.config.path;
        let prefix = path.file_name().map(|name| format!("{}.", name.to_string_lossy())).unwrap_or_default();
        for entry in fs::read_dir(parent(path))? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.parse::<u32>().ok());
            if number.is_some_and(|number| number >= self.config.files_max) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Output for LogFile {
    fn prepare(&mut self) -> io::Result<()> {
        let Some(identity) = self.open.identity else { return Ok(()) };
        match fs::metadata(&self.config.path) {
            Ok(now) if (now.dev(), now.ino()) == identity => {
                // Someone may have truncated it.
                self.open.bytes = now.len();
                Ok(())
            }
            Ok(_) => self.reopen(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.reopen(),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.open.file.write(bytes)?;
        self.open.bytes += written as u64;
        Ok(written)
    }

    fn take_back(&mut self, bytes: usize) -> bool {
        let length = self.open.bytes.saturating_sub(bytes as u64);
        let done = self.open.identity.is_some() && self.open.file.set_len(length).is_ok();
        if done {
            self.open.bytes = length;
        }
        done
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.open.identity.is_none() || self.open.bytes + bytes as u64 <= self.config.file_bytes_max
    }

    fn line_bytes_max(&self) -> u64 {
        self.config.file_bytes_max
    }

    fn turn_over(&mut self) -> io::Result<()> {
        let path = &self.config.path;
        // Without the file a rotation got this far before and failed to open the next one.
        if path.exists() {
            for n in (1..self.config.files_max.saturating_sub(1)).rev() {
                rename_if_there(&self.rotated(n), &self.rotated(n + 1))?;
            }
            if self.config.files_max > 1 {
                fs::rename(path, self.rotated(1))?;
            } else {
                fs::remove_file(path)?;
            }
        }
        self.reopen()
    }
}

impl LogFile {
    fn reopen(&mut self) -> io::Result<()> {
        self.open = open(&self.config.path)?;
        if self.open.torn {
            // Where lines begin is the caller's to know; a line of its own is all that is left of the torn one.
            self.open.file.write_all(b"\n")?;
            self.open.torn = false;
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<Open> {
    fs::create_dir_all(parent(path))?;
    if let Ok(metadata) = fs::metadata(path) {
        let kind = metadata.file_type();
        // A fifo blocks the opening until somebody reads it.
        if !kind.is_file() && !kind.is_char_device() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a regular file nor a device"));
        }
    }
    let mut file = OpenOptions::new().read(true).append(true).create(true).mode(FILE_MODE).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Open { file, bytes: 0, identity: None, torn: false });
    }
    let (bytes, torn) = end_at_a_line(&mut file, metadata.len())?;
    Ok(Open { file, bytes, identity: Some((metadata.dev(), metadata.ino())), torn })
}

/// Cuts off the torn line with which a killed agent may have left the file. Says the length, and whether the end
/// is torn still.
fn end_at_a_line(file: &mut File, length: u64) -> io::Result<(u64, bool)> {
    let from = length.saturating_sub(TAIL_BYTES_MAX);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    file.take(TAIL_BYTES_MAX).read_to_end(&mut tail)?;
    let whole = match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => from + at as u64 + 1,
        None if from == 0 => 0,
        None => return Ok((length, true)),
    };
    if whole < length {
        tracing::warn!(bytes = length - whole, "the event log ended in the middle of a line; cut it off");
        file.set_len(whole)?;
    }
    Ok((whole, false))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
