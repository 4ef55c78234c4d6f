//! Whose token it is and what they may get: TokenReview (authentication.k8s.io/v1) and SubjectAccessReview
//! (authorization.k8s.io/v1). Whoever asks needs the right to create both.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::access::{Access, AccessError, Found};
use crate::api::{Api, Failure, with_causes};
use crate::client::client;
use crate::kubernetes::unusable;
use crate::timing::Timing;

const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// Longest name of a user that is taken, bytes. It is in records whole: cut, it might be another's.
pub const USER_NAME_BYTES_MAX: usize = 1024;

/// What a token is good for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenAccess {
    /// Nothing: it is nobody's, or for another audience.
    Unknown,
    /// It is of this user, who may not get the path.
    Refused(String),
    /// It is of this user, who may.
    Allowed(String),
}

/// Asks about tokens.
#[derive(Clone)]
pub struct TokenReviews {
    api: Api,
    audiences: Vec<String>,
    about: String,
}

/// As the API tells of a user. All of it is told back where the user's rights are asked for.
#[derive(Clone, Default, Debug, Serialize, Deserialize)]
#[serde(default)]
struct User {
    username: String,
    uid: String,
    groups: Vec<String>,
    extra: BTreeMap<String, Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TokenStatus {
    authenticated: bool,
    user: User,
    audiences: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct AccessStatus {
    allowed: bool,
    denied: bool,
}

impl TokenReviews {
    /// Reads what leads to the API; nothing is sent to it. A token has to be for one of the audiences, or for the API itself
    /// where there are none. Must be called on a tokio runtime.
    pub async fn find(access: &Access, audiences: Vec<String>, timing: &Timing) -> Result<Self, AccessError> {
        match access.find().await? {
            Found::Absent(reason) => Err(AccessError::Absent(reason)),
            Found::Config { config, what } => {
                let client = client(*config).map_err(|error| unusable(access, with_causes(&error)))?;
                Ok(Self { api: Api::new(client, timing.answer_timeout), audiences, about: what })
            }
        }
    }

    /// Which API is asked and by what right.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Whose token it is, and whether they may `get` the path, which is none of a resource. The error says why the API has not
    /// told.
    pub async fn review(&self, token: &str, path: &str) -> Result<TokenAccess, String> {
        let failed = |what: &str, why: Failure| format!("the Kubernetes API has not told {what}: {why}");
        let user = self.user(token).await.map_err(|why| failed("whose a token is", why))?;
        let Some(user) = user else { return Ok(TokenAccess::Unknown) };
        let bytes = user.username.len();
        if bytes > USER_NAME_BYTES_MAX {
            return Err(format!("a user's name has {bytes} bytes, at most {USER_NAME_BYTES_MAX} are taken"));
        }
        let may_get = self.may_get(&user, path).await.map_err(|why| failed("what a user may", why))?;
        Ok(if may_get { TokenAccess::Allowed(user.username) } else { TokenAccess::Refused(user.username) })
    }

    async fn user(&self, token: &str) -> Result<Option<User>, Failure> {
        let spec = if self.audiences.is_empty() {
            json!({ "token": token })
        } else {
            json!({ "token": token, "audiences": self.audiences })
        };
        let TokenStatus { authenticated, user, audiences } =
            self.create(TOKEN_REVIEWS, "authentication.k8s.io/v1", "TokenReview", spec).await?;
        // A server, or a webhook of its, that knows no audiences says nothing of them: the token is then the API's own.
        let is_for_us =
            self.audiences.is_empty() || audiences.iter().any(|audience| self.audiences.contains(audience));
        Ok((authenticated && is_for_us && !user.username.is_empty()).then_some(user))
    }

    async fn may_get(&self, user: &User, path: &str) -> Result<bool, Failure> {
        let User { username, uid, groups, extra } = user;
        let spec = json!({
            "user": username, "uid": uid, "groups": groups, "extra": extra,
            "nonResourceAttributes": { "path": path, "verb": "get" },
        });
        let AccessStatus { allowed, denied } =
            self.create(ACCESS_REVIEWS, "authorization.k8s.io/v1", "SubjectAccessReview", spec).await?;
        Ok(allowed && !denied)
    }

    /// The status that the API gives an object of this kind.
    async fn create<T: DeserializeOwned>(
        &self,
        path: &str,
        version: &str,
        kind: &str,
        spec: serde_json::Value,
    ) -> Result<T, Failure> {
        #[derive(Deserialize)]
        struct Reviewed<T> {
            status: T,
        }
        let review = json!({ "apiVersion": version, "kind": kind, "metadata": {}, "spec": spec });
        let answer = self.api.post(path, review.to_string()).await?;
        let reviewed: Reviewed<T> = serde_json::from_slice(&answer)
            .map_err(|error| Failure::Malformed(format!("its {kind} cannot be read: {error}")))?;
        Ok(reviewed.status)
    }
}

impl std::fmt::Debug for TokenReviews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenReviews").field("about", &self.about).finish_non_exhaustive()
    }
}
