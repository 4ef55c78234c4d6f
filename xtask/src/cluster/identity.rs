//! Who may do what: keys, tokens, and each client's kubeconfig.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::plan::{self, NODE_NAME};
use crate::packages::OPENSSL;
use crate::{process, setup};

/// A client of the API server, known by a token.
struct Client {
    /// What its kubeconfig is named after.
    file: &'static str,
    user: &'static str,
    group: &'static str,
}

/// The users that Kubernetes' own roles are bound to, so that each part may do what it may do on a real cluster.
const CLIENTS: [Client; 5] = [
    Client { file: "admin", user: "admin", group: "system:masters" },
    Client {
        file: "controller-manager",
        user: "system:kube-controller-manager",
        group: "system:authenticated",
    },
    Client { file: "scheduler", user: "system:kube-scheduler", group: "system:authenticated" },
    Client { file: "kubelet", user: "system:node:watchfire-node", group: "system:nodes" },
    Client { file: "proxy", user: "system:kube-proxy", group: "system:authenticated" },
];

/// A certificate and its key.
pub(super) struct Certificate {
    file: &'static str,
    /// `system:masters` is a group that may do everything, with kubelet too.
    subject: &'static str,
}

impl Certificate {
    pub(super) fn certificate(&self) -> String {
        plan::path(&format!("keys/{}.crt", self.file))
    }

    pub(super) fn key(&self) -> String {
        plan::path(&format!("keys/{}.key", self.file))
    }

    fn create(&self) -> Result<()> {
        let (certificate, key) = (self.certificate(), self.key());
        let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "365"];
        let files = ["-subj", self.subject, "-keyout", &key, "-out", &certificate];
        openssl(&[&request[..], &files].concat())
    }
}

/// What the API server presents to clients; it makes it itself.
pub(super) const SERVER_CERTIFICATE: &str = "apiserver/apiserver.crt";
/// What service account tokens are signed with, and checked with.
pub(super) const ACCOUNT_KEY: &str = "keys/service-accounts.key";
/// What the API server presents to kubelet. Each certificate is signed by itself, and so is its own authority.
pub(super) const KUBELET_CLIENT: Certificate =
    Certificate { file: "kubelet-client", subject: "/O=system:masters/CN=apiserver-kubelet-client" };
/// What it presents to API servers behind it.
pub(super) const FRONT_PROXY: Certificate =
    Certificate { file: "front-proxy", subject: "/CN=front-proxy-client" };
pub(super) const TOKENS: &str = "keys/tokens.csv";

/// Makes keys, tokens and kubeconfigs.
pub(super) fn create() -> Result<()> {
    let folder = plan::file("keys");
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("protect {}", folder.display()))?;
    openssl(&["genrsa", "-out", &plan::path(ACCOUNT_KEY), "2048"])?;
    KUBELET_CLIENT.create()?;
    FRONT_PROXY.create()?;
    let mut tokens = String::new();
    for client in &CLIENTS {
        let token = token()?;
        tokens += &format!("{token},{},{},{}\n", client.user, client.file, client.group);
        write(&plan::file(&format!("{}.kubeconfig", client.file)), &kubeconfig(client.user, &token))?;
    }
    write(&plan::file(TOKENS), &tokens)
}

fn kubeconfig(user: &str, token: &str) -> String {
    let (server, certificate) = (plan::server(), plan::path(SERVER_CERTIFICATE));
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: {NODE_NAME}\n\
         \x20 cluster: {{server: \"{server}\", certificate-authority: {certificate}}}\n\
         users:\n\
         - name: \"{user}\"\n\
         \x20 user: {{token: {token}}}\n\
         contexts:\n\
         - name: {NODE_NAME}\n\
         \x20 context: {{cluster: {NODE_NAME}, user: \"{user}\"}}\n\
         current-context: {NODE_NAME}\n"
    )
}

fn token() -> Result<String> {
    let mut random = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut random))
        .context("read /dev/urandom")?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| std::io::Write::write_all(&mut file, text.as_bytes()))
        .with_context(|| format!("write {}", path.display()))
}

fn openssl(arguments: &[&str]) -> Result<()> {
    process::run_quietly(Command::new(setup::tool(&OPENSSL)?).args(arguments))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubelet_is_the_user_of_its_node() {
        let kubelet = CLIENTS.iter().find(|client| client.file == "kubelet").unwrap();
        assert_eq!(kubelet.user, format!("system:node:{NODE_NAME}"));
    }

    #[test]
    fn tokens_differ() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }
}
