//! Whatever is changed is noticed.

use std::fs;
use std::path::{Path, PathBuf};

use watchfire_ledger::{Fault, Head, Ledger, PublicKey, Verdict, verify};

use crate::common::{close, config, fill, folder, intact, open};
use crate::made::Dice;

fn broken(dir: &Path) -> Fault {
    match verify(dir, None, &[]).unwrap() {
        Verdict::Broken(fault) => fault,
        Verdict::Intact(intact) => panic!("{intact:?}"),
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[test]
fn a_changed_byte_anywhere_in_the_log_is_noticed() {
    let dir = folder();
    let mut ledger = open(dir.path(), 1 << 20);
    for n in 0..5 {
        ledger.append(&[format!("{{\"type\":\"file\",\"n\":{n}}}")]).1.unwrap();
    }
    close(ledger);
    let wal = dir.path().join("wal/00000000000000000001.wal");
    let whole = fs::read(&wal).unwrap();
    assert!(whole.len() < 2000);
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1 << (at % 8);
        fs::write(&wal, &changed).unwrap();
        match verify(dir.path(), None, &[]) {
            Ok(Verdict::Broken(fault)) => assert_eq!(fault.path, wal, "byte {at}"),
            Ok(Verdict::Intact(intact)) => panic!("byte {at}: {intact:?}"),
            // The number of the format, which then is of a newer version.
            Err(error) => assert!((8..12).contains(&at), "byte {at}: {error}"),
        }
    }
    fs::write(&wal, &whole).unwrap();
    assert_eq!(intact(dir.path()).frames, 5);
}

#[test]
fn a_changed_byte_anywhere_in_a_segment_is_noticed() {
    let dir = folder();
    let mut ledger = open(dir.path(), 1 << 20);
    fill(&mut ledger, &mut Dice::new(2), 0, 40);
    ledger.rotate().unwrap();
    fill(&mut ledger, &mut Dice::new(3), 40, 60);
    ledger.rotate().unwrap();
    close(ledger);
    assert_eq!(intact(dir.path()).segments, 2);
    let mut dice = Dice::new(4);
    for path in files(&dir.path().join("segments")) {
        let whole = fs::read(&path).unwrap();
        for _ in 0..12 {
            let at = dice.below(whole.len() as u64) as usize;
            let mut changed = whole.clone();
            changed[at] ^= 1 << dice.below(8);
            fs::write(&path, &changed).unwrap();
            // A format that became a newer one is an error and no verdict: it is noticed as well.
            if let Ok(Verdict::Intact(intact)) = verify(dir.path(), None, &[]) {
                panic!("{} byte {at}: {intact:?}", path.display());
            }
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(verify(dir.path(), None, &[]).unwrap(), Verdict::Broken(_)), "{}", path.display());
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(intact(dir.path()).segments, 2);
}

#[test]
fn the_first_frame_that_is_not_as_written_is_named() {
    let dir = folder();
    let mut ledger = open(dir.path(), 1 << 20);
    for n in 0..9 {
        ledger.append(&[format!("{{\"type\":\"file\",\"n\":{n}}}")]).1.unwrap();
        if n % 3 == 2 {
            ledger.rotate().unwrap();
        }
    }
    close(ledger);
    let second = dir.path().join("segments/000000000002");
    let aside = dir.path().join("aside");
    fs::rename(&second, &aside).unwrap();
    let fault = broken(dir.path());
    assert_eq!((fault.segment, fault.frame), (Some(3), Some(4)), "{fault:?}");
    fs::rename(&aside, &second).unwrap();
    fs::write(second.join("manifest.sig"), "00\n").unwrap();
    let fault = broken(dir.path());
    assert_eq!((fault.segment, fault.frame), (Some(2), Some(4)), "{fault:?}");
    assert_eq!(fault.why, "it is not signed by the node's key");
}

/// Damage in the middle of the log: what stands behind it is set aside, told, and not forgotten.
#[test]
fn damage_is_kept_and_stays_visible() {
    let dir = folder();
    let mut ledger = open(dir.path(), 1 << 20);
    for n in 0..9 {
        ledger.append(&[format!("{{\"type\":\"file\",\"n\":{n}}}")]).1.unwrap();
    }
    close(ledger);
    let wal = dir.path().join("wal/00000000000000000001.wal");
    let mut bytes = fs::read(&wal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&wal, &bytes).unwrap();
    assert_eq!(broken(dir.path()).frame, Some(5));
    let (ledger, recovery) = Ledger::open(config(dir.path(), 1 << 20)).unwrap();
    assert_eq!((recovery.records, recovery.torn_bytes, recovery.damage.len()), (4, 0, 1));
    close(ledger);
    let fault = broken(dir.path());
    assert_eq!(fault.why, "this was cut off from a damaged part of the ledger");
    assert!(bytes.ends_with(&fs::read(&fault.path).unwrap()));
}

#[test]
fn history_that_was_written_again_does_not_agree_with_what_was_published() {
    let dir = folder();
    let mut ledger = open(dir.path(), 1 << 20);
    ledger.append(&["{\"n\":1}"]).1.unwrap();
    ledger.append(&["{\"n\":2}"]).1.unwrap();
    let published = ledger.stats().head();
    let key = *ledger.public_key();
    close(ledger);
    let with = |heads: &[Head]| verify(dir.path(), Some(key), heads).unwrap();
    assert!(matches!(with(&[published]), Verdict::Intact(_)));

    // Whoever has the node's key begins again with the same names.
    let wal = dir.path().join("wal/00000000000000000001.wal");
    fs::remove_file(&wal).unwrap();
    let mut ledger = open(dir.path(), 1 << 20);
    ledger.append(&["{\"n\":1}"]).1.unwrap();
    assert_eq!(intact(dir.path()).records, 1);
    let Verdict::Broken(fault) = with(&[published]) else { panic!("the end is missing") };
    assert_eq!(fault.frame, Some(2), "{fault:?}");
    ledger.append(&["{\"n\":3}"]).1.unwrap();
    ledger.append(&["{\"n\":4}"]).1.unwrap();
    close(ledger);
    assert_eq!(intact(dir.path()).records, 3);
    let Verdict::Broken(fault) = with(&[published]) else { panic!("frame 2 is another") };
    assert_eq!(fault.frame, Some(2), "{fault:?}");
}

#[test]
fn another_key_is_not_the_nodes() {
    let (dir, other) = (folder(), folder());
    let mut ledger = open(dir.path(), 1 << 20);
    fill(&mut ledger, &mut Dice::new(2), 0, 5);
    ledger.rotate().unwrap();
    close(ledger);
    close(open(other.path(), 1 << 20));
    let key = PublicKey::read(&other.path().join("node.pub")).unwrap();
    assert!(matches!(verify(dir.path(), Some(key), &[]).unwrap(), Verdict::Broken(_)));
}
