//! Tokens that no file has, asked of somebody who knows: each answer is kept for a while, and nothing is asked twice at a time.
//!
//! What is kept is found by a hash of the token under a key of this process, so that no token stays in memory.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout};
use tokio_rustls::rustls::crypto::ring;

use crate::limits::{REVIEW_SECONDS, REVIEW_SECONDS_MAX, REVIEWS_AT_ONCE_MAX, REVIEWS_MAX};

/// What stands before a route where it is asked whether a user may have it. Kubernetes lets everybody who has any token get
/// `/api/*` (its ClusterRole `system:discovery`), which is about its own API: a right to that is none to this.
pub const REVIEW_PATH_PREFIX: &str = "/watchfire";

/// Whose token it is, and whether they may ask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Review {
    /// Nobody's.
    Unknown,
    /// This user's, who may not.
    Refused(Arc<str>),
    /// This user's, who may.
    Allowed(Arc<str>),
}

/// A review under way; the error says why nobody can tell.
pub type Reviewing<'a> = Pin<Box<dyn Future<Output = Result<Review, String>> + Send + 'a>>;

/// Who knows tokens.
pub trait Reviewer: fmt::Debug + Send + Sync {
    /// Whose token it is, and whether they may get the path.
    fn review<'a>(&'a self, token: &'a str, path: &'a str) -> Reviewing<'a>;
}

type Answer = Result<Review, Arc<str>>;

/// What was asked, and by when.
pub(crate) struct Reviews {
    reviewer: Arc<dyn Reviewer>,
    key: [u8; 32],
    kept: Mutex<HashMap<[u8; 32], Kept>>,
    turns: Arc<Semaphore>,
    is_failing: Arc<AtomicBool>,
}

/// A question, and its answer once there is one.
struct Kept {
    since: Instant,
    answer: watch::Receiver<Option<Answer>>,
}

impl Reviews {
    pub(crate) fn new(reviewer: Arc<dyn Reviewer>) -> Self {
        let mut key = [0; 32];
        ring::default_provider().secure_random.fill(&mut key).expect("the kernel has random bytes");
        Self {
            reviewer,
            key,
            kept: Mutex::default(),
            turns: Arc::new(Semaphore::new(REVIEWS_AT_ONCE_MAX)),
            is_failing: Arc::default(),
        }
    }

    /// Whose token it is, and whether they may have the route.
    pub(crate) async fn ask(&self, token: &str, route: &str) -> Result<Review, Arc<str>> {
        let Some(mut answer) = self.answer(token, route) else {
            return Err(format!("{REVIEWS_MAX} questions wait already").into());
        };
        match answer.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(answer)) => answer.clone(),
            Ok(None) | Err(_) => Err("the question was given up".into()),
        }
    }

    /// Where the answer is, or will be; none where there is no room for the question.
    fn answer(&self, token: &str, route: &str) -> Option<watch::Receiver<Option<Answer>>> {
        let key = self.key_of(token, route);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.get(&key).filter(|found| found.is_good()) {
            return Some(found.answer.clone());
        }
        kept.remove(&key);
        if !has_room(&mut kept) {
            return None;
        }
        let answer = self.start(token.to_owned(), format!("{REVIEW_PATH_PREFIX}{route}"));
        kept.insert(key, Kept { since: Instant::now(), answer: answer.clone() });
        Some(answer)
    }

    /// Asks, whether or not those who wait for it stay.
    fn start(&self, token: String, path: String) -> watch::Receiver<Option<Answer>> {
        let (sender, receiver) = watch::channel(None);
        let (reviewer, turns) = (Arc::clone(&self.reviewer), Arc::clone(&self.turns));
        let is_failing = Arc::clone(&self.is_failing);
        tokio::spawn(async move {
            let asked = async {
                let _turn = turns.acquire().await;
                reviewer.review(&token, &path).await
            };
            let answer = timeout(Duration::from_secs(REVIEW_SECONDS_MAX), asked).await;
            let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {REVIEW_SECONDS_MAX} s")));
            let was_failing = is_failing.swap(answer.is_err(), Ordering::Relaxed);
            match &answer {
                Err(why) if !was_failing => {
                    tracing::warn!("the API lets nobody in whose token no file has: {why}");
                }
                Ok(_) if was_failing => tracing::info!("tokens that no file has are known again"),
                _ => {}
            }
            sender.send_replace(Some(answer.map_err(Arc::from)));
        });
        receiver
    }

    fn key_of(&self, token: &str, route: &str) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(self.key);
        // No route has a zero in it: where it ends is plain.
        hash.update(route);
        hash.update([0]);
        hash.update(token);
        hash.finalize().into()
    }
}

impl fmt::Debug for Reviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reviews").field("reviewer", &self.reviewer).finish_non_exhaustive()
    }
}

impl Kept {
    /// Whether it holds for those who ask now. What could not be answered is asked again.
    fn is_good(&self) -> bool {
        let is_answerable = !matches!(&*self.answer.borrow(), Some(Err(_)));
        is_answerable && self.since.elapsed() < Duration::from_secs(REVIEW_SECONDS)
    }

    fn is_answered(&self) -> bool {
        self.answer.borrow().is_some()
    }
}

/// Whether there is room for one more, for which the oldest answer goes if need be; questions under way stay.
fn has_room(kept: &mut HashMap<[u8; 32], Kept>) -> bool {
    if kept.len() >= REVIEWS_MAX {
        kept.retain(|_, kept| kept.is_good());
    }
    if kept.len() >= REVIEWS_MAX {
        let answered = kept.iter().filter(|(_, kept)| kept.is_answered());
        if let Some(oldest) = answered.min_by_key(|(_, kept)| kept.since).map(|(key, _)| *key) {
            kept.remove(&oldest);
        }
    }
    kept.len() < REVIEWS_MAX
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::time::advance;

    use super::*;

    /// Knows the token `abc`, until told otherwise, and counts.
    #[derive(Debug)]
    struct Fake {
        asked: AtomicUsize,
        at_once: AtomicUsize,
        most_at_once: AtomicUsize,
        seconds: u64,
        is_away: AtomicBool,
        is_revoked: AtomicBool,
    }

    /// Counts what is asked at the same time; it may be given up.
    struct Asking<'a>(&'a Fake);

    impl<'a> Asking<'a> {
        fn new(fake: &'a Fake) -> Self {
            let at_once = fake.at_once.fetch_add(1, Ordering::Relaxed) + 1;
            fake.most_at_once.fetch_max(at_once, Ordering::Relaxed);
            Self(fake)
        }
    }

    impl Drop for Asking<'_> {
        fn drop(&mut self) {
            self.0.at_once.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn fake(seconds: u64) -> (Arc<Fake>, Arc<Reviews>) {
        let fake = Arc::new(Fake {
            asked: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            most_at_once: AtomicUsize::new(0),
            seconds,
            is_away: AtomicBool::new(false),
            is_revoked: AtomicBool::new(false),
        });
        (Arc::clone(&fake), Arc::new(Reviews::new(fake)))
    }

    impl Fake {
        fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }
    }

    impl Reviewer for Fake {
        fn review<'a>(&'a self, token: &'a str, path: &'a str) -> Reviewing<'a> {
            Box::pin(async move {
                self.asked.fetch_add(1, Ordering::Relaxed);
                let _asking = Asking::new(self);
                tokio::time::sleep(Duration::from_secs(self.seconds)).await;
                if self.is_away.load(Ordering::Relaxed) {
                    return Err("away".to_owned());
                }
                Ok(match (token, path) {
                    ("abc", _) if self.is_revoked.load(Ordering::Relaxed) => Review::Refused("ann".into()),
                    ("abc", "/watchfire/a") => Review::Allowed("ann".into()),
                    ("abc", _) => Review::Refused("ann".into()),
                    _ => Review::Unknown,
                })
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_kept_by_token_and_route_for_a_while() {
        let (fake, reviews) = fake(0);
        let questions = [
            ("abc", "/a", Review::Allowed("ann".into())),
            ("abc", "/b", Review::Refused("ann".into())),
            ("abd", "/a", Review::Unknown),
        ];
        for _ in 0..3 {
            for (token, route, expected) in &questions {
                assert_eq!(reviews.ask(token, route).await.as_ref(), Ok(expected));
            }
        }
        assert_eq!(fake.asked(), questions.len());
        fake.is_revoked.store(true, Ordering::Relaxed);
        advance(Duration::from_secs(REVIEW_SECONDS) - Duration::from_millis(10)).await;
        assert_eq!(reviews.ask("abc", "/a").await, Ok(Review::Allowed("ann".into())));
        advance(Duration::from_millis(20)).await;
        assert_eq!(reviews.ask("abc", "/a").await, Ok(Review::Refused("ann".into())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_asks_once_though_the_first_has_gone() {
        let (fake, reviews) = fake(2);
        let ask = |reviews: &Arc<Reviews>| {
            let reviews = Arc::clone(reviews);
            tokio::spawn(async move { reviews.ask("abc", "/a").await })
        };
        let first = ask(&reviews);
        tokio::time::sleep(Duration::from_secs(1)).await;
        first.abort();
        for other in [(); 50].map(|()| ask(&reviews)) {
            assert_eq!(other.await.unwrap(), Ok(Review::Allowed("ann".into())));
        }
        assert_eq!(fake.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_be_asked_lets_nobody_in_and_is_asked_again() {
        let (fake, reviews) = fake(0);
        fake.is_away.store(true, Ordering::Relaxed);
        for _ in 0..2 {
            assert_eq!(reviews.ask("abc", "/a").await, Err("away".into()));
        }
        fake.is_away.store(false, Ordering::Relaxed);
        assert_eq!(reviews.ask("abc", "/a").await, Ok(Review::Allowed("ann".into())));
        // What is known stays so for its while.
        fake.is_away.store(true, Ordering::Relaxed);
        assert_eq!(reviews.ask("abc", "/a").await, Ok(Review::Allowed("ann".into())));
        assert_eq!(fake.asked(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_not_waited_for() {
        let (_, reviews) = fake(REVIEW_SECONDS_MAX + 1);
        let error = reviews.ask("abc", "/a").await.unwrap_err();
        assert_eq!(&*error, "no answer within 10 s");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_asked_at_once_and_kept_than_may_be() {
        let (fake, reviews) = fake(REVIEW_SECONDS_MAX + 1);
        let waiting: Vec<_> =
            (0..REVIEWS_MAX).map(|n| reviews.answer(&n.to_string(), "/a").unwrap()).collect();
        assert_eq!(
            reviews.ask("abc", "/a").await,
            Err(format!("{REVIEWS_MAX} questions wait already").into())
        );
        for mut answer in waiting {
            assert!(answer.wait_for(Option::is_some).await.unwrap().as_ref().unwrap().is_err());
        }
        assert_eq!(fake.most_at_once.load(Ordering::Relaxed), REVIEWS_AT_ONCE_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_answer_makes_room() {
        let (fake, reviews) = fake(0);
        for n in 0..=REVIEWS_MAX {
            reviews.ask(&n.to_string(), "/a").await.unwrap();
            advance(Duration::from_millis(1)).await;
        }
        assert_eq!(reviews.kept.lock().unwrap().len(), REVIEWS_MAX);
        let asked = fake.asked();
        reviews.ask(&REVIEWS_MAX.to_string(), "/a").await.unwrap();
        assert_eq!(fake.asked(), asked);
        reviews.ask("0", "/a").await.unwrap();
        assert_eq!(fake.asked(), asked + 1);
    }
}
