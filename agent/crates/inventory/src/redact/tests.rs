use super::*;

fn redact_args(args: Vec<String>) -> Vec<String> {
    Redactor::default().args(args).0
}

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
        ("run --db=\"Server=x;Password=a b\" -v", "run --db=\"Server=x;Password=REDACTED\" -v"),
        ("mongodb+srv://u:p@h/db", "mongodb+srv://u:REDACTED@h/db"),
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

#[test]
fn whether_something_was_masked_is_said() {
    let args = |args: &[&str]| Redactor::default().args(args.iter().map(|&arg| arg.to_owned()).collect()).1;
    assert!(args(&["x", "--password=a"]) && args(&["x", "--password", "a"]));
    assert!(args(&["x", "ghp_abcdefghijklmnopqrstuvwxyz0123456789"]));
    assert!(!args(&["x", "--key-file=a", "https://h/", "token"]) && !args(&[]));
}

#[test]
fn variables_are_judged_by_name_and_value() {
    let redactor = Redactor::default();
    for (name, value, expected) in [
        ("DB_PASSWORD", "a b", "REDACTED"),
        ("DATABASE_URL", "postgres://u:p@h/d", "postgres://u:REDACTED@h/d"),
        ("PATH", "/bin:/usr/bin", "/bin:/usr/bin"),
        ("TOKEN", "", ""),
    ] {
        assert_eq!(redactor.variable(name, value), expected, "{name}");
    }
}

#[test]
fn configured_names_and_patterns_count_as_well() {
    let names = [SecretName::try_from("session_id".to_owned()).unwrap()];
    let pattern = SecretPattern::try_from("^pin:([0-9]+)$".to_owned()).unwrap();
    let redactor = Redactor::new(&names, vec![pattern]);
    let args = ["x", "--session-id", "7", "MY_SESSION_ID=8", "--id=9", "pin:11", "--password=p"];
    let (args, found) = redactor.args(args.map(str::to_owned).to_vec());
    assert_eq!(
        args,
        [
            "x",
            "--session-id",
            "REDACTED",
            "MY_SESSION_ID=REDACTED",
            "--id=9",
            "pin:REDACTED",
            "--password=REDACTED"
        ]
    );
    assert!(found);
    assert!(SecretName::try_from("--".to_owned()).is_err());
}

#[test]
fn every_built_in_name_is_suspect() {
    let suspect = Regex::new(&format!("(?i-u:{SUSPECT})")).unwrap();
    for word in names::SECRET_WORDS {
        assert!(suspect.is_match(word), "{word}");
    }
}
