//! Whatever is changed is noticed.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use watchfire_ledger::{Fault, Head, Ledger, PublicKey, Verdict, verify, verify_after};

use crate::common::{close, config, files, fill, folder, intact, open, wait};
use crate::made::Dice;

fn broken(dir: &Path) -> Fault {
    match verify(dir, None, &[]).unwrap() {
        Verdict::Broken(fault) => fault,
        Verdict::Intact(intact) => panic!("{intact:?}"),
    }
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

/// Every byte of a small segment, manifest and signature included: the file is named, and the frame where it is one.
#[test]
fn a_changed_byte_anywhere_in_a_segment_is_noticed() {
    let dir = folder();
    let mut ledger = open(dir.path(), 1 << 20);
    let lines = ["file", "flow"].map(|of| format!("{{\"type\":\"{of}\",\"path\":\"/etc/shadow\"}}"));
    write_and_seal(&mut ledger, &[&lines[0], &lines[1], &lines[0]]);
    close(ledger);
    let (mut frames, mut beside, mut untold) = (HashSet::new(), 0, 0);
    for path in files(&dir.path().join("segments")) {
        let whole = fs::read(&path).unwrap();
        let is_table = ["event.parquet", "flow.parquet"].iter().any(|name| path.ends_with(name));
        // Every byte but in the larger table, which is there for its frame.
        let step = if path.ends_with("flow.parquet") { 16 } else { 1 };
        for at in (0..whole.len()).step_by(step) {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at / step % 8);
            fs::write(&path, &changed).unwrap();
            match verify(dir.path(), None, &[]) {
                Ok(Verdict::Broken(fault)) if is_table => {
                    assert_eq!((&fault.path, fault.segment), (&path, Some(1)), "byte {at}");
                    frames.extend(fault.frame);
                    let is_beside = fault.why.ends_with("what changed is beside them");
                    beside += u64::from(is_beside);
                    untold += u64::from(!is_beside && fault.frame.is_none());
                }
                // A signature names the manifest that it is of.
                Ok(Verdict::Broken(fault)) => assert_eq!(fault.path.parent(), path.parent(), "byte {at}"),
                Ok(Verdict::Intact(intact)) => panic!("{} byte {at}: {intact:?}", path.display()),
                // The number of the format, which then is of a newer version.
                Err(error) => assert!(error.to_string().contains("newer version"), "byte {at}: {error}"),
            }
        }
        fs::remove_file(&path).unwrap();
        assert!(matches!(verify(dir.path(), None, &[]).unwrap(), Verdict::Broken(_)), "{}", path.display());
        fs::write(&path, &whole).unwrap();
    }
    assert_eq!(intact(dir.path()).segments, 1);
    assert_eq!(frames, HashSet::from([1, 2, 3]));
    assert!(beside > 0);
    // Numbers of rows that are so large that the library for Parquet panics: the file is named, no frame is.
    assert!(untold < 10, "{untold} changed bytes of which no frame is named");
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

/// Whoever has the node's key writes history again, with the same names, up to signed manifests and a signed head.
#[test]
fn history_that_was_written_again_does_not_agree_with_what_was_published() {
    let dir = folder();
    let mut ledger = open(dir.path(), 1 << 20);
    let published = write_and_seal(&mut ledger, &["{\"n\":1}", "{\"n\":2}"]);
    let key = *ledger.public_key();
    close(ledger);
    let with = |heads: &[Head]| verify(dir.path(), Some(key), heads).unwrap();
    assert!(matches!(with(&[published]), Verdict::Intact(_)));

    fs::remove_dir_all(dir.path().join("segments")).unwrap();
    fs::remove_file(dir.path().join("head.signed")).unwrap();
    let mut ledger = open(dir.path(), 1 << 20);
    let forged = write_and_seal(&mut ledger, &["{\"n\":1}"]);
    close(ledger);
    let alone = intact(dir.path());
    assert_eq!((alone.records, alone.signed_frame), (1, 1));
    let Verdict::Broken(fault) = with(&[published]) else { panic!("the end is missing") };
    assert_eq!(fault.frame, Some(2), "{fault:?}");
    let mut ledger = open(dir.path(), 1 << 20);
    write_and_seal(&mut ledger, &["{\"n\":3}", "{\"n\":4}"]);
    close(ledger);
    assert_eq!(intact(dir.path()).records, 3);
    assert!(matches!(with(&[forged]), Verdict::Intact(_)));
    let Verdict::Broken(fault) = with(&[published]) else { panic!("frame 2 is another") };
    assert_eq!((fault.segment, fault.frame), (Some(2), Some(2)), "{fault:?}");
    assert!(fault.why.ends_with("was published"), "{fault:?}");
}

/// Appends each line as a frame, seals them, and says what is published then.
fn write_and_seal(ledger: &mut Ledger, lines: &[&str]) -> Head {
    for line in lines {
        ledger.append(&[line]).1.unwrap();
    }
    let sealed = ledger.stats().sealed.get();
    ledger.rotate().unwrap();
    wait(ledger.stats(), |stats| stats.sealed.get() > sealed);
    let published = ledger.stats().sealed_head().unwrap().head;
    assert_eq!(published, ledger.stats().head());
    published
}

/// Without the key the log cannot be written again, nor shortened.
#[test]
fn a_log_that_was_written_again_is_not_what_was_signed() {
    let (dir, forger) = (folder(), folder());
    let wal = Path::new("wal/00000000000000000001.wal");
    let mut ledger = open(dir.path(), 1 << 20);
    for n in 1..=3 {
        ledger.append(&[format!("{{\"n\":{n}}}")]).1.unwrap();
    }
    close(ledger);
    let whole = intact(dir.path());
    assert_eq!((whole.signed_frame, whole.unsigned_frames), (3, 0));
    let kept = fs::read(dir.path().join(wal)).unwrap();

    fs::copy(dir.path().join("ledger.json"), forger.path().join("ledger.json")).unwrap();
    let mut ledger = open(forger.path(), 1 << 20);
    for n in 1..=3 {
        ledger.append(&[format!("{{\"n\":{}}}", 2 * n)]).1.unwrap();
    }
    close(ledger);
    assert_eq!(intact(forger.path()).records, 3);
    fs::copy(forger.path().join(wal), dir.path().join(wal)).unwrap();
    let fault = broken(dir.path());
    assert_eq!(fault.frame, Some(3), "{fault:?}");
    assert!(fault.why.contains("was signed at"), "{fault:?}");

    // Opening it does not make it good: the signature is kept with what is damaged.
    for changed in [fs::read(forger.path().join(wal)).unwrap(), kept[..80].to_vec()] {
        fs::write(dir.path().join(wal), &changed).unwrap();
        let (ledger, recovery) = Ledger::open(config(dir.path(), 1 << 20)).unwrap();
        assert_eq!(recovery.damage.len(), 1, "{recovery:?}");
        assert!(recovery.damage[0].contains("signed"), "{recovery:?}");
        close(ledger);
        let fault = broken(dir.path());
        assert_eq!(fault.why, "the frame that it signs was not there when the ledger was opened");
        fs::copy(&fault.path, dir.path().join("head.signed")).unwrap();
        fs::remove_dir_all(dir.path().join("damaged")).unwrap();
    }
}

#[test]
fn what_was_checked_before_is_not_read_again() {
    let dir = folder();
    let mut ledger = open(dir.path(), 1 << 20);
    write_and_seal(&mut ledger, &["{\"n\":1}", "{\"n\":2}"]);
    let checked = write_and_seal(&mut ledger, &["{\"n\":3}"]);
    ledger.append(&["{\"n\":4}"]).1.unwrap();
    close(ledger);
    let Verdict::Intact(intact) = verify_after(dir.path(), None, &[], checked).unwrap() else { panic!() };
    assert_eq!((intact.segments, intact.first_frame, intact.records), (1, 3, 2), "{intact:?}");
    let table = dir.path().join("segments/000000000001/event.parquet");
    fs::write(&table, "changed").unwrap();
    assert!(matches!(verify_after(dir.path(), None, &[], checked).unwrap(), Verdict::Intact(_)));
    assert_eq!(broken(dir.path()).path, table);
    let other = Head { hash: watchfire_ledger::ChainHash::of(b"other"), ..checked };
    assert!(matches!(verify_after(dir.path(), None, &[], other).unwrap(), Verdict::Broken(_)));
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
