//! tcpdump, which writes the beginning of each packet to a file.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::probe::{self, DATAGRAM_PORT};
use super::sandbox;
use super::tool::Tool;
use crate::account::Account;
use crate::network::{self, DEVICE};

/// The file, in the folder of the peer's own files.
const FILE: &str = "packets.pcap";
/// Bytes of each packet: all headers.
const SNAPSHOT_BYTES: &str = "128";
/// Of the kernel's buffer.
const BUFFER_KIB: &str = "65536";
/// Looks of a tenth of a second: tcpdump waits for a second until it takes a part of the buffer that is not full.
const IDLE_LOOKS: u32 = 12;

/// One that runs.
pub(crate) struct Tcpdump {
    tool: Tool,
    /// What the device had counted when it was ready.
    before: u64,
}

impl Tcpdump {
    pub(super) fn start(root: &Path, watched: &Path) -> Result<Self> {
        let file = format!("{}/{FILE}", sandbox::OWN);
        let arguments = ["/usr/bin/tcpdump", "-i", DEVICE, "-n", "-s", SNAPSHOT_BYTES, "-B", BUFFER_KIB];
        // As root to the end: the package's own user is none of this machine's.
        let rest = ["-Z", "root", "-w", &file];
        let arguments: Vec<String> = arguments.into_iter().chain(rest).map(str::to_owned).collect();
        let mut tool = Tool::start(root, watched, sandbox::ALONE, &arguments, |_| Ok(()))?;
        tool.idles_for(IDLE_LOOKS);
        tool.until_told(|tool| {
            probe::datagrams()?;
            Ok(Packets::of(&tool.file(FILE)).is_ok_and(|packets| packets.probes > 0))
        })?;
        Ok(Self { tool, before: network::packets()? })
    }

    pub(super) const fn tool(&self) -> &Tool {
        &self.tool
    }

    pub(super) fn stop(mut self) -> Result<Account> {
        let expected = network::packets()? - self.before;
        self.tool.signal(Signal::INT)?;
        let packets = Packets::of(&self.tool.file(FILE))?;
        let errors = self.tool.errors();
        // `0 packets dropped by kernel`
        let dropped = errors.lines().find_map(|line| line.trim().strip_suffix(" packets dropped by kernel"));
        let dropped = dropped.and_then(|number| number.parse().ok());
        let dropped = dropped.with_context(|| format!("tcpdump says what was dropped: {errors}"))?;
        Ok(Account { expected, told: packets.others, dropped, ..Account::default() })
    }
}

/// Packets in a file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Packets {
    probes: u64,
    others: u64,
}

impl Packets {
    /// Of a file as it is so far; what is not whole yet is not counted.
    fn of(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let length = fs::metadata(path)?.len();
        Self::read(BufReader::with_capacity(1 << 20, file), length)
    }

    /// The format is draft-ietf-opsawg-pcap: 24 bytes, then 16 bytes before each packet, the third word of them its length
    /// in the file, all in the order of the machine that wrote it.
    fn read(mut file: impl Read, mut left: u64) -> Result<Self> {
        let mut found = Self::default();
        let mut header = [0; 24];
        if left < 24 {
            return Ok(found);
        }
        file.read_exact(&mut header)?;
        ensure!(
            header[..4] == 0xa1b2_c3d4_u32.to_ne_bytes(),
            "no file of packets: it begins with {:?}",
            &header[..4]
        );
        left -= 24;
        let mut packet = Vec::new();
        while left >= 16 {
            let mut before = [0; 16];
            file.read_exact(&mut before)?;
            let length = u32::from_ne_bytes(before[8..12].try_into()?);
            left -= 16;
            if left < u64::from(length) {
                break;
            }
            packet.resize(length as usize, 0);
            file.read_exact(&mut packet)?;
            left -= u64::from(length);
            if is_probe(&packet) { found.probes += 1 } else { found.others += 1 }
        }
        Ok(found)
    }
}

/// Whether a frame is a datagram to where the probes go: Ethernet, IPv4 without options, UDP.
fn is_probe(frame: &[u8]) -> bool {
    let is_udp = frame.get(12..15) == Some(&[8, 0, 0x45]) && frame.get(23) == Some(&17);
    is_udp && frame.get(36..38) == Some(&DATAGRAM_PORT.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_from_probes_and_from_halves() {
        let mut frame = vec![0; 60];
        frame[12..15].copy_from_slice(&[8, 0, 0x45]);
        frame[23] = 17;
        frame[36..38].copy_from_slice(&9_u16.to_be_bytes());
        let mut other = frame.clone();
        other[37] = 10;
        let mut file = 0xa1b2_c3d4_u32.to_ne_bytes().to_vec();
        file.resize(24, 0);
        for frame in [&frame, &other, &other] {
            let length = u32::try_from(frame.len()).unwrap().to_ne_bytes();
            file.extend([[0; 4], [0; 4], length, length].concat());
            file.extend(frame);
        }
        let read = |bytes: &[u8]| Packets::read(bytes, bytes.len() as u64).unwrap();
        assert_eq!(read(&file), Packets { probes: 1, others: 2 });
        assert_eq!(read(&file[..file.len() - 1]), Packets { probes: 1, others: 1 });
        assert_eq!(read(&file[..3]), Packets::default());
    }
}
