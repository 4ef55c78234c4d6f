//! Lines out of a stream: each event of a watch is one.

use crate::items::OBJECT_BYTES_MAX;

/// Room for what stands around an object in an event, bytes.
const ENVELOPE_BYTES_MAX: usize = 1024;

/// Cuts a stream into lines.
#[derive(Default, Debug)]
pub(crate) struct Lines {
    buffer: Vec<u8>,
    is_too_long: bool,
}

impl Lines {
    /// Takes the next part of the stream and hands over the lines that are complete with it; none for a line that is too
    /// long. Empty lines are nothing.
    pub(crate) fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Option<&[u8]>)) {
        let mut parts = chunk.split(|byte| *byte == b'\n');
        let last = parts.next_back().unwrap_or_default();
        for part in parts {
            self.keep(part);
            match self.is_too_long {
                true => each(None),
                false if self.buffer.trim_ascii().is_empty() => {}
                false => each(Some(&self.buffer)),
            }
            self.is_too_long = false;
            self.buffer.clear();
        }
        self.keep(last);
    }

    fn keep(&mut self, part: &[u8]) {
        self.is_too_long |= self.buffer.len() + part.len() > OBJECT_BYTES_MAX + ENVELOPE_BYTES_MAX;
        if !self.is_too_long {
            self.buffer.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole() {
        let long = vec![b'x'; OBJECT_BYTES_MAX + 2 * ENVELOPE_BYTES_MAX];
        let text = [b"a\n\n \r\nbc\n".as_slice(), &long, b"\nd\ncut"].concat();
        for chunk_bytes in [1, 2, 3, 4096, text.len()] {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for chunk in text.chunks(chunk_bytes) {
                lines.feed(chunk, |line| seen.push(line.map(<[u8]>::to_vec)));
            }
            assert_eq!(seen, [Some(b"a".to_vec()), Some(b"bc".to_vec()), None, Some(b"d".to_vec())]);
        }
    }
}
