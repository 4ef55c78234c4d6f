//! Prints what the container runtime of this node tells, until Ctrl-C: `containers [SOCKET]`. Containers whose ids come on
//! standard input, one a line, are asked for.

use std::path::PathBuf;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use watchfire_cri::{Cri, CriOptions};

/// Changes that may wait to be printed.
const CHANGES_QUEUED_MAX: usize = 256;

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let options = CriOptions { socket: std::env::args().nth(1).map(PathBuf::from), host_root: None };
    let (sender, mut changes) = mpsc::channel(CHANGES_QUEUED_MAX);
    let cri = Cri::start(&Handle::current(), options, sender);
    let asker = cri.clone();
    std::thread::spawn(move || {
        for id in std::io::stdin().lines().map_while(Result::ok) {
            if !asker.lookup(&id) {
                eprintln!("{id}: not asked for");
            }
        }
    });
    loop {
        tokio::select! {
            change = changes.recv() => match change {
                Some(change) => println!("{change:?}"),
                None => break,
            },
            _ = tokio::signal::ctrl_c() => break,
        }
    }
    cri.stop().await;
    println!("{:#?}", cri.state());
}
