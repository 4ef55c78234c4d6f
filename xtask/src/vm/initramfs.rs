//! The first file system of a VM, as the kernel wants it: a cpio archive (Documentation/driver-api/early-userspace/
//! buffer-format.rst, "newc").

use std::collections::BTreeSet;

/// An archive under construction.
#[derive(Default)]
pub(crate) struct Initramfs {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    entries: u32,
}

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_755;

impl Initramfs {
    /// Adds an executable file, and the folders above it.
    pub(crate) fn file(&mut self, path: &str, content: &[u8]) {
        for (at, _) in path.match_indices('/') {
            let folder = path[..at].to_owned();
            if self.folders.insert(folder.clone()) {
                self.entry(&folder, FOLDER, &[]);
            }
        }
        self.entry(path, FILE, content);
    }

    /// The finished archive.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let length = u32::try_from(content.len()).expect("the format holds files below 4 GiB");
        let name_length = u32::try_from(name.len() + 1).expect("paths are short");
        // ino, mode, uid, gid, nlink, mtime, filesize, device and rdevice numbers, namesize, check
        let fields = [self.entries, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name_length, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names, modes and contents in an archive.
    fn read(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut entries = Vec::new();
        loop {
            let field = |index: usize| {
                let at = 6 + index * 8;
                usize::from_str_radix(std::str::from_utf8(&bytes[at..at + 8]).unwrap(), 16).unwrap()
            };
            assert_eq!(&bytes[..6], b"070701");
            let (mode, length, name_length) = (field(1), field(6), field(11));
            let name = std::str::from_utf8(&bytes[110..110 + name_length - 1]).unwrap().to_owned();
            let begin = (110 + name_length).next_multiple_of(4);
            if name == "TRAILER!!!" {
                return entries;
            }
            entries.push((name, u32::try_from(mode).unwrap(), bytes[begin..begin + length].to_vec()));
            bytes = &bytes[(begin + length).next_multiple_of(4)..];
        }
    }

    #[test]
    fn files_and_the_folders_above_them_are_read_back() {
        let mut archive = Initramfs::default();
        archive.file("init", b"#!/bin/sh\n");
        archive.file("a/b/one", b"1");
        archive.file("a/b/two", b"");
        let entries = read(&archive.finish());
        let names: Vec<&str> = entries.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["init", "a", "a/b", "a/b/one", "a/b/two"]);
        assert_eq!(entries[0].2, b"#!/bin/sh\n");
        assert_eq!((entries[1].1, entries[3].1), (FOLDER, FILE));
    }
}
