//! The ends of the workload's connections: this test binary, started again with a role in its environment.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use socket2::{Domain, Protocol, Socket, Type};

use crate::{interop, no_cgroups, operate, storm, udp};

pub(crate) const ROLE: &str = "WATCHFIRE_TEST_PEER";

/// Plays the role that the environment names, if it names one.
///
/// * `serve ADDRESS REPLY_BYTES` prints its port, and answers each connection, once the client has finished, with so
///   many bytes.
/// * `serve-mptcp ADDRESS REPLY_BYTES` does the same on a multipath socket, as programs in Go do by default.
/// * `connect ADDRESS BYTES [SOURCE]` sends so many bytes, finishes, and reads to the end.
/// * `connect-times TIMES ADDRESS BYTES SOURCE` does the same so often, one after the other.
/// * `hold ADDRESS [SOURCE]` connects, prints its port and keeps the connection.
/// * `answer ADDRESS REPLY_BYTES` prints its port, and answers each line with one of so many bytes.
/// * `talk ADDRESS` connects, prints its port, sends for each number that it reads a line of so many bytes, and tells how many
///   bytes the line had that it was answered.
/// * `udp-serve ADDRESS BYTES` prints its address, and answers each datagram with so many bytes.
/// * `udp-send ADDRESS COUNT BYTES connected|unconnected` sends so many datagrams, each once the one before is answered.
/// * `full ADDRESS` listens with the shortest queue and never accepts.
/// * `agent-without-mounting` becomes an agent without the capability to mount.
/// * `operate` makes the system calls that it is told.
/// * `open PATH THREADS OPENS` opens a file so often on each of so many threads.
/// * `execs COUNT EACH_SECOND NONCE` runs so many programs, not faster than that.
/// * More of them, which talk on a wire, are in `interop/roles.rs`.
///
/// Roles that go on do so until their input ends, so that none outlives its test.
pub(crate) fn run_if_asked() -> bool {
    let Ok(role) = std::env::var(ROLE) else { return false };
    let words: Vec<&str> = role.split(' ').collect();
    match words[..] {
        ["serve", address, reply] => serve(TcpListener::bind(address).expect("listen"), number(reply)),
        ["serve-mptcp", address, reply] => serve(listen_multipath(address), number(reply)),
        ["connect", address, bytes] => connect(address, number(bytes), None),
        ["connect", address, bytes, source] => connect(address, number(bytes), Some(source)),
        ["connect-times", times, address, bytes, source] => {
            (0..number(times)).for_each(|_| connect(address, number(bytes), Some(source)));
        }
        ["hold", address] => hold(address, None),
        ["hold", address, source] => hold(address, Some(source)),
        ["answer", address, reply] => answer(address, number(reply)),
        ["talk", address] => talk(address),
        ["udp-serve", address, bytes] => udp::serve(address, number(bytes)),
        ["udp-send", address, count, bytes, how] => udp::send(address, number(count), number(bytes), how),
        ["full", address] => full(address),
        ["agent-without-mounting"] => no_cgroups::become_without_mounting(),
        ["operate"] => operate::run(),
        ["open", path, threads, opens] => storm::open(path, number(threads), number(opens)),
        ["refused", threads, calls] => storm::refused(number(threads), number(calls)),
        ["execs", count, each_second, nonce] => storm::execs(number(count), number(each_second), nonce),
        _ => assert!(interop::play(&words), "unknown role {role}"),
    }
    true
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

pub(crate) fn tell(line: &str) {
    let mut output = std::io::stdout();
    // A test that has ended no longer listens.
    let _ = writeln!(output, "{line}").and_then(|()| output.flush());
}

pub(crate) fn wait_for_end_of_input() {
    let _ = std::io::stdin().read(&mut [0]);
}

fn listen_multipath(address: &str) -> TcpListener {
    let address: SocketAddr = address.parse().expect("an address");
    let socket =
        Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::MPTCP)).expect("a socket");
    socket.bind(&address.into()).expect("bind");
    socket.listen(16).expect("listen");
    socket.into()
}

fn serve(listener: TcpListener, reply: usize) {
    tell(&listener.local_addr().expect("an address").port().to_string());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accept");
            let mut sink = Vec::new();
            // A client that resets ends here as well.
            if stream.read_to_end(&mut sink).is_ok() {
                stream.write_all(&vec![b'r'; reply]).expect("answer");
            }
        }
    });
    wait_for_end_of_input();
}

fn connect(address: &str, bytes: usize, source: Option<&str>) {
    let mut stream = match open(address, source) {
        Ok(stream) => stream,
        Err(error) => return tell(&format!("failed {error}")),
    };
    stream.write_all(&vec![b's'; bytes]).expect("send");
    stream.shutdown(Shutdown::Write).expect("finish");
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(bytes) => tell(&format!("received {bytes}")),
        Err(error) => tell(&format!("failed {error}")),
    }
}

fn open(address: &str, source: Option<&str>) -> std::io::Result<TcpStream> {
    let Some(source) = source else { return TcpStream::connect(address) };
    let socket = stream_socket(address);
    socket.bind(&SocketAddr::new(source.parse().expect("a source address"), 0).into())?;
    socket.connect(&address.parse::<SocketAddr>().expect("an address").into())?;
    Ok(socket.into())
}

fn stream_socket(address: &str) -> Socket {
    let address: SocketAddr = address.parse().expect("an address");
    Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket")
}

fn hold(address: &str, source: Option<&str>) {
    let stream = open(address, source).expect("connect");
    tell(&stream.local_addr().expect("an address").port().to_string());
    wait_for_end_of_input();
    drop(stream);
}

fn line_of(bytes: usize) -> Vec<u8> {
    let mut line = vec![b'x'; bytes];
    line[bytes - 1] = b'\n';
    line
}

fn answer(address: &str, reply: usize) {
    let listener = TcpListener::bind(address).expect("listen");
    tell(&listener.local_addr().expect("an address").port().to_string());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accept");
            std::thread::spawn(move || {
                let mut lines = BufReader::new(stream.try_clone().expect("another descriptor"));
                let mut line = Vec::new();
                while lines.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                    stream.write_all(&line_of(reply)).expect("answer");
                    line.clear();
                }
            });
        }
    });
    wait_for_end_of_input();
}

fn talk(address: &str) {
    let mut stream = TcpStream::connect(address).expect("connect");
    tell(&stream.local_addr().expect("an address").port().to_string());
    let mut answers = BufReader::new(stream.try_clone().expect("another descriptor"));
    for bytes in std::io::stdin().lines() {
        stream.write_all(&line_of(number(&bytes.expect("a line")))).expect("send");
        let mut answer = Vec::new();
        let _ = answers.read_until(b'\n', &mut answer).expect("an answer");
        tell(&answer.len().to_string());
    }
}

fn full(address: &str) {
    let socket = stream_socket(address);
    socket.bind(&address.parse::<SocketAddr>().expect("an address").into()).expect("bind");
    socket.listen(0).expect("listen");
    wait_for_end_of_input();
}

/// A peer process; dropping it ends it.
pub(crate) struct Peer {
    child: Child,
    // Its end is what the roles that go on wait for.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts a role directly.
    pub(crate) fn start(role: &str) -> Self {
        Self::start_by(Command::new(this_binary()), role)
    }

    /// Starts a role by a command that in the end runs `$PEER`, which names this binary.
    pub(crate) fn start_by(mut command: Command, role: &str) -> Self {
        command.env(ROLE, role).env("PEER", this_binary()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start a peer");
        let input = child.stdin.take().expect("stdin is piped");
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        Self { child, input: Some(input), output }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line that the peer prints.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("read from the peer");
        line.trim_end().to_owned()
    }

    /// Writes a line to the peer.
    pub(crate) fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the peer still listens");
        // In one piece: a peer may end on the first byte that it gets.
        input.write_all(format!("{line}\n").as_bytes()).expect("write to the peer");
    }

    /// Writes a line to the peer, and reads its answer; empty where it ended instead.
    pub(crate) fn ask(&mut self, line: &str) -> String {
        self.tell(line);
        self.line()
    }

    /// The port that a server has printed.
    pub(crate) fn port(&mut self) -> u16 {
        self.line().parse().expect("the peer prints its port")
    }

    /// Ends its input, and waits until it has ended because of that.
    pub(crate) fn end(mut self) {
        drop(self.input.take());
        self.finish();
    }

    /// Waits until it has ended by itself.
    pub(crate) fn finish(mut self) {
        assert!(self.child.wait().expect("wait for the peer").success());
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.kill();
        // Not for ever: the end of a traced process is its tracer's to see first.
        for _ in 0..200 {
            if !matches!(self.child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
    }
}

/// The program of every peer.
pub(crate) fn this_binary() -> std::path::PathBuf {
    std::env::current_exe().expect("a test has an executable")
}

/// An address of the loopback interface.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}
