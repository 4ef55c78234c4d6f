//! The wish to end.

use tokio::sync::watch;

#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(crate) const fn new(receiver: watch::Receiver<bool>) -> Self {
        Self(receiver)
    }

    /// Waits until it is wished, or until nobody is left who could.
    pub(crate) async fn wished(&mut self) {
        _ = self.0.wait_for(|stop| *stop).await;
    }
}
