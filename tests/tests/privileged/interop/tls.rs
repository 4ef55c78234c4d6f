//! TLS between openssl and nginx, against tshark.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use watchfire_tests::{Agent, until};

use super::capture::{Capture, Captured, WHOLE_BYTES};
use super::ja4;
use super::program::Program;
use super::tcp::{endpoint, ends_of};
use super::wire::{End, SERVER, Wire};
use crate::running::{bare, only, ready};

const NAME: &str = "shop.example";
const TLS_PORT: u16 = 443;
/// A port that the agent is told is for TLS, where it is not spoken.
const PLAIN_PORT: u16 = 8443;

/// A certificate of our own making, without anything of this machine's settings.
fn make_certificate(folder: &Path) {
    std::fs::write(folder.join("openssl.cnf"), "[req]\ndistinguished_name = name\n[name]\n").expect("write");
    let mut request = Command::new("openssl");
    request.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    request.args(["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", &format!("/CN={NAME}")]);
    let output = openssl(&mut request, folder).output().expect("start openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn openssl<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command.current_dir(folder).env("OPENSSL_CONF", folder.join("openssl.cnf")).stdin(Stdio::null())
}

fn start_server(wire: &Wire, folder: &TempDir) -> Program {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {name};\n"))
        .concat();
    let config = format!(
        "daemon off;\nmaster_process off;\nuser root;\npid nginx.pid;\nerror_log stderr notice;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}\
         server {{\nlisten {SERVER}:{TLS_PORT} ssl http2;\nlisten {SERVER}:{PLAIN_PORT};\n\
         ssl_certificate cert.pem;\nssl_certificate_key key.pem;\n\
         ssl_protocols TLSv1.2 TLSv1.3;\n\
         location / {{ return 200 \"hello\\n\"; }}\n}}\n}}\n"
    );
    std::fs::write(folder.path().join("nginx.conf"), config).expect("write the configuration");
    let path = folder.path().to_string_lossy();
    // The last of what it says when it starts.
    let arguments = ["-p", &path, "-c", "nginx.conf", "-e", "stderr"];
    let server = Program::start(wire.command(End::Server, "nginx", &arguments), "getrlimit");
    until("nginx listens", || {
        let listening = wire.run(End::Server, "ss -ltnH");
        listening.contains(&format!(":{PLAIN_PORT} ")).then_some(())
    });
    server
}

/// One handshake, from which openssl's own account comes back.
fn connect(wire: &Wire, folder: &Path, more: &[&str]) -> Output {
    let address = format!("{SERVER}:{TLS_PORT}");
    let fixed = ["s_client", "-connect", &address, "-CAfile", "cert.pem"];
    let arguments: Vec<&str> = fixed.iter().chain(more).copied().collect();
    let mut command = wire.command(End::Client, "openssl", &arguments);
    let output = openssl(&mut command, folder).output().expect("start openssl");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

pub(crate) fn with_a_real_server() {
    agrees(&Wire::new());
}

/// Openings that are larger than a packet, as they are with keys that withstand quantum computers.
pub(crate) fn in_several_segments() {
    let wire = Wire::new();
    wire.cut_segments(200);
    let captured = agrees(&wire);
    let hellos = captured.fields("tls.handshake.type == 1", ["tcp.segment.count"]);
    assert!(
        hellos.iter().all(|[segments]| segments.parse::<u32>().is_ok_and(|segments| segments > 1)),
        "{hellos:?}"
    );
}

fn agrees(wire: &Wire) -> Captured {
    let config = json!({
        "sensor": {"families": only(&[])},
        "flows": {"tlsPorts": [TLS_PORT, PLAIN_PORT]},
    });
    let agent = bare(&["--config", "config.yaml"]).with_file("config.yaml", &config.to_string());
    let agent = ready(agent.start());
    let folder = tempfile::tempdir().expect("make a temporary folder");
    make_certificate(folder.path());
    let _server = start_server(wire, &folder);
    let capture = Capture::start(wire, WHOLE_BYTES);
    let said = connect(wire, folder.path(), &["-servername", NAME, "-alpn", "h2,http/1.1"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("TLSv1.3") && said.contains("ALPN protocol: h2"), "{said}");
    connect(wire, folder.path(), &["-noservername", "-tls1_2"]);
    connect(wire, folder.path(), &["-servername", NAME, "-tls1_3"]);
    let address = format!("{SERVER}:{PLAIN_PORT}");
    let asked = wire.run(
        End::Client,
        &format!("openssl s_client -connect {address} -noservername </dev/null 2>&1 || true"),
    );
    assert!(asked.contains("CONNECTED"), "nginx answers something else than TLS: {asked}");
    let mut plain = wire.peer(End::Client, &format!("get {address}"));
    assert!(plain.line().starts_with("HTTP/1.1 200"), "the port speaks HTTP");
    let plain = plain.line();
    let captured = capture.finish(wire);

    let hellos = hellos(&captured);
    // The fourth is to the port that does not speak it.
    assert_eq!(hellos.len(), 4, "{:?}", hellos.iter().map(|hello| &hello.client).collect::<Vec<_>>());
    for hello in &hellos {
        for side in ["client", "server"] {
            let close = close_of(&agent, wire, side, &hello.client);
            assert_eq!(close["tls"], hello.expected(), "{close}");
            assert_eq!(close["plaintext"], Value::Null, "{close}");
        }
    }
    assert_eq!(hellos[0].sni, NAME);
    assert_eq!(hellos[0].alpn, ["h2", "http/1.1"]);
    assert_eq!(hellos[1].versions, ["TLS 1.2"]);
    let close = close_of(&agent, wire, "client", &plain);
    assert_eq!((&close["plaintext"], &close["tls"]), (&json!(true), &Value::Null), "{close}");
    confirm_by_tshark(&captured, &hellos);
    captured
}

fn close_of(agent: &Agent, wire: &Wire, side: &str, client: &str) -> Value {
    agent.record(&format!("the close of {client}"), |record| {
        wire.has(record)
            && record["stage"] == "close"
            && record["side"] == side
            && ends_of(record).0 == client
    })
}

/// A `ClientHello` as tshark reads it.
struct Hello {
    client: String,
    sni: String,
    alpn: Vec<String>,
    versions: Vec<&'static str>,
    ja4: String,
}

impl Hello {
    /// What the agent must say of it.
    fn expected(&self) -> Value {
        let mut tls = json!({"versions": self.versions, "ja4": self.ja4});
        if !self.sni.is_empty() {
            tls["sni"] = json!(self.sni);
        }
        if !self.alpn.is_empty() {
            tls["alpn"] = json!(self.alpn);
        }
        tls
    }
}

fn hellos(captured: &Captured) -> Vec<Hello> {
    let packets = captured.fields(
        "tls.handshake.type == 1",
        [
            "ip.src",
            "tcp.srcport",
            "tls.handshake.extensions_server_name",
            "tls.handshake.extensions_alpn_str",
            "tls.handshake.version",
            "tls.handshake.extensions.supported_version",
            "tls.handshake.ciphersuite",
            "tls.handshake.extension.type",
            "tls.handshake.sig_hash_alg",
        ],
    );
    let hello = |[source, port, sni, alpn, legacy, supported, ciphers, extensions, signatures]: [String;
                     9]| {
        let list = |text: &str| text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let alpn: Vec<String> = list(&alpn);
        // Without the extension, the one version that the message itself names.
        let versions = ja4::numbers(if supported.is_empty() { &legacy } else { &supported });
        let ja4 = ja4::Ja4 {
            versions: &versions,
            has_name: !sni.is_empty(),
            ciphers: &ja4::numbers(&ciphers),
            extensions: &ja4::numbers(&extensions),
            signatures: &ja4::numbers(&signatures),
            protocol: alpn.first().map(String::as_str),
        }
        .fingerprint();
        Hello { client: endpoint(&source, "", &port), sni, alpn, versions: names(&versions), ja4 }
    };
    packets.into_iter().map(hello).collect()
}

fn names(versions: &[u16]) -> Vec<&'static str> {
    let name = |version: &u16| match version {
        0x0304 => "TLS 1.3",
        0x0303 => "TLS 1.2",
        0x0302 => "TLS 1.1",
        0x0301 => "TLS 1.0",
        other => panic!("openssl offers version {other:#x}"),
    };
    versions.iter().map(name).collect()
}

/// A tshark of 4.2 or later computes JA4 itself.
fn confirm_by_tshark(captured: &Captured, hellos: &[Hello]) {
    match captured.try_fields("tls.handshake.type == 1", ["tls.handshake.ja4"]) {
        Ok(rows) => {
            let ours: Vec<[String; 1]> = hellos.iter().map(|hello| [hello.ja4.clone()]).collect();
            assert_eq!(ours, rows, "JA4 as tshark computes it");
        }
        Err(error) => {
            assert!(error.contains("tls.handshake.ja4"), "tshark: {error}");
            println!("this tshark computes no JA4 itself");
        }
    }
}
