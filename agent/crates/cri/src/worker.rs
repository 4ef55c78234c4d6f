//! Finds a runtime, keeps a session with it, and begins anew when that ends.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time;
use watchfire_inventory::{ContainerChange, UnknownReason};

use crate::client::Client;
use crate::connection::Connection;
use crate::session::{End, Ends, Session};
use crate::{CriError, CriOptions, RuntimeVersion};

/// Longest name or version of a runtime that is kept, bytes.
const VERSION_BYTES_MAX: usize = 64;

struct Open {
    socket: PathBuf,
    connection: Connection,
    client: Client,
    runtime: RuntimeVersion,
}

pub(crate) async fn run(options: CriOptions, mut ends: Ends) {
    let (shortest, longest) = ends.timing.backoff;
    let mut backoff = shortest;
    let mut last: Option<PathBuf> = None;
    loop {
        let mut stop = ends.stop.clone();
        let open = tokio::select! {
            biased;
            () = stop.wished() => return,
            open = find(&options, &ends) => open,
        };
        if let Some(open) = open {
            if last.as_ref() != Some(&open.socket) {
                ends.known().clear();
                last = Some(open.socket.clone());
            }
            ends.shared.connected(&open.socket, open.runtime.clone());
            let session = Session::new(&mut ends, open.connection, open.client, &open.runtime);
            let End::Lost(error) = session.run().await else { return };
            if ends.shared.snapshot().is_listed {
                backoff = shortest;
            }
            ends.shared.disconnected(&open.socket, &error);
        }
        if !pause(&mut ends, backoff).await {
            return;
        }
        backoff = (backoff * 2).min(longest);
    }
}

/// The first socket behind which a runtime tells its version. Those that fail are named.
async fn find(options: &CriOptions, ends: &Ends) -> Option<Open> {
    let is_configured = options.socket.is_some();
    let mut exists = false;
    for socket in options.candidates() {
        if !is_configured && !socket.exists() {
            continue;
        }
        exists = true;
        match open(&socket, ends).await {
            Ok(open) => return Some(open),
            Err(error) => ends.shared.not_connected(Some(&socket), &error),
        }
    }
    if !exists {
        ends.shared.not_connected(None, &CriError::NoSocket);
    }
    None
}

async fn open(socket: &Path, ends: &Ends) -> Result<Open, CriError> {
    let connection = Connection::open(socket, ends.timing.request).await?;
    let client = Client::new(connection.requests(), ends.shared.clone(), ends.timing.clone());
    let version = client.version().await.map_err(|error| match &error {
        CriError::Failed { message, .. } if error.is_unimplemented() => CriError::NotCri(message.clone()),
        _ => error,
    })?;
    let cut = |mut text: String| {
        text.truncate(text.floor_char_boundary(VERSION_BYTES_MAX));
        text
    };
    let runtime = RuntimeVersion { name: cut(version.runtime_name), version: cut(version.runtime_version) };
    Ok(Open { socket: socket.to_path_buf(), connection, client, runtime })
}

/// Waits, and answers look-ups meanwhile: a runtime that is away makes no containers. Whether to go on.
async fn pause(ends: &mut Ends, time: Duration) -> bool {
    let until = time::Instant::now() + time;
    loop {
        tokio::select! {
            biased;
            () = ends.stop.wished() => return false,
            () = time::sleep_until(until) => return true,
            id = ends.lookups.recv() => {
                let Some(id) = id else { return false };
                ends.shared.count(|counters| counters.lookups_unknown += 1);
                let change = ContainerChange::Unknown { id, reason: UnknownReason::NotConnected };
                if ends.tell(change).await.is_err() {
                    return false;
                }
            }
        }
    }
}
