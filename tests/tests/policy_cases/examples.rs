//! Cilium's example policies: all can be read.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Completion, Trial};
use watchfire_policy::parse_documents;

/// Files of objects in the folder; a 57th is text.
const FILES: usize = 56;

/// Why the one file is refused that shows a field of old.
const NO_LONGER_SERVED: &str = "fromRequires: no longer served";
/// Policies in them: not each file holds one, and some hold several.
const POLICIES: usize = 54;

pub(crate) fn trial(folder: PathBuf) -> Trial {
    const NAME: &str = "upstream_cilium_examples";
    Trial::ignorable_test(NAME, move || {
        if !folder.exists() {
            let reason = format!("no {}", folder.display());
            println!("\nSKIP {NAME}: {reason}");
            return Ok(Completion::ignored_with(reason));
        }
        let mut files = Vec::new();
        collect(&folder, &mut files);
        assert_eq!(files.len(), FILES);
        let mut refused = Vec::new();
        let mut policies = 0;
        for file in &files {
            let text = fs::read_to_string(file).expect("the file can be read");
            let parsed = parse_documents(&file.to_string_lossy(), &text);
            policies += parsed.policies.len();
            refused.extend(parsed.rejected.iter().map(ToString::to_string));
        }
        let (_, others): (Vec<_>, Vec<_>) =
            refused.iter().partition(|refused| refused.contains(NO_LONGER_SERVED));
        assert_eq!(others, [""; 0]);
        assert_eq!(refused.len(), 1);
        assert_eq!(policies, POLICIES);
        Ok(Completion::Completed)
    })
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| matches!(extension.to_str(), Some("yaml" | "json")))
        {
            files.push(path);
        }
    }
}
