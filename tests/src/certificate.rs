use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Makes `cert.pem`, which signs itself and is for `localhost`, and `key.pem` in a folder, by openssl.
///
/// # Panics
/// When openssl cannot be run, or makes none.
pub fn make_certificate(folder: &Path) {
    let config = folder.join("openssl.cnf");
    fs::write(&config, "[req]\ndistinguished_name = name\n[name]\n").expect("write a file for openssl");
    let request = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
                   -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem";
    let status = Command::new("openssl")
        .args(request.split_whitespace())
        .current_dir(folder)
        .env("OPENSSL_CONF", config)
        .stderr(Stdio::null())
        .status()
        .expect("start openssl");
    assert!(status.success(), "openssl: {status}");
}
