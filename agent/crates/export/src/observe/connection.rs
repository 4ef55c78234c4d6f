//! One client of the observe socket.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::EncodedRecord;

use super::CLIENTS_MAX;
use super::hub::{ClientQueue, ObserveHub, Refusal};
use super::protocol::{Notice, REQUEST_BYTES_MAX, REQUEST_SECONDS_MAX, Request};
use super::question::{Answer, ask};

pub(super) struct Connection {
    reader: OwnedReadHalf,
    writer: BufWriter<OwnedWriteHalf>,
    hub: Arc<ObserveHub>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream, hub: Arc<ObserveHub>) -> Self {
        let (reader, writer) = stream.into_split();
        Self { reader, writer: BufWriter::new(writer), hub }
    }

    /// Reads the request and answers it. A client that goes away is no error of the agent's.
    pub(super) async fn run(mut self, permitted: bool) {
        let subscription = match self.request(permitted).await {
            Ok(Request::Observe(request)) => self.hub.subscribe(&request).map_err(|refusal| match refusal {
                Refusal::TooManyClients => format!("{CLIENTS_MAX} clients watch already"),
                Refusal::ShuttingDown => "the agent is shutting down".to_owned(),
            }),
            Ok(Request::Ask(asked)) => {
                let has_lines = asked.has_lines();
                let _: io::Result<()> = match ask(self.hub.questions(), asked).await {
                    Ok(answer) => self.write_answer(answer, has_lines).await,
                    Err(error) => self.write_notice(&Notice::Error { error }).await,
                };
                return;
            }
            Err(error) => Err(error),
        };
        let _: io::Result<()> = match subscription {
            Ok((last, None)) => self.write(&last, 0).await,
            Ok((last, Some(queue))) => {
                let result = self.follow(&last, &queue).await;
                self.hub.unsubscribe(&queue);
                result
            }
            Err(error) => self.write_notice(&Notice::Error { error }).await,
        };
    }

    async fn request(&mut self, permitted: bool) -> Result<Request, String> {
        if !permitted {
            return Err("records are for root and the agent's user".to_owned());
        }
        let mut line = Vec::new();
        let mut bounded = BufReader::new((&mut self.reader).take(REQUEST_BYTES_MAX as u64));
        let read = bounded.read_until(b'\n', &mut line);
        match timeout(Duration::from_secs(REQUEST_SECONDS_MAX), read).await {
            Err(_) => return Err(format!("no request line within {REQUEST_SECONDS_MAX} s")),
            Ok(Err(error)) => return Err(format!("no request line: {error}")),
            Ok(Ok(_)) => {}
        }
        if line.last() != Some(&b'\n') {
            return Err(match line.len() {
                REQUEST_BYTES_MAX => format!("bad request: longer than {REQUEST_BYTES_MAX} bytes"),
                _ => "bad request: it ends before its newline".to_owned(),
            });
        }
        Request::parse(&line)
    }

    async fn follow(&mut self, last: &[EncodedRecord], queue: &ClientQueue) -> io::Result<()> {
        self.write(last, 0).await?;
        loop {
            let taken = tokio::select! {
                taken = queue.take(VecDeque::new()) => taken,
                () = left(&mut self.reader) => return Ok(()),
            };
            let Some(mut taken) = taken else { return Ok(()) };
            queue.admit(&mut taken.records);
            self.write(taken.records.make_contiguous(), taken.lost).await?;
        }
    }

    async fn write(&mut self, records: &[EncodedRecord], lost: u64) -> io::Result<()> {
        for record in records {
            self.writer.write_all(&record.line).await?;
            self.hub.counters().written.inc();
        }
        if lost > 0 {
            self.writer.write_all(&Notice::ObserverLoss { lost }.line()).await?;
        }
        self.writer.flush().await
    }

    async fn write_answer(&mut self, answer: Answer, has_lines: bool) -> io::Result<()> {
        let mut lines = 0;
        for value in answer {
            let mut line = serde_json::to_vec(&value)?;
            line.push(b'\n');
            self.writer.write_all(&line).await?;
            lines += 1;
        }
        if has_lines {
            return self.write_notice(&Notice::End { lines }).await;
        }
        self.writer.flush().await
    }

    async fn write_notice(&mut self, notice: &Notice) -> io::Result<()> {
        self.writer.write_all(&notice.line()).await?;
        self.writer.flush().await
    }
}

/// Completes when the client has closed its end. What it says beyond its request is not listened to.
async fn left(reader: &mut OwnedReadHalf) {
    let mut ignored = [0; 64];
    while let Ok(1..) = reader.read(&mut ignored).await {}
}
