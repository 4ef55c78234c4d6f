//! A process that makes the system calls that a test tells it, and what the records of them must say of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::calls::Call;
use crate::peer::{Peer, this_binary};
use crate::running::{TestCgroup, nonce};

/// How calls are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Interface {
    /// This architecture's system calls.
    Native,
    /// Those of 32-bit programs.
    Compat,
    /// io_uring; what the test has done by system calls is done by this architecture's.
    Ring,
}

impl Interface {
    /// What records call it.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Native => None,
            Self::Compat => Some("compat"),
            Self::Ring => Some("io-uring"),
        }
    }
}

/// An argument of a call: a number, or bytes whose address is passed.
#[derive(Clone, Debug)]
pub(crate) enum Argument {
    Number(i64),
    Bytes(Vec<u8>),
}

macro_rules! argument_from {
    ($($ty:ty, $value:ident => $argument:expr;)+) => {
        $(impl From<$ty> for Argument { fn from($value: $ty) -> Self { $argument } })+
    };
}

argument_from! {
    i32, number => Self::Number(number.into());
    u32, number => Self::Number(number.into());
    i64, number => Self::Number(number);
    u64, number => Self::Number(number.cast_signed());
    usize, number => Self::Number((number as u64).cast_signed());
    &str, text => Self::Bytes(text.as_bytes().to_vec());
    &String, text => Self::Bytes(text.as_bytes().to_vec());
    &[u8], bytes => Self::Bytes(bytes.to_vec());
    Vec<u8>, bytes => Self::Bytes(bytes);
}

/// Arguments of a call.
macro_rules! args {
    ($($argument:expr),* $(,)?) => { &[$($crate::actor::Argument::from($argument)),*] };
}
pub(crate) use args;

/// An io_uring entry (`struct io_uring_sqe` of include/uapi/linux/io_uring.h).
#[derive(Clone, Copy, Default)]
pub(crate) struct Entry {
    pub(crate) opcode: u8,
    pub(crate) fd: i32,
    /// `off`, or `addr2`.
    pub(crate) off: u64,
    pub(crate) addr: u64,
    pub(crate) len: u32,
    /// `open_flags` and its like.
    pub(crate) flags: u32,
    pub(crate) addr3: u64,
}

impl Entry {
    fn bytes(self) -> Vec<u8> {
        let Self { opcode, fd, off, addr, len, flags, addr3 } = self;
        let mut bytes = vec![opcode, 0, 0, 0];
        bytes.extend(fd.to_ne_bytes());
        bytes.extend([off, addr].iter().flat_map(|number| number.to_ne_bytes()));
        bytes.extend([len, flags].iter().flat_map(|number| number.to_ne_bytes()));
        bytes.extend([0, 0, addr3, 0].iter().flat_map(|number| number.to_ne_bytes()));
        bytes
    }
}

/// Numbers as they lie in a struct.
pub(crate) fn words<const N: usize>(numbers: [u32; N]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

/// The same, of twice the size.
pub(crate) fn long_words<const N: usize>(numbers: [u64; N]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_ne_bytes()).collect()
}

/// The acting process; dropping it ends it.
pub(crate) struct Actor {
    peer: Peer,
    /// Among its arguments.
    pub(crate) nonce: String,
    pub(crate) binary: PathBuf,
    pub(crate) interface: Interface,
    opcodes: Option<Vec<u8>>,
}

impl Actor {
    pub(crate) fn start() -> Self {
        Self::new(Interface::Native)
    }

    /// One whose calls go through an interface.
    pub(crate) fn new(interface: Interface) -> Self {
        Self::by(Command::new(this_binary()), interface)
    }

    /// One in a cgroup.
    pub(crate) fn start_in(cgroup: &TestCgroup) -> Self {
        Self::by(cgroup.shell("exec \"$PEER\" \"$@\""), Interface::Native)
    }

    /// One that is process 1 of a pid namespace; its `pid` is that of the process that made it so.
    pub(crate) fn start_as_first() -> Self {
        let mut command = Command::new("unshare");
        command.args(["-p", "-f"]).arg(this_binary());
        Self::by(command, Interface::Native)
    }

    fn by(mut command: Command, interface: Interface) -> Self {
        let nonce = nonce("actor");
        command.args([&nonce, &nonce]);
        let binary = std::fs::canonicalize(this_binary()).expect("the test binary is there");
        let mut actor =
            Self { peer: Peer::start_by(command, "operate"), nonce, binary, interface, opcodes: None };
        // The shell that it may have been has become the actor once it answers.
        let _ = actor.memory(b"");
        actor
    }

    pub(crate) fn pid(&self) -> u32 {
        self.peer.pid()
    }

    /// Makes a call; its result, or a negated errno. None where this machine has no such call.
    pub(crate) fn attempt(&mut self, call: Call, arguments: &[Argument]) -> Option<i64> {
        let (verb, number) = match self.interface {
            Interface::Native | Interface::Ring => ("native", call.native?),
            Interface::Compat => ("compat", call.compat?.into()),
        };
        let result = self.peer.ask(&request(verb, number, arguments)).parse().ok()?;
        (result != -i64::from(libc::ENOSYS)).then_some(result)
    }

    /// Makes a call that every kernel has; its result, or a negated errno.
    pub(crate) fn call(&mut self, call: Call, arguments: &[Argument]) -> i64 {
        self.attempt(call, arguments).unwrap_or_else(|| panic!("{} is not there", call.name))
    }

    /// Makes a call that has to succeed, for what comes after it; always through this architecture's interface.
    pub(crate) fn prepare(&mut self, call: Call, arguments: &[Argument]) -> i64 {
        let interface = std::mem::replace(&mut self.interface, Interface::Native);
        let result = self.call(call, arguments);
        self.interface = interface;
        assert!(result >= 0, "{} to prepare the test: {}", call.name, errno(result));
        result
    }

    /// Makes a call after which the process is another program, or gone.
    pub(crate) fn last_call(&mut self, call: Call, arguments: &[Argument]) {
        let number = call.native.expect("this architecture has the call");
        self.peer.tell(&request("native", number, arguments));
    }

    /// Replaces the actor by a program: `path`, arguments and environment.
    pub(crate) fn exec(&mut self, path: &Path, arguments: &[&[u8]], environment: &[&str]) {
        let mut vector = |texts: Vec<&[u8]>| {
            let mut addresses: Vec<u64> = texts.iter().map(|text| self.memory(text)).collect();
            addresses.push(0);
            addresses.iter().flat_map(|address| address.to_ne_bytes()).collect::<Vec<u8>>()
        };
        let (arguments, environment) =
            (vector(arguments.to_vec()), vector(environment.iter().map(|text| text.as_bytes()).collect()));
        let path = path.to_string_lossy().into_owned();
        self.last_call(crate::calls::EXECVE, args![&path, arguments, environment]);
    }

    /// Has an io_uring entry done. None where this kernel's io_uring does not know it.
    pub(crate) fn ring(&mut self, entry: Entry) -> Option<i64> {
        if self.opcodes.is_none() {
            let answer = self.peer.ask("opcodes");
            self.opcodes = Some(answer.split(' ').filter_map(|word| word.parse().ok()).collect());
        }
        if !self.opcodes.iter().flatten().any(|opcode| *opcode == entry.opcode) {
            return None;
        }
        self.peer.ask(&format!("ring {}", word(&Argument::Bytes(entry.bytes())))).parse().ok()
    }

    /// Keeps bytes in the actor's memory, at an address below 4 GiB where the interface for 32 bits needs that.
    pub(crate) fn memory(&mut self, bytes: &[u8]) -> u64 {
        let answer = self.peer.ask(&format!("memory {}", word(&Argument::Bytes(bytes.to_vec()))));
        answer.parse().expect("the actor answers an address")
    }

    /// Lets it, or what it has become, end.
    pub(crate) fn finish(self) {
        drop(self);
    }
}

fn request(verb: &str, number: i64, arguments: &[Argument]) -> String {
    let words: Vec<String> = arguments.iter().map(word).collect();
    format!("{verb} {number} {}", words.join(" ")).trim_end().to_owned()
}

fn word(argument: &Argument) -> String {
    match argument {
        Argument::Number(number) => number.to_string(),
        Argument::Bytes(bytes) => {
            use std::fmt::Write as _;
            bytes.iter().fold("x:".to_owned(), |mut text, byte| {
                let _ = write!(text, "{byte:02x}");
                text
            })
        }
    }
}

/// The name of the error in a negated errno.
pub(crate) fn errno(result: i64) -> String {
    i32::try_from(-result).ok().and_then(watchfire_model::errno_name).unwrap_or("no error").to_owned()
}
