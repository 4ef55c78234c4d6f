//! Assignments, options and headers, as an argument of their own or inside one.

use super::REDACTED;
use super::connection::redact_connection;
use super::json::redact_json;
use super::names::{Names, is_separator};
use super::urls::redact_urls;

/// `--token` or `-token`, whose value is the next argument. One dash and one letter says too little.
pub(super) fn is_secret_option(arg: &str, names: &Names) -> bool {
    arg.strip_prefix('-').is_some_and(|name| {
        let name = name.strip_prefix('-').unwrap_or(name);
        name.len() > 1 && !name.contains(['=', ':', ' ']) && names.is_secret(name)
    })
}

/// What is secret by the name that stands before it.
pub(super) fn redact_named(arg: String, names: &Names) -> String {
    if let Some((name, value)) = arg.split_once('=')
        && !value.is_empty()
        && names.is_secret(name)
    {
        return format!("{name}={REDACTED}");
    }
    if let Some((name, value)) = arg.split_once(':')
        && !value.trim_start().is_empty()
        && !value.starts_with("//")
        && is_secret_header(name, names)
    {
        return format!("{name}: {REDACTED}");
    }
    redact_parts(redact_urls(redact_json(redact_connection(arg, names), names)), names)
}

/// Assignments, options and headers inside one argument: the text of `sh -c`, a query string, a form body.
fn redact_parts(arg: String, names: &Names) -> String {
    if !arg.contains(is_separator) {
        return arg;
    }
    let mut redacted = String::with_capacity(arg.len());
    let mut value_is_secret = false;
    for part in parts(&arg) {
        if part.starts_with(is_separator) {
            redacted.push_str(part);
            value_is_secret &= part.starts_with(char::is_whitespace);
            continue;
        }
        let is_value = std::mem::take(&mut value_is_secret);
        value_is_secret = is_secret_option(part, names);
        if is_value && !part.starts_with("--") {
            redacted.push_str(REDACTED);
        } else if let Some(quote) = part.chars().next().filter(|&char| is_quote(char)) {
            push_quoted(&mut redacted, part, quote, names);
        } else if let Some((name, value)) = part.split_once('=')
            && !value.is_empty()
        {
            redacted.push_str(name);
            redacted.push('=');
            match value.chars().next().filter(|&char| is_quote(char)) {
                _ if names.is_secret(name) => redacted.push_str(REDACTED),
                Some(quote) => push_quoted(&mut redacted, value, quote, names),
                None => redacted.push_str(value),
            }
        } else {
            redacted.push_str(part);
        }
    }
    redacted
}

/// What is in quotes is looked at without them. It is shorter then, so this ends.
fn push_quoted(redacted: &mut String, part: &str, quote: char, names: &Names) {
    let inner = part.trim_matches(quote);
    let closing = if part.len() > 1 && part.ends_with(quote) { 1 } else { 0 };
    redacted.push(quote);
    redacted.push_str(&redact_named(inner.to_owned(), names));
    redacted.extend(std::iter::repeat_n(quote, closing));
}

const fn is_quote(char: char) -> bool {
    matches!(char, '"' | '\'')
}

/// Cuts a text into separators, one by one, and what stands between them; a separator in quotes is none.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let mut quote = None;
        let end = if is_separator(first) {
            first.len_utf8()
        } else {
            let end = rest.find(|char: char| match quote {
                Some(open) => {
                    if char == open {
                        quote = None;
                    }
                    false
                }
                None => {
                    quote = is_quote(char).then_some(char);
                    is_separator(char)
                }
            });
            end.unwrap_or(rest.len())
        };
        let (part, tail) = rest.split_at(end);
        rest = tail;
        Some(part)
    })
}

/// HTTP request headers as curl's `-H` takes them.
fn is_secret_header(name: &str, names: &Names) -> bool {
    let header = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    header && (names.is_secret(name) || name.eq_ignore_ascii_case("cookie"))
}
