//! What one client, and all of them together, may take of the agent.

/// Connections of one listener at a time; further ones are closed.
pub const CONNECTIONS_MAX: usize = 256;
/// Connections of one address over TCP at a time; further ones are closed.
pub const CLIENT_CONNECTIONS_MAX: usize = 128;
/// Bytes of a request's line and headers together.
pub const HEAD_BYTES_MAX: usize = 32 * 1024;
/// Headers of a request.
pub const HEADERS_MAX: usize = 64;
/// Bytes of a request's path and query.
pub const URI_BYTES_MAX: usize = 24 * 1024;
/// Bytes of a token.
pub const TOKEN_BYTES_MAX: usize = 4096;
/// How long the head of a request may take, seconds; the same for an idle connection.
pub const HEAD_SECONDS_MAX: u64 = 10;
/// How long TLS may take to be agreed on, seconds.
pub const HANDSHAKE_SECONDS_MAX: u64 = 10;
/// How long a client may take nothing of what is sent to it, seconds.
pub const STALL_SECONDS_MAX: u64 = 20;
/// How long an answer may take to begin, seconds.
pub const REQUEST_SECONDS_MAX: u64 = 30;
/// How long the end of the agent waits for answers that are on their way, milliseconds.
pub const GOODBYE_MS_MAX: u64 = 1000;

/// Records of a page that does not say how many.
pub const PAGE_RECORDS_DEFAULT: usize = 100;
/// Records of a page.
pub const PAGE_RECORDS_MAX: usize = 1000;
/// Bytes of the records of a page; the one that reaches it is its last.
pub const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Pages and trees that are searched for at a time.
pub const SEARCHES_MAX: usize = 4;
/// Streams that search at a time.
pub const STREAMS_MAX: usize = 4;
/// How long a search waits for its turn, seconds.
pub const TURN_SECONDS_MAX: u64 = 10;
/// Bytes of a stream that are sent at once.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Pieces of a stream that wait for the client.
pub const CHUNKS_WAITING_MAX: usize = 4;
/// How often a client that follows is told that the agent is still there, seconds.
pub const KEEPALIVE_SECONDS: u64 = 15;
/// How long a client that goes on where it was may wait until what it missed is written, seconds.
pub const WRITTEN_SECONDS_MAX: u64 = 5;
/// How long new records are held back for followers until they are written, milliseconds; then they are told without an id.
pub const WRITTEN_HOLD_MS_MAX: u64 = 1000;
/// How often it is looked whether they are, milliseconds.
pub const WRITTEN_LOOK_MS: u64 = 20;

/// Requests whose audit records wait for the pipeline; while there are as many, further requests are refused.
pub const ACCESSES_MAX: usize = 1024;
/// Bytes of a path, and of a query, in an audit record.
pub const AUDIT_TEXT_BYTES_MAX: usize = 2048;
/// Static tokens.
pub const TOKENS_MAX: usize = 1024;
/// Wrong tokens of one address within [`WRONG_TOKENS_SECONDS`] before it is not listened to until they have passed.
pub const WRONG_TOKENS_MAX: u32 = 20;
/// See [`WRONG_TOKENS_MAX`].
pub const WRONG_TOKENS_SECONDS: u64 = 60;
/// Addresses whose wrong tokens are counted.
pub const ADDRESSES_MAX: usize = 1024;
/// Answers of Kubernetes about tokens that are kept.
pub const REVIEWS_MAX: usize = 1024;
/// How long such an answer is kept, seconds.
pub const REVIEW_SECONDS: u64 = 30;
/// How long Kubernetes may take for an answer, waiting for a turn included, seconds.
pub const REVIEW_SECONDS_MAX: u64 = 10;
/// Tokens that Kubernetes is asked about at a time.
pub const REVIEWS_AT_ONCE_MAX: usize = 8;
/// How often certificate, key and tokens are looked at for changes, seconds.
pub const FILES_SECONDS: u64 = 5;
/// Bytes of a certificate, key or token file.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;
