//! What leads to the API, and what does not.

use std::path::PathBuf;

use watchfire_kubernetes::{Access, InCluster, KubeletSettings, Kubernetes, Settings};

use crate::source::kubeconfig;

async fn error_of(settings: Settings) -> String {
    match Kubernetes::find(&settings).await {
        Ok(found) => panic!("found {:?}", found.about()),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn bad_kubeconfigs_are_told_in_one_line() {
    let whole = |cluster: &str, user: &str| {
        format!(
            "current-context: c\nclusters: [{{name: k, cluster: {{{cluster}}}}}]\n\
             contexts: [{{name: c, context: {{cluster: k, user: u}}}}]\nusers: [{{name: u, user: {{{user}}}}}]\n"
        )
    };
    for (text, expected) in [
        (String::new(), "it names no cluster"),
        ("clusters: 4\n".to_owned(), "failed to parse kubeconfig YAML"),
        ("contexts: [{name: c, context: {cluster: k}}]\n".to_owned(), "current context"),
        ("current-context: d\ncontexts: [{name: c, context: {cluster: k}}]\n".to_owned(), "d"),
        (whole("", ""), "cluster url is missing"),
        (whole("server: 'a b'", ""), "failed to parse cluster url"),
        (whole("server: '/x'", ""), "its server `/x` is no URL with a host"),
        (whole("server: 'https://k', certificate-authority: /nowhere/ca", ""), "/nowhere/ca"),
        (whole("server: 'https://k', certificate-authority-data: '*'", ""), "base64"),
        (whole("server: 'https://k'", "client-certificate: /nowhere/cert"), "certificate"),
        (whole("server: 'https://k'", "tokenFile: /nowhere/token"), "/nowhere/token"),
    ] {
        let (_folder, file) = kubeconfig(&text);
        let access = Access::Kubeconfig { file: file.clone(), context: None };
        let error = error_of(Settings { access, ..Settings::default() }).await;
        assert!(error.starts_with(&format!("kubeconfig {}: ", file.display())), "{error}");
        assert!(error.contains(expected), "{text}: {error}");
    }
    let access = Access::Kubeconfig { file: PathBuf::from("/nowhere/config"), context: None };
    let error = error_of(Settings { access, ..Settings::default() }).await;
    assert!(error.contains("/nowhere/config") && error.contains("No such file"), "{error}");
}

#[tokio::test]
async fn service_accounts() {
    let folder = tempfile::TempDir::new().unwrap();
    let cluster =
        |host: &str| InCluster { host: host.to_owned(), port: 6443, folder: folder.path().to_owned() };
    let settings = |host: &str| Settings { access: Access::InCluster(cluster(host)), ..Settings::default() };
    assert!(error_of(settings("10.0.0.1")).await.contains("token"));
    std::fs::write(folder.path().join("token"), "t").unwrap();
    assert!(error_of(settings("10.0.0.1")).await.contains("ca.crt"));
    std::fs::write(folder.path().join("ca.crt"), "no certificate").unwrap();
    assert!(error_of(settings("10.0.0.1")).await.contains("cannot be used"));
    let kubelet = KubeletSettings::of_node("fd00::1".parse().unwrap(), &cluster("x"));
    assert_eq!(kubelet.url, "https://[fd00::1]:10250");
    let error =
        error_of(Settings { access: Access::Off, kubelet: Some(kubelet), ..Settings::default() }).await;
    assert!(error.starts_with("the kubelet https://[fd00::1]:10250 cannot be asked: "), "{error}");
}
