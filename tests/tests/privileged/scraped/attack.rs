//! What an attacker does in the pods of the shop, and what goes on beside it.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::thread;

use crate::peer::Peer;
use crate::running::TestCgroup;
use crate::verdict::{connect, play};

/// Connections that policy denies to the frontend.
pub(crate) const DENIED: u64 = 20;
/// Queries that are answered, and one that is not there.
const DNS_QUERIES: u8 = 4;
/// Address of a name server of the test's own.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 153);

/// Every kind of thing that the dashboards show, once or more. What goes on does so until the answer is dropped.
pub(crate) fn run(cgroups: &[TestCgroup]) -> Peer {
    let peers = play(
        cgroups,
        &[
            (0, format!("connect-times {DENIED} 10.99.0.3:5432 4 10.99.0.1")),
            connect(1, "10.99.0.3:5432"),
            connect(1, "10.99.0.4:80"),
            connect(3, "10.99.0.3:5432"),
            connect(1, "10.99.0.3:9"),
            (1, "hold 10.99.0.3:5432 10.99.0.2".to_owned()),
        ],
    );
    // In the frontend: a shell that reads secrets, makes namespaces, becomes another user
    // and root again by a setuid program.
    let folder = tempfile::tempdir().expect("a folder");
    let setuid = folder.path().join("setuid");
    fs::copy(fs::canonicalize("/bin/sh").expect("a shell"), &setuid).expect("copy a program");
    fs::set_permissions(&setuid, Permissions::from_mode(0o4755)).expect("make it setuid");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("let everybody in");
    let script = format!(
        "exec /bin/sh -c 'cat /etc/shadow >/dev/null; unshare --mount true; \
         setpriv --reuid 1000 --clear-groups {} -c true'",
        setuid.display()
    );
    let status = cgroups[0].shell(&script).status().expect("start a shell");
    assert!(status.success(), "{status}");
    ask_names();
    open_tls();
    peers
}

/// A DNS query that a server of ours answers, and one that it says has no answer.
fn ask_names() {
    let server = UdpSocket::bind((NAME_SERVER, 53)).expect("port 53 of an address of our own");
    let answering = thread::spawn(move || {
        let mut query = [0; 512];
        for n in 0..DNS_QUERIES {
            let (length, from) = server.recv_from(&mut query).expect("a query");
            // QR and, for the last, NXDOMAIN (RFC 1035, section 4.1.1).
            query[2] |= 0x80;
            query[3] = if n + 1 == DNS_QUERIES { 3 } else { 0 };
            server.send_to(&query[..length], from).expect("answer");
        }
    });
    for n in 0..DNS_QUERIES {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let header = [0, n, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let question = b"\x04shop\x07example\x00\x00\x01\x00\x01";
        socket.send_to(&[&header[..], question].concat(), (NAME_SERVER, 53)).expect("ask");
        socket.recv(&mut [0; 512]).expect("an answer");
    }
    answering.join().expect("the name server answers all");
}

/// What opens TLS, by openssl, to a server that hangs up.
fn open_tls() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("accept");
        let _ = stream.read(&mut [0; 4096]).expect("a ClientHello");
        // An alert: handshake_failure (RFC 8446, section 6).
        stream.write_all(&[21, 3, 3, 0, 2, 2, 40]).expect("refuse");
    });
    let output = Command::new("openssl")
        .args(["s_client", "-connect", &address.to_string(), "-servername", "shop.example"])
        .env("OPENSSL_CONF", "/dev/null")
        .stdin(std::process::Stdio::null())
        .output()
        .expect("start openssl");
    assert!(!output.status.success(), "the server refused");
    server.join().expect("the server has seen a client");
    drop(TcpStream::connect(address));
}
