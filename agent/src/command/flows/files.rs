//! Event logs as a source.

use std::collections::{HashSet, VecDeque};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use watchfire_export::{CLIENT_LINE_BYTES_MAX, FILES_MAX, FlowFilter};

use super::line::printable;
use super::printer::Printer;

/// What names the files to `watchfire flows`.
const FLAG: &str = "--file";

/// Lines of one file that are told to be malformed; further ones are counted.
const MALFORMED_TOLD_MAX: u64 = 10;

pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Shows what matches in the files, in the order in which they are given; only the last so many, if that is asked for.
pub(super) fn show<W: Write + Send>(
    paths: &[PathBuf],
    filter: &FlowFilter,
    last: Option<usize>,
    printer: &mut Printer<W>,
) -> Result<()> {
    let mut kept = VecDeque::new();
    let is_live = paths.iter().any(|path| is_stdin(path));
    each_record(paths, FLAG, filter, &mut |line| match last {
        Some(last) => {
            kept.push_back(line.to_owned());
            if kept.len() > last {
                kept.pop_front();
            }
            Ok(())
        }
        None => {
            printer.show(line)?;
            if is_live { printer.flush() } else { Ok(()) }
        }
    })?;
    for line in kept {
        printer.show(&line)?;
    }
    printer.flush()
}

/// Takes what matches in the files, in the order in which they are given, each after those rotated away from it. `flag` is
/// what errors name.
pub(in crate::command) fn each_record(
    paths: &[PathBuf],
    flag: &str,
    filter: &FlowFilter,
    take: &mut impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let mut seen = HashSet::new();
    for path in paths {
        if is_stdin(path) {
            read("standard input", flag, io::stdin().lock(), filter, take)?;
            continue;
        }
        for (path, file) in with_rotated(path, flag, &mut seen)? {
            read(&path.display().to_string(), flag, BufReader::new(file), filter, take)?;
        }
    }
    Ok(())
}

/// The file and those rotated away from it, the oldest first, without those that were seen already.
fn with_rotated(path: &Path, flag: &str, seen: &mut HashSet<(u64, u64)>) -> Result<Vec<(PathBuf, File)>> {
    let mut found = Vec::new();
    // The newest is opened first: a rotation meanwhile then makes a file appear twice, and none go missing.
    for n in 0..FILES_MAX {
        let name = if n == 0 { path.to_owned() } else { rotated(path, n) };
        let file = match File::open(&name) {
            Err(error) if n > 0 && error.kind() == io::ErrorKind::NotFound => break,
            file => file.with_context(|| format!("{flag}: cannot open {}", name.display()))?,
        };
        let metadata = file.metadata().with_context(|| format!("{flag}: {}", name.display()))?;
        if seen.insert((metadata.dev(), metadata.ino())) {
            found.push((name, file));
        }
        if !metadata.is_file() {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

fn rotated(path: &Path, n: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{n}"));
    PathBuf::from(name)
}

/// Takes the lines that match. Malformed ones are told on standard error and skipped.
fn read(
    name: &str,
    flag: &str,
    mut reader: impl BufRead,
    filter: &FlowFilter,
    take: &mut impl FnMut(&str) -> Result<()>,
) -> Result<()> {
    let mut malformed: u64 = 0;
    let mut buffer = Vec::new();
    for number in 1_u64.. {
        let Some(line) =
            next_line(&mut reader, &mut buffer).with_context(|| format!("{flag}: cannot read {name}"))?
        else {
            break;
        };
        if line.as_ref().is_ok_and(|line| line.is_empty()) {
            continue;
        }
        let matching = line.and_then(|line| match filter.matches(line.as_bytes()) {
            Ok(matches) => Ok(matches.then_some(line)),
            Err(error) => Err(reason(&error)),
        });
        match matching {
            Ok(None) => {}
            Ok(Some(line)) => take(line)?,
            Err(reason) => {
                malformed += 1;
                if malformed <= MALFORMED_TOLD_MAX {
                    eprintln!("watchfire: {name}:{number}: skipped, no record: {}", printable(&reason));
                }
            }
        }
    }
    if malformed > MALFORMED_TOLD_MAX {
        eprintln!(
            "watchfire: {name}: {malformed} lines were skipped, the first {MALFORMED_TOLD_MAX} are named"
        );
    }
    Ok(())
}

/// The next line without its end, or why it cannot be one; none at the end.
fn next_line<'a>(
    reader: &mut impl BufRead,
    buffer: &'a mut Vec<u8>,
) -> io::Result<Option<Result<&'a str, String>>> {
    buffer.clear();
    let bytes = reader.by_ref().take(CLIENT_LINE_BYTES_MAX).read_until(b'\n', buffer)? as u64;
    if bytes == 0 {
        return Ok(None);
    }
    if bytes == CLIENT_LINE_BYTES_MAX && buffer.last() != Some(&b'\n') {
        reader.skip_until(b'\n')?;
        return Ok(Some(Err(format!("longer than {CLIENT_LINE_BYTES_MAX} bytes"))));
    }
    let line = std::str::from_utf8(buffer).map(str::trim_end);
    Ok(Some(line.map_err(|_| "not UTF-8".to_owned())))
}

/// The reason without the number of the line, which is always 1 here.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    format!("{reason} at column {}", error.column())
}
