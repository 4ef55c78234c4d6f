//! softflowd, which looks at each packet and sends what it knows of flows to a collector: this program.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use super::probe::{self, DATAGRAM_PORT};
use super::sandbox;
use super::tool::Tool;
use crate::account::Account;
use crate::network::{self, DEVICE};

/// The socket by which it is asked, in the folder of the peer's own files.
const CONTROL: &str = "control";
/// Of the kernel's buffer: 64 MiB.
const BUFFER_BYTES: &str = "67108864";
/// Bytes of each packet: all headers.
const SNAPSHOT_BYTES: &str = "128";
/// Rounds of datagrams by which the last of the work's packets are pushed through.
const PUSHES_MAX: usize = 20;

/// One that runs.
pub(crate) struct Softflowd {
    tool: Tool,
    /// What the device had counted when it was ready.
    before: u64,
    collector: Collector,
}

impl Softflowd {
    pub(super) fn start(root: &Path, watched: &Path) -> Result<Self> {
        let collector = Collector::start()?;
        let to = format!("127.0.0.1:{}", collector.port);
        let control = format!("{}/{CONTROL}", sandbox::OWN);
        let arguments = ["/usr/sbin/softflowd", "-d", "-i", DEVICE, "-v", "5", "-n", &to, "-c", &control];
        let rest = ["-p", "/run/softflowd.pid", "-C", SNAPSHOT_BYTES, "-B", BUFFER_BYTES];
        let arguments: Vec<String> = arguments.into_iter().chain(rest).map(str::to_owned).collect();
        let mut tool = Tool::start(root, watched, sandbox::ALONE, &arguments, |_| Ok(()))?;
        tool.until_told(|tool| {
            probe::datagrams()?;
            Ok(ask(tool, "statistics").is_ok_and(|answer| processed(&answer).unwrap_or(0) > 0))
        })?;
        Ok(Self { tool, before: network::packets()?, collector })
    }

    pub(super) const fn tool(&self) -> &Tool {
        &self.tool
    }

    pub(super) fn stop(mut self) -> Result<Account> {
        let expected = network::packets()? - self.before;
        // It waits for whole blocks of packets, however long that takes: others push through what waits in the last one.
        let seen = processed(&ask(&self.tool, "statistics")?)?;
        for _ in 0..PUSHES_MAX {
            probe::datagrams()?;
            self.tool.settle()?;
            if processed(&ask(&self.tool, "statistics")?)? > seen {
                break;
            }
        }
        let answer = ask(&self.tool, "statistics")?;
        let dropped = number(&answer, "Packets dropped by libpcap:")?;
        // All flows are sent before it ends.
        ask(&self.tool, "shutdown")?;
        self.tool.ended()?;
        let told = self.collector.end()?;
        Ok(Account { expected, told, dropped, ..Account::default() })
    }
}

/// What it answers to a command.
fn ask(tool: &Tool, command: &str) -> Result<String> {
    let path = tool.file(CONTROL);
    let mut socket = UnixStream::connect(&path).with_context(|| format!("connect to {}", path.display()))?;
    socket.write_all(format!("{command}\n").as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}

fn processed(answer: &str) -> Result<u64> {
    number(answer, "Packets processed:")
}

fn number(answer: &str, key: &str) -> Result<u64> {
    let number = answer.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok());
    number.with_context(|| format!("softflowd says {key:?}: {answer}"))
}

/// A collector of NetFlow, version 5.
struct Collector {
    port: u16,
    is_over: Arc<AtomicBool>,
    reader: JoinHandle<Result<u64>>,
}

impl Collector {
    fn start() -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let port = socket.local_addr()?.port();
        let is_over = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let is_over = Arc::clone(&is_over);
            move || {
                let (mut packets, mut buffer) = (0, [0; 2048]);
                loop {
                    match socket.recv(&mut buffer) {
                        Ok(length) => packets += packets_of(&buffer[..length])?,
                        // Nothing more is on its way.
                        Err(_) if is_over.load(Ordering::Relaxed) => return Ok(packets),
                        Err(_) => {}
                    }
                }
            }
        });
        Ok(Self { port, is_over, reader })
    }

    /// Packets of all flows but those of probes.
    fn end(self) -> Result<u64> {
        self.is_over.store(true, Ordering::Relaxed);
        self.reader.join().map_err(|_| anyhow!("the collector has panicked"))?
    }
}

/// Packets that a message tells of: a header of 24 bytes with the number of flows, 48 bytes for each of these (Cisco,
/// NetFlow Export Datagram Format, version 5).
fn packets_of(message: &[u8]) -> Result<u64> {
    let half = |bytes: &[u8], at: usize| {
        let two = bytes.get(at..at + 2).with_context(|| format!("a flow in {} bytes", message.len()))?;
        anyhow::Ok(u16::from_be_bytes(two.try_into()?))
    };
    anyhow::ensure!(half(message, 0)? == 5, "a message of version 5");
    let mut packets = 0;
    for flow in message.get(24..).unwrap_or_default().chunks_exact(48).take(half(message, 2)?.into()) {
        let count = u32::from(half(flow, 16)?) << 16 | u32::from(half(flow, 18)?);
        let is_probe = half(flow, 34)? == DATAGRAM_PORT && flow[38] == 17;
        if !is_probe {
            packets += u64::from(count);
        }
    }
    Ok(packets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_all_flows_but_the_probes() {
        let mut message = vec![0; 24 + 2 * 48];
        message[1] = 5;
        message[3] = 2;
        message[24 + 17..24 + 20].copy_from_slice(&[1, 0, 2]);
        message[24 + 34..24 + 36].copy_from_slice(&80_u16.to_be_bytes());
        message[24 + 48 + 19] = 7;
        message[24 + 48 + 34..24 + 48 + 36].copy_from_slice(&9_u16.to_be_bytes());
        message[24 + 48 + 38] = 17;
        assert_eq!(packets_of(&message).unwrap(), 0x0001_0002);
        assert!(packets_of(&[0, 9, 0, 0]).is_err());
        assert_eq!(number("a: 3\nPackets processed: 41\n", "Packets processed:").unwrap(), 41);
    }
}
