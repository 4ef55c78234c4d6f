//! Prints what the container runtime of this node tells, until Ctrl-C: `containers [SOCKET] [CONTAINER…]`.

use std::path::PathBuf;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use watchfire_cri::{Cri, CriOptions};

/// Changes that may wait to be printed.
const CHANGES_QUEUED_MAX: usize = 256;

#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let options = CriOptions { socket: arguments.next().map(PathBuf::from), host_root: None };
    let (sender, mut changes) = mpsc::channel(CHANGES_QUEUED_MAX);
    let cri = Cri::start(&Handle::current(), options, sender);
    for id in arguments {
        if !cri.lookup(&id) {
            eprintln!("{id}: not asked for");
        }
    }
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
