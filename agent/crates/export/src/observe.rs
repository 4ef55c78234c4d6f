//! Live records for `watchfire observe`, over a unix socket.

mod client;
mod connection;
mod hub;
mod protocol;
mod question;
mod server;
mod socket;

pub use self::client::{CLIENT_LINE_BYTES_MAX, ObserveError, ObservedLines, observe};
pub use self::hub::{
    CLIENT_QUEUE_BYTES_MAX, CLIENT_QUEUE_RECORDS_MAX, CLIENTS_MAX, LiveRecords, ObserveHub, RECENT_BYTES_MAX,
    RECENT_RECORDS_MAX,
};
pub use self::protocol::{ObserveRequest, REQUEST_BYTES_MAX, REQUEST_SECONDS_MAX};
pub use self::question::{
    ANSWER_SECONDS_MAX, Answer, Ask, QUESTIONS_MAX, Question, StateOf, WHO_BYTES_MAX, ask, state, who,
};
pub use self::server::ObserveServer;
pub use self::socket::{OwnedSocket, SocketError};
