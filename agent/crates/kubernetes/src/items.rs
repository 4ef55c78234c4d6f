//! The entries of a list out of its JSON text, one by one as the text comes. An API server may answer with a whole
//! cluster at once (it does so where the newest state is not asked for); here is never more than one object of it.

use serde::Deserialize;

/// Largest object that is read, bytes of JSON. The store behind the API takes no request above 1.5 MiB.
pub const OBJECT_BYTES_MAX: usize = 4 << 20;
/// Longest key at the top of a list that is compared; longer ones are none that is looked for.
const KEY_BYTES_MAX: usize = 16;
/// Deepest nesting that is followed.
const DEPTH_MAX: u32 = 1024;

/// `metadata` of a list.
#[derive(Deserialize, Clone, PartialEq, Eq, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ListMetadata {
    pub(crate) resource_version: String,
    #[serde(rename = "continue")]
    pub(crate) go_on: String,
}

/// A part of a list.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Piece<'a> {
    /// An entry of `items`.
    Item(&'a str),
    /// An entry that is too large or not UTF-8.
    Unreadable(&'static str),
}

/// What is not a list.
#[derive(thiserror::Error, Clone, Copy, PartialEq, Eq, Debug)]
#[error("the answer is not a list: {0}")]
pub(crate) struct NotAList(&'static str);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Captured {
    Nothing,
    Item,
    Metadata,
}

/// Reads a list.
#[derive(Debug)]
pub(crate) struct ListReader {
    depth: u32,
    in_string: bool,
    is_escaped: bool,
    is_key_next: bool,
    key: Vec<u8>,
    captured: Captured,
    buffer: Vec<u8>,
    is_too_large: bool,
    metadata: Option<ListMetadata>,
}

impl ListReader {
    pub(crate) const fn new() -> Self {
        Self {
            depth: 0,
            in_string: false,
            is_escaped: false,
            is_key_next: false,
            key: Vec::new(),
            captured: Captured::Nothing,
            buffer: Vec::new(),
            is_too_large: false,
            metadata: None,
        }
    }

    /// Takes the next part of the text and hands over the entries that are complete with it.
    pub(crate) fn feed(&mut self, chunk: &[u8], mut each: impl FnMut(Piece<'_>)) -> Result<(), NotAList> {
        let mut begin = 0;
        for (at, &byte) in chunk.iter().enumerate() {
            if self.in_string {
                self.string_byte(byte);
                continue;
            }
            match byte {
                b'"' => {
                    self.expect_inside()?;
                    self.in_string = true;
                    if self.is_key_next {
                        self.key.clear();
                    }
                }
                b'{' | b'[' => {
                    if self.open(byte)? {
                        begin = at;
                    }
                }
                b'}' | b']' => {
                    self.depth = self.depth.checked_sub(1).ok_or(NotAList("it is not JSON"))?;
                    if self.is_complete() {
                        self.keep(&chunk[begin..=at]);
                        self.hand_over(&mut each)?;
                    }
                }
                b',' if self.depth == 1 => self.is_key_next = true,
                b',' | b' ' | b'\t' | b'\r' | b'\n' => {}
                _ => self.expect_inside()?,
            }
        }
        if self.captured != Captured::Nothing {
            self.keep(&chunk[begin..]);
        }
        Ok(())
    }

    /// What the list says of itself, once its text has ended.
    pub(crate) fn end(self) -> Result<ListMetadata, NotAList> {
        if self.depth != 0 || self.in_string {
            return Err(NotAList("it is cut off"));
        }
        self.metadata.ok_or(NotAList("it has no metadata"))
    }

    fn string_byte(&mut self, byte: u8) {
        match byte {
            _ if self.is_escaped => self.is_escaped = false,
            b'\\' => self.is_escaped = true,
            b'"' => {
                self.in_string = false;
                self.is_key_next = false;
                return;
            }
            _ => {}
        }
        if self.is_key_next && self.key.len() < KEY_BYTES_MAX {
            self.key.push(byte);
        }
    }

    /// Outside of everything is nothing, and directly in `items` are objects alone.
    fn expect_inside(&self) -> Result<(), NotAList> {
        match self.depth {
            0 => Err(NotAList("it is not a JSON object")),
            2 if self.key == b"items" => Err(NotAList("an entry is no object")),
            _ => Ok(()),
        }
    }

    /// True where something begins that is captured.
    fn open(&mut self, byte: u8) -> Result<bool, NotAList> {
        self.depth += 1;
        match (self.depth, byte) {
            (1, b'{') => self.is_key_next = true,
            (1, _) => return Err(NotAList("it is not a JSON object")),
            (2, b'{') if self.key == b"items" => return Err(NotAList("its items are no list")),
            (3, b'[') if self.key == b"items" => return Err(NotAList("an entry is no object")),
            (DEPTH_MAX.., _) => return Err(NotAList("it is nested too deeply")),
            _ => {}
        }
        let begins = match (self.depth, self.key.as_slice()) {
            (2, b"metadata") => Captured::Metadata,
            (3, b"items") => Captured::Item,
            _ => return Ok(false),
        };
        self.captured = begins;
        Ok(true)
    }

    fn is_complete(&self) -> bool {
        match self.captured {
            Captured::Nothing => false,
            Captured::Metadata => self.depth == 1,
            Captured::Item => self.depth == 2,
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.buffer.len() + bytes.len() > OBJECT_BYTES_MAX {
            self.is_too_large = true;
        } else if !self.is_too_large {
            self.buffer.extend_from_slice(bytes);
        }
    }

    fn hand_over(&mut self, each: &mut impl FnMut(Piece<'_>)) -> Result<(), NotAList> {
        let text = std::str::from_utf8(&self.buffer);
        match (self.captured, text) {
            (Captured::Metadata, Ok(text)) => {
                let metadata = serde_json::from_str(text);
                self.metadata = Some(metadata.map_err(|_| NotAList("its metadata is malformed"))?);
            }
            (Captured::Metadata, Err(_)) => return Err(NotAList("its metadata is malformed")),
            (_, _) if self.is_too_large => each(Piece::Unreadable("larger than is read")),
            (_, Ok(text)) => each(Piece::Item(text)),
            (_, Err(_)) => each(Piece::Unreadable("not UTF-8")),
        }
        self.captured = Captured::Nothing;
        self.is_too_large = false;
        self.buffer.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], chunk_bytes: usize) -> Result<(Vec<String>, ListMetadata), String> {
        let (mut reader, mut items) = (ListReader::new(), Vec::new());
        for chunk in text.chunks(chunk_bytes) {
            let each = |piece: Piece<'_>| items.push(format!("{piece:?}"));
            reader.feed(chunk, each).map_err(|error| error.to_string())?;
        }
        Ok((items, reader.end().map_err(|error| error.to_string())?))
    }

    #[test]
    fn entries_come_out_whole_however_the_text_is_cut() {
        let text = r#" {"kind":"L","x":[{"items":[{}]}],"metadata":{"resourceVersion":"7","continue":"a\"}"},
            "items" : [ {"a":"}]\\\"{","b":[{"metadata":1}]}, {} ,{"ü":"\u007d"}], "y": {"items": [1]}}"#;
        for chunk_bytes in 1..=text.len() {
            let (items, metadata) = read(text.as_bytes(), chunk_bytes).unwrap();
            let expected = [r#"{"a":"}]\\\"{","b":[{"metadata":1}]}"#, "{}", r#"{"ü":"\u007d"}"#];
            assert_eq!(items, expected.map(|text| format!("{:?}", Piece::Item(text))), "{chunk_bytes}");
            assert_eq!((metadata.resource_version.as_str(), metadata.go_on.as_str()), ("7", "a\"}"));
        }
    }

    #[test]
    fn what_is_no_list_is_told() {
        for (text, expected) in [
            (r#"{"metadata":{},"items":null}"#, "0"),
            (r#"{"items":[],"metadata":{"continue":""}}"#, "0"),
            (r#"{"items":[{}]"#, "the answer is not a list: it is cut off"),
            (r#"{"items":[{"a":"b"#, "the answer is not a list: it is cut off"),
            (r#"{"items":[{}]}"#, "the answer is not a list: it has no metadata"),
            ("", "the answer is not a list: it has no metadata"),
            ("<html>", "the answer is not a list: it is not a JSON object"),
            ("[]", "the answer is not a list: it is not a JSON object"),
            ("}", "the answer is not a list: it is not JSON"),
            (r#"{"items":[1]}"#, "the answer is not a list: an entry is no object"),
            (r#"{"items":[[]]}"#, "the answer is not a list: an entry is no object"),
            (r#"{"items":{}}"#, "the answer is not a list: its items are no list"),
            (r#"{"metadata":{"continue":4}}"#, "the answer is not a list: its metadata is malformed"),
        ] {
            for chunk_bytes in [1, 1000] {
                let told = read(text.as_bytes(), chunk_bytes);
                let told = told.map_or_else(|error| error, |(items, _)| items.len().to_string());
                assert_eq!(told, expected, "{text}");
            }
        }
        let deep = format!("{{\"x\":{}", "[".repeat(5000));
        assert!(read(deep.as_bytes(), 100).unwrap_err().contains("too deeply"));
    }

    #[test]
    fn what_is_too_large_is_left_out_alone() {
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(OBJECT_BYTES_MAX));
        let text = format!("{{\"metadata\":{{}},\"items\":[{{}},{large},{{\"b\":1}}]}}");
        let (items, _) = read(text.as_bytes(), 1 << 16).unwrap();
        let expected =
            [Piece::Item("{}"), Piece::Unreadable("larger than is read"), Piece::Item("{\"b\":1}")];
        assert_eq!(items, expected.map(|piece| format!("{piece:?}")));
        let (items, _) = read(b"{\"metadata\":{},\"items\":[{\"a\":\"\xff\"}]}", 7).unwrap();
        assert_eq!(items, [format!("{:?}", Piece::Unreadable("not UTF-8"))]);
    }
}
