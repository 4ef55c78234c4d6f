//! Secrets in argument vectors.
//!
//! Only what is unambiguous by its name or form is replaced; `-p` is a password to one program and a port to the
//! next, so single letters are left alone. The name of the option stays: it tells what was run.

mod json;

use json::redact_json;

/// What stands in place of a secret.
pub const REDACTED: &str = "REDACTED";

/// Words that make the name of an option or variable the name of a secret, as whole words: `--db-password`,
/// `AWS_SECRET_ACCESS_KEY`, `apiKey`.
const SECRET_WORDS: [&str; 14] = [
    "password",
    "pgpassword",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "secrets",
    "token",
    "apikey",
    "credential",
    "credentials",
    "authorization",
    "bearer",
    "sas",
];

/// Pairs of words that do the same.
const SECRET_PAIRS: [(&str, &str); 5] =
    [("api", "key"), ("access", "key"), ("private", "key"), ("auth", "key"), ("account", "key")];

/// Last words that make the value a reference to a secret and no secret: `--password-file`, `TOKEN_TTL`.
const REFERENCE_WORDS: [&str; 14] = [
    "file",
    "path",
    "dir",
    "name",
    "ttl",
    "expiry",
    "expiration",
    "url",
    "uri",
    "endpoint",
    "id",
    "type",
    "length",
    "stdin",
];

/// Replaces the secrets in an argument vector.
#[must_use]
pub fn redact_args(args: Vec<String>) -> Vec<String> {
    let mut value_is_secret = false;
    let mut redacted = Vec::with_capacity(args.len());
    for arg in args {
        let is_value = std::mem::take(&mut value_is_secret);
        if is_value && !(arg.starts_with("--") && arg.len() > 2) {
            redacted.push(REDACTED.to_owned());
            continue;
        }
        value_is_secret = is_secret_option(&arg);
        redacted.push(redact_arg(arg));
    }
    redacted
}

/// `--token` or `-token`, whose value is the next argument. One dash and one letter says too little.
fn is_secret_option(arg: &str) -> bool {
    arg.strip_prefix('-').is_some_and(|name| {
        let name = name.strip_prefix('-').unwrap_or(name);
        name.len() > 1 && !name.contains(['=', ':', ' ']) && is_secret_name(name)
    })
}

fn redact_arg(arg: String) -> String {
    if let Some((name, value)) = arg.split_once('=')
        && !value.is_empty()
        && is_secret_name(name)
    {
        return format!("{name}={REDACTED}");
    }
    if let Some((name, value)) = arg.split_once(':')
        && !value.trim_start().is_empty()
        && !value.starts_with("//")
        && is_secret_header(name)
    {
        return format!("{name}: {REDACTED}");
    }
    redact_parts(redact_urls(redact_json(arg)))
}

/// Assignments, options and headers inside one argument: the text of `sh -c`, a query string, a form body.
fn redact_parts(arg: String) -> String {
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
        value_is_secret = is_secret_option(part);
        if is_value && !part.starts_with("--") {
            redacted.push_str(REDACTED);
        } else if let Some(quote) = part.chars().next().filter(|&char| is_quote(char)) {
            let inner = part.trim_matches(quote);
            let closing = if part.len() > 1 && part.ends_with(quote) { 1 } else { 0 };
            redacted.push(quote);
            // Without its quotes it is shorter, so this ends.
            redacted.push_str(&redact_arg(inner.to_owned()));
            redacted.extend(std::iter::repeat_n(quote, closing));
        } else if let Some((name, value)) = part.split_once('=')
            && !value.is_empty()
            && is_secret_name(name)
        {
            redacted.push_str(name);
            redacted.push('=');
            redacted.push_str(REDACTED);
        } else {
            redacted.push_str(part);
        }
    }
    redacted
}

fn is_separator(char: char) -> bool {
    char.is_whitespace() || matches!(char, '&' | ';' | '?' | '|')
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
fn is_secret_header(name: &str) -> bool {
    let header = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    header && (is_secret_name(name) || name.eq_ignore_ascii_case("cookie"))
}

fn is_secret_name(name: &str) -> bool {
    // A program text such as `sh -c '…'` has separators; what follows its first `=` is no value of one name.
    if name.len() > 128 || name.contains(is_separator) {
        return false;
    }
    let words = words(name);
    let Some(last) = words.last() else { return false };
    if REFERENCE_WORDS.contains(&last.as_str()) {
        return false;
    }
    let is_word = |word: &String| SECRET_WORDS.contains(&word.as_str());
    let is_pair = |pair: &[String]| SECRET_PAIRS.contains(&(pair[0].as_str(), pair[1].as_str()));
    words.iter().any(is_word) || words.windows(2).any(is_pair)
}

/// Lower-case words of a name in kebab, snake, dotted or camel case.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut lower_before = false;
    for char in name.chars() {
        if !char.is_ascii_alphanumeric() || (char.is_ascii_uppercase() && lower_before) {
            words.push(String::new());
        }
        if char.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(char.to_ascii_lowercase());
        }
        lower_before = char.is_ascii_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The password in the authority of URLs (`scheme://user:password@host`, RFC 3986 3.2.1), wherever they stand.
fn redact_urls(arg: String) -> String {
    if !arg.contains("://") {
        return arg;
    }
    let mut redacted = String::with_capacity(arg.len());
    let mut rest = arg.as_str();
    while let Some((before, after)) = rest.split_once("://") {
        redacted.push_str(before);
        redacted.push_str("://");
        let end =
            after.find(|char: char| matches!(char, '/' | '?' | '#' | '"' | '\'') || char.is_whitespace());
        let (authority, tail) = after.split_at(end.unwrap_or(after.len()));
        match authority.rsplit_once('@').and_then(|(info, host)| Some((info.split_once(':')?.0, host))) {
            Some((user, host)) => redacted.push_str(&format!("{user}:{REDACTED}@{host}")),
            None => redacted.push_str(authority),
        }
        rest = tail;
    }
    redacted.push_str(rest);
    redacted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_quotes_end() {
        let longest = 4096;
        let around = |opening: &str| {
            let opening = opening.repeat(longest / 2 / opening.len());
            let closing: String = opening.chars().rev().collect();
            opening + " password=x " + &closing
        };
        let repeated = |text: &str| text.repeat(longest / text.len());
        let patterns = ["\"'", "'\"", "\"", "' ", "\"' ", "\"=' ", "\"'\"", "''\"", "\"' '"];
        for text in
            patterns.iter().flat_map(|pattern| [around(pattern), repeated(pattern), around(pattern) + "\""])
        {
            // A stack far smaller than that of any thread of the agent.
            let small = std::thread::Builder::new().stack_size(256 * 1024);
            let thread = small.spawn(move || redact_args(vec![text])).unwrap();
            assert_eq!(thread.join().unwrap().len(), 1);
        }
    }

    #[test]
    fn secrets_go_and_the_rest_stays() {
        for (args, expected) in [
            ("x --password=hunter2", "x --password=REDACTED"),
            ("x --password hunter2 -v", "x --password REDACTED -v"),
            ("x --token abc --verbose", "x --token REDACTED --verbose"),
            ("x --token --verbose", "x --token --verbose"),
            ("x -token abc", "x -token REDACTED"),
            ("x --db-password=a=b", "x --db-password=REDACTED"),
            (
                "x --api-key k --apiKey=k --privateKey k",
                "x --api-key REDACTED --apiKey=REDACTED --privateKey REDACTED",
            ),
            ("env DB_PASSWORD=x PATH=/bin run", "env DB_PASSWORD=REDACTED PATH=/bin run"),
            ("env AWS_SECRET_ACCESS_KEY=x", "env AWS_SECRET_ACCESS_KEY=REDACTED"),
            ("psql postgres://user:pw@db:5432/shop", "psql postgres://user:REDACTED@db:5432/shop"),
            ("git clone https://tok:p@ss@host/r.git", "git clone https://tok:REDACTED@host/r.git"),
            ("curl https://host/a@b:c", "curl https://host/a@b:c"),
            ("curl https://user@host/", "curl https://user@host/"),
            ("curl -H Authorization:Bearer-abc", "curl -H Authorization: REDACTED"),
            ("curl -H Cookie:session=1", "curl -H Cookie: REDACTED"),
            ("curl -H X-Auth-Token:abc", "curl -H X-Auth-Token: REDACTED"),
            // Ambiguous, or a reference and no secret.
            ("ssh -p 22 host", "ssh -p 22 host"),
            ("mkdir -p a/b", "mkdir -p a/b"),
            ("x --password-file /run/secret", "x --password-file /run/secret"),
            ("x --token-ttl=5m --secret-name=db", "x --token-ttl=5m --secret-name=db"),
            ("x --tokenizer=bpe --author=me", "x --tokenizer=bpe --author=me"),
            ("kubectl get secret token", "kubectl get secret token"),
            ("docker login --password-stdin", "docker login --password-stdin"),
            ("x --key=/etc/tls.key", "x --key=/etc/tls.key"),
        ] {
            let args = args.split(' ').map(str::to_owned).collect();
            assert_eq!(redact_args(args).join(" "), expected);
        }
    }

    #[test]
    fn a_header_in_one_argument() {
        let args = vec!["curl".to_owned(), "-H".to_owned(), "Authorization: Bearer abc.def".to_owned()];
        assert_eq!(redact_args(args)[2], "Authorization: REDACTED");
    }

    #[test]
    fn inside_one_argument() {
        for (arg, expected) in [
            // Where it stands first, the value may be the whole rest.
            ("PASSWORD=two words", "PASSWORD=REDACTED"),
            ("exec env PGPASSWORD=x psql -h db", "exec env PGPASSWORD=REDACTED psql -h db"),
            ("export PASSWORD='a b'; run", "export PASSWORD=REDACTED; run"),
            ("login --password hunter2 && ls", "login --password REDACTED && ls"),
            ("curl -H \"Authorization: Bearer x\" h", "curl -H \"Authorization: REDACTED\" h"),
            ("https://h/p?a=1&access_token=abc&b=2", "https://h/p?a=1&access_token=REDACTED&b=2"),
            ("user=me&password=pw", "user=me&password=REDACTED"),
            ("echo 'unclosed", "echo 'unclosed"),
            ("while true; do sleep 1; done", "while true; do sleep 1; done"),
        ] {
            assert_eq!(redact_args(vec![arg.to_owned()])[0], expected);
        }
    }

    #[test]
    fn urls_inside_a_program_text() {
        let args = vec!["curl -u x http://a:b@c/ 'ftp://d:e@f'".to_owned()];
        assert_eq!(redact_args(args)[0], "curl -u x http://a:REDACTED@c/ 'ftp://d:REDACTED@f'");
    }
}
