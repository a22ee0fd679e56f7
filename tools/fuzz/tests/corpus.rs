//! Every target over its kept corpus, and over mutations of it. `FOREBAY_FUZZ_ROUNDS` sets how many of each input,
//! `FOREBAY_FUZZ_SEED` where they begin; a failure names the seed and keeps the input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "a decoder that hangs is found by the real clock")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use forebay_fuzz::{Target, corpus, kept, mutate, targets};

/// No input of a few kilobytes takes this long, not even without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);
/// Bytes of memory beyond which a target promised itself too much.
const MOST_KIB: u64 = 1 << 20;

fn number(name: &str, told: u64) -> u64 {
    std::env::var(name).ok().map_or(told, |text| text.parse().unwrap())
}

/// Runs a target; what fails is kept in a file, with the command that replays it.
fn run(target: &Target, what: &str, bytes: &[u8]) {
    let started = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    let failed = match outcome {
        Ok(Ok(())) if started.elapsed() < LONGEST => return,
        Ok(Ok(())) => format!("it took {:?}", started.elapsed()),
        Ok(Err(words)) => words,
        Err(_) => "it panicked".to_string(),
    };
    let path = std::env::temp_dir().join(format!("forebay-fuzz-{}", target.name));
    std::fs::write(&path, bytes).unwrap();
    let replay = format!("cargo run --bin forebay-fuzz -- replay {} {}", target.name, path.display());
    panic!("target {}, {what}: {failed}\nreplay: {replay}", target.name);
}

fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

#[test]
fn every_target_takes_its_corpus_and_mutations_of_it() {
    let (rounds, seed) = (number("FOREBAY_FUZZ_ROUNDS", 400), number("FOREBAY_FUZZ_SEED", 1));
    for target in targets() {
        let inputs = kept(target.name).unwrap_or_else(|error| panic!("corpus of {}: {error}", target.name));
        assert!(!inputs.is_empty(), "target {} has no corpus", target.name);
        for (at, (path, input)) in inputs.iter().enumerate() {
            run(&target, &path.display().to_string(), input);
            let other = &inputs[(at + 1) % inputs.len()].1;
            for round in seed..seed + rounds {
                let what = format!("{}, FOREBAY_FUZZ_SEED={round} FOREBAY_FUZZ_ROUNDS=1", path.display());
                run(&target, &what, &mutate(round, input, other));
            }
        }
    }
    assert!(peak_kib() < MOST_KIB, "{} KiB at the most", peak_kib());
}

#[test]
fn every_kept_input_that_a_table_wrote_is_taken_as_a_value() {
    // Were the corpus foreign to a decoder, its mutations would try nothing but the first check.
    use forebay::format::{ManifestFilter, decode_manifest, decode_manifest_list, decode_schema};
    let mut read = 0;
    for (path, bytes) in kept("manifest").unwrap() {
        let entries = decode_manifest(&bytes, "input", &ManifestFilter::ALL);
        assert!(!entries.unwrap().is_empty(), "{}", path.display());
        read += 1;
    }
    for (_, bytes) in kept("manifest-list").unwrap() {
        drop(decode_manifest_list(&bytes, "input").unwrap());
        read += 1;
    }
    for (_, bytes) in kept("schema").unwrap() {
        drop(decode_schema(&bytes, "input").unwrap());
        read += 1;
    }
    assert!(read >= 12, "{read} inputs");
}

#[test]
fn every_directory_of_the_corpus_belongs_to_a_target() {
    let names: Vec<&str> = targets().iter().map(|target| target.name).collect();
    for entry in std::fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name.as_str()), "{name}");
    }
}
