//! A connection whose other end has to read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use watchfire_export::{ApiMetrics, ApiRefusal};

use crate::limits::STALL_SECONDS_MAX;

/// Cut off when nothing could be written for [`STALL_SECONDS_MAX`].
pub(crate) struct Paced<S> {
    stream: S,
    deadline: Pin<Box<Sleep>>,
    is_waiting: bool,
    metrics: ApiMetrics,
}

impl<S> Paced<S> {
    pub(crate) fn new(stream: S, metrics: ApiMetrics) -> Self {
        let deadline = Box::pin(sleep(Duration::from_secs(STALL_SECONDS_MAX)));
        Self { stream, deadline, is_waiting: false, metrics }
    }

    fn watch<T>(&mut self, result: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.is_waiting = false;
            return result;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.deadline.as_mut().reset(Instant::now() + Duration::from_secs(STALL_SECONDS_MAX));
        }
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => {
                self.metrics.refused(ApiRefusal::SlowReader);
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(result, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(result, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(result, context)
    }
}
