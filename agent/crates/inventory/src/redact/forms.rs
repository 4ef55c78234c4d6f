//! Secrets that are told by their form, whatever stands before them.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::REDACTED;

/// Keys and tokens whose makers gave them a form of their own.
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    let forms = [
        r"(?:AKIA|ASIA)[0-9A-Z]{16}",                            // AWS access keys
        r"gh[pousr]_[A-Za-z0-9]{30,}",                           // GitHub
        r"github_pat_[A-Za-z0-9_]{22,}",                         // GitHub, fine-grained
        r"glpat-[A-Za-z0-9_-]{20,}",                             // GitLab
        r"xox[a-z]-[A-Za-z0-9-]{10,}",                           // Slack
        r"AIza[A-Za-z0-9_-]{35}",                                // Google
        r"npm_[A-Za-z0-9]{36}",                                  // npm
        r"sk-(?:[A-Za-z0-9]+-)*[A-Za-z0-9_]{20,}[A-Za-z0-9_-]*", // OpenAI, Anthropic
        r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){1,3}", // JSON web tokens (RFC 7519)
    ];
    Regex::new(&format!(r"(?-u:\b)(?:{})", forms.join("|"))).expect("the forms are constants")
});

/// Private keys as text (RFC 7468), whether or not their end was cut.
static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    let block = r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)";
    Regex::new(block).expect("the form is a constant")
});

/// Replaces what has the form of a secret.
pub(super) fn redact_forms(text: &str) -> Cow<'_, str> {
    let without_keys = if text.contains("PRIVATE KEY") {
        PRIVATE_KEY.replace_all(text, format!("${{1}}{REDACTED}"))
    } else {
        Cow::Borrowed(text)
    };
    match TOKEN.replace_all(&without_keys, REDACTED) {
        Cow::Borrowed(_) => without_keys,
        Cow::Owned(redacted) => Cow::Owned(redacted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_known() {
        for (text, expected) in [
            ("key AKIAIOSFODNN7EXAMPLE.", "key REDACTED."),
            ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "REDACTED"),
            ("https://glpat-abcdefghij0123456789@h/", "https://REDACTED@h/"),
            ("xoxb-1234567890-abcdef", "REDACTED"),
            ("sk-proj-abcdefghijklmnopqrstuvwx_-yz", "REDACTED"),
            ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln b", "a REDACTED b"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest",
                "-----BEGIN RSA PRIVATE KEY-----REDACTED\nrest",
            ),
            ("-----BEGIN PRIVATE KEY-----\nMIIE", "-----BEGIN PRIVATE KEY-----REDACTED"),
            ("-----BEGIN PUBLIC KEY-----\nMIIE", "-----BEGIN PUBLIC KEY-----\nMIIE"),
            ("desk-abcdefghijklmnopqrstuvwx", "desk-abcdefghijklmnopqrstuvwx"),
            ("AKIA", "AKIA"),
            ("sk-learn", "sk-learn"),
        ] {
            assert_eq!(redact_forms(text), expected);
        }
    }
}
