//! Limits. Reaching one is counted in [`crate::CriCounters`].

use std::time::Duration;

/// Most containers and sandboxes together that are kept and told.
pub const CONTAINERS_MAX: usize = 8192;
/// Most look-ups that wait for their turn.
pub const LOOKUPS_QUEUED_MAX: usize = 1024;
/// Most look-ups under way at once, those included that wait before they ask again.
pub(crate) const LOOKUPS_UNDER_WAY_MAX: usize = 64;
/// Most requests that the runtime has to answer at once.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 8;
/// Most of these that ask for what a list does not say, so that look-ups always find room.
pub(crate) const DETAILS_IN_FLIGHT_MAX: usize = 4;
/// Longest response, bytes: what kubelet takes (kubernetes `staging/src/k8s.io/cri-client/pkg/remote_runtime.go`
/// maxMsgSize).
pub const RESPONSE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most events of the runtime that wait for their turn; more are left to the next list.
pub(crate) const EVENTS_QUEUED_MAX: usize = 256;

/// Time in which a connection is made or a request about one container is answered.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Time in which a list is answered.
pub const LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Time from one list to the next.
pub const RESYNC_INTERVAL: Duration = Duration::from_secs(60);
/// After this many requests in a row that were not answered in time the connection is given up.
pub(crate) const TIMEOUTS_IN_A_ROW_MAX: u32 = 5;
/// Time in which the task ends when it is told to; then it is cut off.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Longest id, bytes. Runtimes make 64 digits.
pub const IDENTIFIER_BYTES_MAX: usize = 128;
/// Longest text that is kept of a name, image, label or path, bytes.
pub const TEXT_BYTES_MAX: usize = 1024;
/// Most labels kept of one object.
pub const LABELS_MAX: usize = 128;
/// Most mounts kept of one container.
pub const MOUNTS_MAX: usize = 64;
/// Most addresses kept of one pod.
pub const POD_ADDRESSES_MAX: usize = 16;
/// Longest verbose information that is read, bytes. The OCI specification in it has all variables of the environment.
pub const INFO_BYTES_MAX: usize = 1024 * 1024;
