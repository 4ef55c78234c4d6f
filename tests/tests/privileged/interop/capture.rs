//! What tcpdump sees on the wire, and what tshark makes of it.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use watchfire_tests::until;

use super::program::Program;
use super::wire::{End, INTERFACE, SERVER, Wire};

/// Enough of each packet for its headers: lengths are told by them.
pub(super) const HEADERS_BYTES: usize = 128;
/// Packets of Ethernet whole. Not much more: the buffer has so much room for each of its packets.
pub(super) const WHOLE_BYTES: usize = 2048;

/// The datagram that tells that everything before it was captured, and its port.
const LAST_WORD: &str = "watchfire-end-of-capture";
pub(super) const LAST_PORT: u16 = 9;

/// A running capture.
pub(crate) struct Capture {
    tcpdump: Program,
    folder: TempDir,
}

/// A finished one.
pub(crate) struct Captured {
    folder: TempDir,
}

impl Capture {
    /// Captures so much of each packet at the client's end.
    pub(crate) fn start(wire: &Wire, snapshot_bytes: usize) -> Self {
        let folder = tempfile::tempdir().expect("make a temporary folder");
        let (snapshot, file) = (snapshot_bytes.to_string(), file_in(&folder));
        let arguments = ["-i", INTERFACE, "-s", &snapshot, "-B", "32768", "-U", "--immediate-mode", "-n"];
        let mut command = wire.command(End::Client, "tcpdump", &arguments);
        // As root to the end, since the folder is nobody else's.
        command.args(["-Z", "root", "-w"]).arg(file);
        Self { tcpdump: Program::start(command, "listening on"), folder }
    }

    /// Ends the capture once it has everything up to now.
    pub(crate) fn finish(self, wire: &Wire) -> Captured {
        wire.peer(End::Client, &format!("say {SERVER}:{LAST_PORT} {LAST_WORD}")).finish();
        let file = file_in(&self.folder);
        until("the last datagram in the capture", || {
            let bytes = std::fs::read(&file).expect("read the capture");
            bytes.windows(LAST_WORD.len()).any(|window| window == LAST_WORD.as_bytes()).then_some(())
        });
        let said = self.tcpdump.interrupt();
        assert!(said.contains("\n0 packets dropped by kernel"), "the capture is whole: {said}");
        Captured { folder: self.folder }
    }
}

impl Captured {
    /// The fields of every packet that tshark's filter admits, empty where a packet has none.
    pub(crate) fn fields<const COUNT: usize>(
        &self,
        filter: &str,
        names: [&str; COUNT],
    ) -> Vec<[String; COUNT]> {
        self.try_fields(filter, names).unwrap_or_else(|error| panic!("tshark: {error}"))
    }

    /// The same, or what tshark says where it does not know such fields.
    pub(crate) fn try_fields<const COUNT: usize>(
        &self,
        filter: &str,
        names: [&str; COUNT],
    ) -> Result<Vec<[String; COUNT]>, String> {
        let mut command = Command::new("tshark");
        command.arg("-n").arg("-r").arg(file_in(&self.folder)).args(["-Y", filter, "-T", "fields"]);
        // Its own settings must not come from the home of whoever runs the test.
        command.env("HOME", self.folder.path()).args(names.iter().flat_map(|name| ["-e", name]));
        let output = command.output().expect("start tshark");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8(output.stdout).expect("tshark writes UTF-8");
        let row = |line: &str| {
            let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
            fields.try_into().unwrap_or_else(|fields| panic!("{COUNT} fields in {fields:?}"))
        };
        Ok(text.lines().map(row).collect())
    }
}

fn file_in(folder: &TempDir) -> PathBuf {
    folder.path().join("wire.pcap")
}
