//! Reading what the kernel programs of a design tell.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::{MapData, PerCpuHashMap, RingBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Design;

/// How often a reader looks that is not woken.
const TICK: Duration = Duration::from_millis(10);
/// How often a table of flows is swept.
const SWEEP: Duration = Duration::from_secs(1);

type Flows = PerCpuHashMap<MapData, [u32; 4], [u64; 2]>;

/// Where a design's records are.
pub(super) enum Source {
    /// A ring that is looked at now and then.
    Ticked(RingBuf<MapData>),
    /// A ring whose records wake the reader, each of which is handed on.
    Woken(RingBuf<MapData>),
    /// A ring of packets.
    Packets(RingBuf<MapData>),
    /// A table of flows.
    Table(Flows),
}

impl Source {
    /// Takes it out of the loaded programs.
    pub(super) fn of(design: Design, programs: &mut Ebpf) -> Result<Self> {
        let mut ring = |name: &str| -> Result<RingBuf<MapData>> {
            Ok(RingBuf::try_from(programs.take_map(name).with_context(|| format!("the object has {name}"))?)?)
        };
        Ok(match design {
            Design::EarlyOut => Self::Ticked(ring("EARLY_RING")?),
            Design::WakeupEach => Self::Woken(ring("EACH_RING")?),
            Design::PacketRecords => Self::Packets(ring("PACKET_RING")?),
            Design::FlowTable => {
                Self::Table(Flows::try_from(programs.take_map("FLOWS").context("the object has FLOWS")?)?)
            }
        })
    }

    /// Reads until it is over; says how many records or flows there were.
    pub(super) fn read_until(self, is_over: &AtomicBool) -> Result<u64> {
        match self {
            Self::Ticked(mut ring) => until(is_over, |_| {
                std::thread::park_timeout(TICK);
                Ok(drain(&mut ring, |record| {
                    black_box(record.len());
                }))
            }),
            Self::Woken(mut ring) => until(is_over, |_| {
                wait(&ring)?;
                Ok(drain(&mut ring, |record| drop(black_box(line(record)))))
            }),
            Self::Packets(mut ring) => {
                let mut flows: HashMap<[u8; 16], (u64, u64)> = HashMap::new();
                until(is_over, |_| {
                    wait(&ring)?;
                    Ok(drain(&mut ring, |record| {
                        let (Some(key), Some(bytes)) = (record.get(8..24), record.get(24..32)) else {
                            return;
                        };
                        let key = key.try_into().expect("16 bytes");
                        let flow = flows.entry(key).or_default();
                        flow.0 += 1;
                        flow.1 += u64::from_ne_bytes(bytes.try_into().expect("8 bytes"));
                    }))
                })
            }
            Self::Table(table) => {
                let mut swept = Instant::now();
                let mut most = 0;
                until(is_over, |is_last| {
                    std::thread::park_timeout(TICK);
                    if is_last || swept.elapsed() >= SWEEP {
                        swept = Instant::now();
                        let flows = table.iter().filter(Result::is_ok).count() as u64;
                        most = most.max(flows);
                    }
                    Ok(0)
                })?;
                Ok(most)
            }
        }
    }
}

/// Takes turns until it is over, and one more.
fn until(is_over: &AtomicBool, mut turn: impl FnMut(bool) -> Result<u64>) -> Result<u64> {
    let mut read = 0;
    loop {
        let is_last = is_over.load(Ordering::Relaxed);
        read += turn(is_last)?;
        if is_last {
            return Ok(read);
        }
    }
}

fn drain(ring: &mut RingBuf<MapData>, mut each: impl FnMut(&[u8])) -> u64 {
    let mut read = 0;
    while let Some(record) = ring.next() {
        each(&record);
        read += 1;
    }
    read
}

/// Waits for a wakeup, or a tick so that the end is seen.
fn wait(ring: &RingBuf<MapData>) -> Result<()> {
    let mut polled = [PollFd::new(ring, PollFlags::IN)];
    let limit = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    match poll(&mut polled, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error).context("wait for records"),
    }
}

/// What such an agent hands on of a record, as text.
fn line(record: &[u8]) -> String {
    let word = |at: usize| {
        record
            .get(at * 8..at * 8 + 8)
            .map_or(0, |bytes| u64::from_ne_bytes(bytes.try_into().expect("8 bytes")))
    };
    let name = record.get(24..40).unwrap_or_default();
    let name = String::from_utf8_lossy(name);
    format!(
        r#"{{"kind":{},"time":{},"pid":{},"tid":{},"comm":"{}"}}"#,
        word(0),
        word(1),
        word(2) >> 32,
        word(2) as u32,
        name.trim_end_matches('\0')
    )
}
