//! The API server, through kubectl.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest that any wait lasts before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// Whether whoever runs the tests has started containerd.
pub(crate) fn has_containerd() -> bool {
    std::env::var_os("WATCHFIRE_CRI_SOCKET").is_some()
}

/// Whether whoever runs the tests has started a Kubernetes node.
pub(crate) fn has_kubernetes() -> bool {
    std::env::var_os("WATCHFIRE_KUBECONFIG").is_some()
}

/// A setting of the environment that the tier promises.
pub(crate) fn told(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}

/// Looks again and again until something is so.
pub(crate) fn until(awaited: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{awaited}: did not come");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// A client of the API server.
#[derive(Clone)]
pub(crate) struct Kube {
    /// What programs other than kubectl are given.
    pub(crate) kubeconfig: PathBuf,
    /// What the file lies in, where it is the test's own.
    _folder: Option<Arc<TempDir>>,
}

impl Kube {
    /// One that may do everything.
    pub(crate) fn admin() -> Self {
        Self { kubeconfig: told("WATCHFIRE_KUBECONFIG").into(), _folder: None }
    }

    /// kubectl with these arguments.
    pub(crate) fn command(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
        let mut command = Command::new(told("WATCHFIRE_KUBECTL"));
        let cache = PathBuf::from(told("WATCHFIRE_CLUSTER_DIR")).join("kubectl-cache");
        command.env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", cache).env("KUBERC", "off");
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// What kubectl says; where it fails, with what it says about that.
    pub(crate) fn attempt(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Result<String, String> {
        outcome(self.command(arguments).output().expect("start kubectl"))
    }

    /// What kubectl says.
    pub(crate) fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        self.attempt(arguments).unwrap_or_else(|error| panic!("kubectl: {error}"))
    }

    /// What kubectl says in JSON: `get pods`, for example.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let text = self.run(arguments.iter().chain(&["-o", "json"]));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error} in {text}"))
    }

    /// Makes or changes objects, of which a manifest in YAML or JSON tells.
    pub(crate) fn apply(&self, manifest: &str) {
        self.fed(&["apply", "-f", "-"], manifest);
    }

    /// Removes the objects of a manifest, and waits until they are gone.
    pub(crate) fn delete(&self, manifest: &str) {
        self.fed(&["delete", "--ignore-not-found", "-f", "-"], manifest);
    }

    /// Asks again and again for objects, until they are as awaited; the last answer.
    pub(crate) fn until(
        &self,
        awaited: &str,
        arguments: &[&str],
        mut is_so: impl FnMut(&Value) -> bool,
    ) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let ask = |arguments: &[&str]| self.attempt(arguments.iter().chain(&["-o", "json"]));
        loop {
            let answer = ask(arguments);
            if let Ok(text) = &answer
                && let Ok(value) = serde_json::from_str(text)
                && is_so(&value)
            {
                return value;
            }
            assert!(Instant::now() < deadline, "{awaited}: did not come; the last answer is {answer:?}");
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }

    /// A namespace of the test's own, with a name that no other has, gone at the end.
    pub(crate) fn namespace(&self, name: &str) -> Namespace {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (run, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let name = format!("{name}-{run}-{count}");
        self.run(["create", "namespace", &name]);
        let namespace = Namespace { kube: self.clone(), name, is_own: true };
        // Before, no pod is admitted.
        namespace.until("the default service account", &["get", "serviceaccount", "default"], |_| true);
        namespace
    }

    /// A namespace that somebody else removes.
    pub(crate) fn existing(&self, name: &str) -> Namespace {
        Namespace { kube: self.clone(), name: name.to_owned(), is_own: false }
    }

    fn fed(&self, arguments: &[&str], input: &str) {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("start kubectl");
        child.stdin.take().expect("stdin is piped").write_all(input.as_bytes()).expect("write to kubectl");
        let outcome = outcome(child.wait_with_output().expect("wait for kubectl"));
        outcome.unwrap_or_else(|error| panic!("kubectl {arguments:?}: {error}\n{input}"));
    }
}

fn outcome(output: std::process::Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout);
    if output.status.success() { Ok(said) } else { Err(said + &text(&output.stderr)) }
}

/// A namespace of one test.
pub(crate) struct Namespace {
    pub(crate) kube: Kube,
    pub(crate) name: String,
    /// Whether it goes with this.
    is_own: bool,
}

impl Namespace {
    /// See [`Kube::run`].
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.kube.run(self.inside(arguments))
    }

    /// See [`Kube::json`].
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        self.kube.json(&self.inside(arguments))
    }

    /// See [`Kube::until`].
    pub(crate) fn until(
        &self,
        awaited: &str,
        arguments: &[&str],
        is_so: impl FnMut(&Value) -> bool,
    ) -> Value {
        self.kube.until(awaited, &self.inside(arguments), is_so)
    }

    /// Makes or changes objects, whose manifest names no namespace.
    pub(crate) fn apply(&self, manifest: &str) {
        self.kube.fed(&self.inside(&["apply", "-f", "-"]), manifest);
    }

    /// Lets the API server check objects as if they were made, every field of them.
    pub(crate) fn is_accepted(&self, manifest: &str) {
        let arguments = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
        self.kube.fed(&self.inside(&arguments), manifest);
    }

    /// Makes objects that are not there yet, which is quicker than [`Self::apply`].
    pub(crate) fn create(&self, manifest: &str) {
        self.kube.fed(&self.inside(&["create", "-f", "-"]), manifest);
    }

    /// A token of one of the namespace's service accounts.
    pub(crate) fn token(&self, account: &str) -> String {
        self.run(&["create", "token", account]).trim().to_owned()
    }

    /// A client that may do what one of the namespace's service accounts may.
    pub(crate) fn account(&self, account: &str) -> Kube {
        // Server and certificate are everybody's.
        let mut config = self.kube.json(&["config", "view", "--raw"]);
        config["users"] = json!([{ "name": account, "user": { "token": self.token(account) } }]);
        config["contexts"][0]["context"]["user"] = account.into();
        let folder = tempfile::tempdir().expect("make a temporary folder");
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, config.to_string()).expect("write a kubeconfig");
        Kube { kubeconfig, _folder: Some(Arc::new(folder)) }
    }

    fn inside<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        ["--namespace", &self.name].iter().chain(arguments).copied().collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !self.is_own {
            return;
        }
        // Without waiting: names are not used again. What cannot be removed goes with the cluster.
        let _ = self.kube.attempt(["delete", "namespace", &self.name, "--wait=false"]);
    }
}
