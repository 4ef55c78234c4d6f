//! Addresses that show wrong tokens again and again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::limits::{ADDRESSES_MAX, WRONG_TOKENS_MAX, WRONG_TOKENS_SECONDS};

/// Wrong tokens by address, within a while.
#[derive(Default, Debug)]
pub(crate) struct WrongTokens(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl WrongTokens {
    /// Whether the address is not to be listened to.
    pub(crate) fn is_shut_out(&self, ip: IpAddr, now: Instant) -> bool {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&ip).is_some_and(|(since, count)| *count >= WRONG_TOKENS_MAX && !is_over(*since, now))
    }

    /// Counts one more. Says whether it is the first of its while, which is worth a line in the log.
    pub(crate) fn count(&self, ip: IpAddr, now: Instant) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= ADDRESSES_MAX && !counts.contains_key(&ip) {
            counts.retain(|_, (since, _)| !is_over(*since, now));
            if counts.len() >= ADDRESSES_MAX {
                // Who comes from so many addresses is not stopped by this: a token cannot be guessed anyway.
                return false;
            }
        }
        let (since, count) = counts.entry(ip).or_insert((now, 0));
        if is_over(*since, now) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count == 1
    }
}

fn is_over(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) >= Duration::from_secs(WRONG_TOKENS_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shut_out_for_a_while_and_others_are_not() {
        let wrong = WrongTokens::default();
        let (now, ip, other) = (Instant::now(), [10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        for n in 0..WRONG_TOKENS_MAX {
            assert!(!wrong.is_shut_out(ip, now));
            assert_eq!(wrong.count(ip, now), n == 0);
        }
        assert!(wrong.is_shut_out(ip, now) && !wrong.is_shut_out(other, now));
        let later = now + Duration::from_secs(WRONG_TOKENS_SECONDS);
        assert!(!wrong.is_shut_out(ip, later));
        assert!(wrong.count(ip, later) && !wrong.is_shut_out(ip, later));
    }

    #[test]
    fn no_more_addresses_are_counted_than_may_be() {
        let wrong = WrongTokens::default();
        let now = Instant::now();
        for n in 0..2 * ADDRESSES_MAX as u32 {
            wrong.count(IpAddr::V4(n.into()), now);
        }
        assert_eq!(wrong.0.lock().unwrap().len(), ADDRESSES_MAX);
    }
}
