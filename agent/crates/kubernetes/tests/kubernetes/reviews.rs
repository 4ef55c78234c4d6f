//! What is asked about tokens, and what is made of the answers.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire_kubernetes::{Access, Timing, TokenAccess, TokenReviews};

use crate::server::{Reply, Server, status};
use crate::source::kubeconfig_of;

const TOKENS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const RIGHTS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
const PATH: &str = "/watchfire/api/v1/events";

async fn reviews(server: &Server, audiences: &[&str], timing: Timing) -> TokenReviews {
    let (_folder, file) = kubeconfig_of(server.port);
    let access = Access::Kubeconfig { file, context: None };
    let audiences = audiences.iter().map(|audience| (*audience).to_owned()).collect();
    TokenReviews::find(&access, audiences, &timing).await.unwrap()
}

fn answer(status: &Value) -> Reply {
    Reply::Text(201, json!({ "kind": "Review", "status": status }).to_string())
}

fn ann(audiences: &[&str]) -> Value {
    let user = json!({
        "username": "ann", "uid": "7", "groups": ["ops", "system:authenticated"],
        "extra": { "example.com/room": ["1", "2"] },
    });
    json!({ "authenticated": true, "user": user, "audiences": audiences })
}

#[tokio::test]
async fn who_it_is_is_asked_first_and_then_what_they_may() {
    let server = Server::start().await;
    let reviews = reviews(&server, &["watchfire"], Timing::default()).await;
    for (rights, expected) in [
        (json!({ "allowed": true }), TokenAccess::Allowed("ann".to_owned())),
        (json!({ "allowed": false, "reason": "no" }), TokenAccess::Refused("ann".to_owned())),
        (json!({ "allowed": true, "denied": true }), TokenAccess::Refused("ann".to_owned())),
    ] {
        server.on_list(TOKENS, answer(&ann(&["watchfire"])));
        server.on_list(RIGHTS, answer(&rights));
        assert_eq!(reviews.review("t0ken", PATH).await, Ok(expected));
    }
    let bodies = server.bodies();
    assert_eq!(bodies.len(), 6);
    let (token, right) = (&bodies[0], &bodies[1]);
    assert_eq!(token.0, TOKENS);
    assert_eq!(
        token.1,
        json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {},
            "spec": { "token": "t0ken", "audiences": ["watchfire"] },
        })
    );
    assert_eq!(right.0, RIGHTS);
    assert_eq!(
        right.1,
        json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
            "spec": {
                "user": "ann", "uid": "7", "groups": ["ops", "system:authenticated"],
                "extra": { "example.com/room": ["1", "2"] },
                "nonResourceAttributes": { "path": PATH, "verb": "get" },
            },
        })
    );
}

#[tokio::test]
async fn nobody_is_asked_for_their_rights_who_is_not_known_for_us() {
    let server = Server::start().await;
    let ours = reviews(&server, &["watchfire"], Timing::default()).await;
    let anyones = reviews(&server, &[], Timing::default()).await;
    for (reviews, status) in [
        (&ours, json!({ "authenticated": false, "error": "invalid bearer token" })),
        (&ours, json!({})),
        (&ours, ann(&["other"])),
        // A server that knows nothing of audiences.
        (&ours, ann(&[])),
        (&ours, json!({ "authenticated": true, "user": {}, "audiences": ["watchfire"] })),
        (&anyones, json!({ "authenticated": false, "user": { "username": "ann" } })),
    ] {
        server.on_list(TOKENS, answer(&status));
        assert_eq!(reviews.review("t", PATH).await, Ok(TokenAccess::Unknown), "{status}");
    }
    assert!(server.requests(RIGHTS).is_empty());
    assert_eq!(server.bodies().last().unwrap().1["spec"], json!({ "token": "t" }));
    server.on_list(TOKENS, answer(&ann(&[])));
    server.on_list(RIGHTS, answer(&json!({ "allowed": true })));
    assert_eq!(anyones.review("t", PATH).await, Ok(TokenAccess::Allowed("ann".to_owned())));
}

#[tokio::test]
async fn what_is_no_answer_is_an_error_without_the_token() {
    let server = Server::start().await;
    let timing = Timing { answer_timeout: Duration::from_millis(200), ..Timing::default() };
    let reviews = reviews(&server, &[], timing).await;
    let long = json!({ "authenticated": true, "user": { "username": "x".repeat(1025) } });
    for (tokens, rights, expected) in [
        (Reply::Text(403, status(403, "tokenreviews is forbidden")), None, "tokenreviews is forbidden"),
        (Reply::Text(500, String::new()), None, "whose a token is: status 500"),
        (Reply::Text(201, "{}".to_owned()), None, "TokenReview cannot be read: missing field `status`"),
        (Reply::Text(201, "x".repeat(2 << 20)), None, "more than 1048576 bytes"),
        (Reply::Cut("{".to_owned()), None, "whose a token is"),
        (Reply::Hang, None, "no answer within 200ms"),
        (answer(&long), None, "a user's name has 1025 bytes"),
        (answer(&ann(&[])), Some(Reply::Text(403, status(403, "no"))), "what a user may: no"),
        (answer(&ann(&[])), Some(Reply::Hang), "what a user may: no answer within 200ms"),
    ] {
        server.on_list(TOKENS, tokens);
        if let Some(rights) = rights {
            server.on_list(RIGHTS, rights);
        }
        let error = reviews.review("t0ken", PATH).await.unwrap_err();
        assert!(error.contains(expected) && !error.contains("t0ken"), "{error}");
    }
}

#[tokio::test]
async fn nobody_can_be_asked_where_there_is_no_api() {
    let error = TokenReviews::find(&Access::Off, Vec::new(), &Timing::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no Kubernetes API: it is not to be asked");
}
