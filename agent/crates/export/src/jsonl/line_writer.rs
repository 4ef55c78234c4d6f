//! Whole lines onto something that may fail half-way.

use std::collections::VecDeque;
use std::{io, mem};

/// Lines are gathered up to this many bytes before a write; a longer line is written alone.
pub(super) const WRITE_BUFFER_BYTES: usize = 128 * 1024;

/// Where lines go.
pub(super) trait Output {
    /// Prepares for writing, e.g. by opening again what was removed.
    fn prepare(&mut self) -> io::Result<()>;

    /// As `Write::write`: may take a part only.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Takes back the last bytes written; says whether it could.
    fn take_back(&mut self, bytes: usize) -> bool;

    /// Whether that many more bytes may be written before the next `turn_over`.
    fn has_room(&self, bytes: usize) -> bool;

    /// The longest line that there can ever be room for.
    fn line_bytes_max(&self) -> u64;

    /// Makes room; what is written next begins a line.
    fn turn_over(&mut self) -> io::Result<()>;
}

/// A line, its newline included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Line<'a> {
    /// A record, counted when it is written.
    Record(&'a [u8]),
    /// A note of the sink's own.
    Note(&'a [u8]),
}

impl<'a> Line<'a> {
    const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Record(bytes) | Self::Note(bytes) => bytes,
        }
    }
}

/// Buffers lines and keeps them until they are written: after an error nothing is lost and no line is torn.
#[derive(Debug)]
pub(super) struct LineWriter<O> {
    output: O,
    buffer: Vec<u8>,
    /// Length in bytes of each line in the buffer, and the records it counts for.
    lines: VecDeque<(usize, u64)>,
    /// The output ends in the middle of a line.
    torn: bool,
    written_records: u64,
}

impl<O: Output> LineWriter<O> {
    /// `torn` tells that the output already ends in the middle of a line.
    pub(super) fn new(output: O, torn: bool) -> Self {
        let buffer = Vec::with_capacity(WRITE_BUFFER_BYTES);
        Self { output, buffer, lines: VecDeque::new(), torn, written_records: 0 }
    }

    /// Records written since this was last asked.
    pub(super) fn take_written_records(&mut self) -> u64 {
        mem::take(&mut self.written_records)
    }

    /// Records that wait for a flush.
    pub(super) fn pending_records(&self) -> u64 {
        self.lines.iter().map(|(_, records)| records).sum()
    }

    /// Whether the line can be written at all.
    pub(super) fn accepts(&self, line: Line<'_>) -> bool {
        line.bytes().len() as u64 <= self.output.line_bytes_max()
    }

    /// Takes a line. On an error it is not taken, and what was taken before is kept.
    pub(super) fn append(&mut self, line: Line<'_>) -> io::Result<()> {
        let bytes = line.bytes();
        if !self.output.has_room(self.buffer.len() + bytes.len()) {
            self.flush()?;
            if !self.output.has_room(bytes.len()) {
                self.turn_over()?;
            }
        }
        if self.buffer.len() + bytes.len() > WRITE_BUFFER_BYTES {
            self.flush()?;
        }
        self.buffer.extend_from_slice(bytes);
        self.lines.push_back((bytes.len(), u64::from(matches!(line, Line::Record(_)))));
        Ok(())
    }

    /// Writes all lines taken. On an error the ones not yet written are kept for the next time.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.output.prepare()?;
        if !self.output.has_room(self.buffer.len()) {
            self.turn_over()?;
        }
        if self.torn {
            write_some(&mut self.output, b"\n")?;
            self.torn = false;
        }
        let mut done = 0;
        let mut result = Ok(());
        while done < self.buffer.len() && result.is_ok() {
            result = write_some(&mut self.output, &self.buffer[done..]).map(|bytes| done += bytes);
        }
        let whole = self.strike_off(done);
        self.buffer.drain(..whole);
        self.torn = done > whole && !self.output.take_back(done - whole);
        result
    }

    /// Strikes off the lines that are whole within the first `done` bytes; returns their length.
    fn strike_off(&mut self, done: usize) -> usize {
        let mut whole = 0;
        while let Some((bytes, records)) = self.lines.pop_front_if(|(bytes, _)| whole + *bytes <= done) {
            whole += bytes;
            self.written_records += records;
        }
        whole
    }

    fn turn_over(&mut self) -> io::Result<()> {
        self.output.turn_over()?;
        self.torn = false;
        Ok(())
    }
}

fn write_some<O: Output>(output: &mut O, bytes: &[u8]) -> io::Result<usize> {
    loop {
        match output.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes `room` more bytes, then fails.
    #[derive(Default)]
    struct Full {
        bytes: Vec<u8>,
        room: usize,
        can_take_back: bool,
    }

    impl Output for Full {
        fn prepare(&mut self) -> io::Result<()> {
            Ok(())
        }

        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let n = bytes.len().min(self.room);
            if n == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= n;
            self.bytes.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn take_back(&mut self, bytes: usize) -> bool {
            if self.can_take_back {
                self.bytes.truncate(self.bytes.len() - bytes);
                self.room += bytes;
            }
            self.can_take_back
        }

        fn has_room(&self, _bytes: usize) -> bool {
            true
        }

        fn line_bytes_max(&self) -> u64 {
            u64::MAX
        }

        fn turn_over(&mut self) -> io::Result<()> {
            unreachable!("there is always room")
        }
    }

    fn check(can_take_back: bool, room: usize, expected_at_error: &str, expected_in_the_end: &str) {
        let mut writer = LineWriter::new(Full { room, can_take_back, ..Full::default() }, false);
        for line in ["one\n", "two\n", "three\n"] {
            writer.append(Line::Record(line.as_bytes())).unwrap();
        }
        assert_eq!(writer.flush().unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(String::from_utf8_lossy(&writer.output.bytes), expected_at_error);
        assert_eq!(writer.written_records + writer.pending_records(), 3);
        writer.output.room = 100;
        writer.flush().unwrap();
        assert_eq!(String::from_utf8_lossy(&writer.output.bytes), expected_in_the_end);
        assert_eq!((writer.written_records, writer.pending_records()), (3, 0));
    }

    #[test]
    fn a_torn_line_is_taken_back_and_written_again() {
        check(true, 6, "one\n", "one\ntwo\nthree\n");
        check(true, 4, "one\n", "one\ntwo\nthree\n");
        check(true, 0, "", "one\ntwo\nthree\n");
    }

    #[test]
    fn where_nothing_can_be_taken_back_the_torn_line_is_ended() {
        check(false, 6, "one\ntw", "one\ntw\ntwo\nthree\n");
        check(false, 8, "one\ntwo\n", "one\ntwo\nthree\n");
    }
}
