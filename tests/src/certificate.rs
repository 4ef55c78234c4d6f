use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes `cert.pem`, which signs itself and is for `localhost`, and `key.pem` in a folder, by openssl.
///
/// # Panics
/// When openssl cannot be run, or makes none.
pub fn make_certificate(folder: &Path) {
    make_certificate_for(folder, &["localhost"]);
}

/// The same for other names.
///
/// # Panics
/// When openssl cannot be run, or makes none.
pub fn make_certificate_for(folder: &Path, names: &[&str]) {
    let config = folder.join("openssl.cnf");
    fs::write(&config, "[req]\ndistinguished_name = name\n[name]\n").expect("write a file for openssl");
    let request =
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout key.pem -out cert.pem";
    // Not a name alone: what a host trusts may have that.
    let subject = format!("/CN=test of {}", names.first().expect("a name"));
    let names: Vec<String> = names.iter().map(|name| format!("DNS:{name}")).collect();
    let status = Command::new("openssl")
        .args(request.split_whitespace())
        .args(["-subj", &subject, "-addext", &format!("subjectAltName={}", names.join(","))])
        .current_dir(folder)
        .env("OPENSSL_CONF", config)
        .stderr(Stdio::null())
        .status()
        .expect("start openssl");
    assert!(status.success(), "openssl: {status}");
}
