//! The API over TLS, with tokens, with the client that the command line has; and over the unix socket.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use watchfire_api::limits::WRONG_TOKENS_MAX;
use watchfire_api::{
    Client, ClientError, CredentialFiles, Review, Reviewer, Reviewing, Target, TcpServer, UnixServer,
};
use watchfire_export::ApiRefusal;

use crate::fixture::{Api, RECORDS};

/// `printf %s abc | sha256sum`
const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
/// `printf %s xyz | sha256sum`
const XYZ: &str = "3608bca1e44ea6c4d268eb6db02260269892c0b42b86bbf1e77a6fa16c3c9282";

/// Certificate, key and tokens as Kubernetes mounts them: `..data` leads to a folder, and files lead through it.
fn mount(dir: &Path, name: &str, hash: &str) -> Vec<u8> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = dir.join(name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("tls.crt"), cert.pem()).unwrap();
    fs::write(folder.join("tls.key"), signing_key.serialize_pem()).unwrap();
    fs::write(folder.join("tokens"), format!("ci sha256 {hash}\n")).unwrap();
    let next = dir.join("..data_tmp");
    symlink(name, &next).unwrap();
    fs::rename(next, dir.join("..data")).unwrap();
    cert.pem().into_bytes()
}

fn files(dir: &Path) -> CredentialFiles {
    let file = |name: &str| dir.join("..data").join(name);
    CredentialFiles { certificate: file("tls.crt"), key: file("tls.key"), tokens: Some(file("tokens")) }
}

struct Served {
    runtime: Runtime,
    api: Api,
    port: u16,
    _stop: oneshot::Sender<()>,
}

fn serve(dir: &Path) -> Served {
    serve_with(files(dir), None)
}

fn serve_with(files: CredentialFiles, reviewer: Option<Arc<dyn Reviewer>>) -> Served {
    let runtime = Runtime::new().unwrap();
    let api = runtime.block_on(Api::new(Some(RECORDS)));
    let server = runtime.block_on(TcpServer::bind("127.0.0.1:0".parse().unwrap(), files, reviewer)).unwrap();
    let port = server.address().port();
    let (stop, stopped) = oneshot::channel::<()>();
    runtime.spawn(server.serve(api.setup.clone(), async { _ = stopped.await }));
    Served { runtime, api, port, _stop: stop }
}

fn client(port: u16, token: &str, authorities: &[u8]) -> Client {
    let target = Target::Https { host: "localhost".to_owned(), port };
    Client { target, token: Some(token.to_owned()), authorities: Some(authorities.to_vec()) }
}

fn count(client: &Client) -> Result<usize, ClientError> {
    let mut count = 0;
    for line in client.records("/api/v1/events", &[("filter", "time exists".to_owned())])? {
        line?;
        count += 1;
    }
    Ok(count)
}

#[test]
fn who_has_a_token_gets_records_and_others_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let authorities = mount(dir.path(), "one", ABC);
    let mut served = serve(dir.path());
    assert_eq!(count(&client(served.port, "abc", &authorities)).unwrap(), RECORDS);
    let access = served.runtime.block_on(served.api.accesses.recv()).unwrap();
    assert_eq!(access.caller.user.as_deref(), Some("ci"));
    assert!(access.caller.address.is_some() && access.caller.uid.is_none());

    let error = count(&client(served.port, "abd", &authorities)).unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
    let access = served.runtime.block_on(served.api.accesses.recv()).unwrap();
    assert_eq!((access.caller.user, access.answer.status), (None, 401));
    for _ in 1..WRONG_TOKENS_MAX {
        count(&client(served.port, "abd", &authorities)).unwrap_err();
    }
    let error = count(&client(served.port, "abc", &authorities)).unwrap_err();
    assert!(error.to_string().contains("429"), "{error}");
    assert!(served.api.metrics.api().refusals(ApiRefusal::WrongTokens) > 0);
}

/// Knows three tokens.
#[derive(Default, Debug)]
struct Known {
    is_away: AtomicBool,
}

impl Reviewer for Known {
    fn review<'a>(&'a self, token: &'a str, path: &'a str) -> Reviewing<'a> {
        let review = match (token, path) {
            _ if self.is_away.load(Ordering::Relaxed) => Err("it is away".to_owned()),
            ("ann's", _) | ("bob's", "/watchfire/api/v1/flows") => Ok(Review::Allowed(token[..3].into())),
            ("bob's", _) => Ok(Review::Refused("bob".into())),
            _ => Ok(Review::Unknown),
        };
        Box::pin(async { review })
    }
}

#[test]
fn tokens_that_no_file_has_are_asked_of_who_knows_them() {
    let dir = tempfile::tempdir().unwrap();
    let authorities = mount(dir.path(), "one", ABC);
    let known = Arc::new(Known::default());
    let with_file = files(dir.path());
    let without = CredentialFiles { tokens: None, ..with_file.clone() };
    for (files, abc) in [(with_file, 200), (without, 401)] {
        let mut served = serve_with(files, Some(Arc::clone(&known) as Arc<dyn Reviewer>));
        let mut ask = |token: &str, path: &str| {
            let answer = client(served.port, token, &authorities).records(path, &[]).map(drop);
            let access = served.runtime.block_on(served.api.accesses.recv()).unwrap();
            let said = answer.err().map(|error| error.to_string()).unwrap_or_default();
            (access.answer.status, access.caller.user.as_deref().map(str::to_owned), said)
        };
        let (status, user, _) = ask("abc", "/api/v1/events");
        assert_eq!((status, user.as_deref()), (abc, (abc == 200).then_some("ci")));
        let (status, user, said) = ask("ann's", "/api/v1/events");
        assert_eq!((status, user.as_deref()), (200, Some("ann")), "{said}");
        let (status, user, said) = ask("bob's", "/api/v1/events");
        assert_eq!((status, user.as_deref()), (403, Some("bob")));
        assert!(said.contains("bob may not get /watchfire/api/v1/events"), "{said}");
        assert_eq!(ask("bob's", "/api/v1/flows").0, 200);
        let (status, user, said) = ask("bob's", "/api/v1/nothing");
        assert_eq!((status, user.as_deref()), (403, Some("bob")), "{said}");
        assert_eq!(ask("ann's", "/api/v1/nothing").0, 404);
        assert_eq!(ask("eve's", "/api/v1/events").0, 401);
        // What was answered still holds while nobody can be asked; who is not known yet is not let in, and not counted as wrong.
        known.is_away.store(true, Ordering::Relaxed);
        assert_eq!(ask("ann's", "/api/v1/events").0, 200);
        for _ in 0..2 * WRONG_TOKENS_MAX {
            let (status, user, said) = ask("ann's", "/api/v1/findings");
            assert_eq!((status, user), (503, None));
            assert!(said.contains("it is away"), "{said}");
        }
        known.is_away.store(false, Ordering::Relaxed);
        assert_eq!(ask("ann's", "/api/v1/findings").0, 200);
        let metrics = served.api.metrics.api();
        assert_eq!(metrics.refusals(ApiRefusal::Review), u64::from(2 * WRONG_TOKENS_MAX));
        assert_eq!(metrics.refusals(ApiRefusal::Unauthenticated), if abc == 200 { 1 } else { 2 });
        for _ in 0..WRONG_TOKENS_MAX {
            _ = client(served.port, "eve's", &authorities).records("/api/v1/events", &[]);
        }
        let shut_out = client(served.port, "ann's", &authorities).records("/api/v1/events", &[]).unwrap_err();
        assert!(shut_out.to_string().contains("429"), "{shut_out}");
    }
}

#[test]
fn what_is_no_tls_or_another_authority_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    mount(dir.path(), "one", ABC);
    let served = serve(dir.path());
    let other = generate_simple_self_signed(["localhost".to_owned()]).unwrap().cert.pem();
    let error = count(&client(served.port, "abc", other.as_bytes())).unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }), "{error}");
    let mut plain = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
    plain.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[test]
fn a_mount_that_is_swapped_is_taken_in_and_a_broken_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let first = mount(dir.path(), "one", ABC);
    let served = serve(dir.path());
    assert_eq!(count(&client(served.port, "abc", &first)).unwrap(), RECORDS);
    // Tokens that cannot be read: everything stays as it was.
    mount(dir.path(), "broken", "hunter2");
    std::thread::park_timeout(Duration::from_secs(watchfire_api::limits::FILES_SECONDS + 1));
    assert_eq!(count(&client(served.port, "abc", &first)).unwrap(), RECORDS);
    let second = mount(dir.path(), "two", XYZ);
    let taken_in = (0..600).any(|_| {
        std::thread::park_timeout(Duration::from_millis(100));
        count(&client(served.port, "xyz", &second)).is_ok()
    });
    assert!(taken_in);
    assert!(count(&client(served.port, "abc", &second)).unwrap_err().to_string().contains("401"));
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().unwrap();
    mount(dir.path(), "one", ABC);
    let runtime = Runtime::new().unwrap();
    for (name, content, expected) in [
        ("tokens", "ci sha256 1", "tokens: line 1: expected a hash"),
        ("tls.key", "", "tls.key: no private key in PEM"),
        ("tls.crt", "no certificate", "tls.crt: no certificate in PEM"),
    ] {
        fs::write(dir.path().join("one").join(name), content).unwrap();
        let bound =
            runtime.block_on(TcpServer::bind("127.0.0.1:0".parse().unwrap(), files(dir.path()), None));
        let error = bound.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_unix_socket_answers_the_client_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("api.sock");
    let runtime = Runtime::new().unwrap();
    let api = runtime.block_on(Api::new(Some(RECORDS)));
    let server = {
        let _runtime = runtime.enter();
        UnixServer::bind(&path).unwrap()
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = runtime.spawn(server.serve(api.setup.clone(), async { _ = stopped.await }));
    let client = Client { target: Target::Unix(path.clone()), token: None, authorities: None };
    assert_eq!(count(&client).unwrap(), RECORDS);
    let filter = [("filter", "verdct = denied".to_owned())];
    let error = client.records("/api/v1/events", &filter).unwrap_err();
    assert!(error.to_string().contains("perhaps `verdict` (at character 1)"), "{error}");
    drop(stop);
    runtime.block_on(serving).unwrap();
    assert!(!path.exists());
    assert!(matches!(client.records("/api/v1/events", &[]), Err(ClientError::Connect { .. })));
}
