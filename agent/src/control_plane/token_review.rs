//! The Kubernetes API as the one who knows the tokens that clients of the HTTP API show.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use watchfire_api::{Review, Reviewer, Reviewing};
use watchfire_kubernetes::{Timing, TokenAccess, TokenReviews};

use crate::config::Config;

#[derive(Debug)]
struct Kubernetes(TokenReviews);

/// Whom the configuration names; none where tokens are in a file alone.
pub(super) async fn reviewer(config: &Config) -> Result<Option<Arc<dyn Reviewer>>> {
    let Some((access, audiences)) = config.api.token_review(&config.kubernetes)? else { return Ok(None) };
    let reviews = TokenReviews::find(&access, audiences, &Timing::default()).await;
    let reviews = reviews.context("api.tokenReview is true, and nobody can be asked about tokens")?;
    tracing::info!("tokens for the API are known to the Kubernetes API at {}", reviews.about());
    Ok(Some(Arc::new(Kubernetes(reviews))))
}

impl Reviewer for Kubernetes {
    fn review<'a>(&'a self, token: &'a str, path: &'a str) -> Reviewing<'a> {
        Box::pin(async move {
            Ok(match self.0.review(token, path).await? {
                TokenAccess::Unknown => Review::Unknown,
                TokenAccess::Refused(user) => Review::Refused(user.into()),
                TokenAccess::Allowed(user) => Review::Allowed(user.into()),
            })
        })
    }
}
