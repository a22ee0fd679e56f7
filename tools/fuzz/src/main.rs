//! `seed` makes the corpus anew; `run [--target NAME] [--seconds N] [--seed N]` mutates it until the time is over or a
//! target fails; `replay TARGET FILE` runs one input.

use std::error::Error;
use std::time::{Duration, Instant};

use forebay_fuzz::{Target, kept, mutate, seed, targets};

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["seed"] => tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(seed()),
        ["replay", target, file] => Ok((named(target)?.run)(&std::fs::read(file)?)?),
        ["run", options @ ..] => run(options),
        _ => Err("usage: forebay-fuzz seed | run [--target NAME] [--seconds N] [--seed N] | replay TARGET FILE".into()),
    }
}

fn named(name: &str) -> Result<Target, Box<dyn Error>> {
    targets().into_iter().find(|target| target.name == name).ok_or_else(|| format!("no target {name}").into())
}

#[allow(clippy::disallowed_methods, reason = "how long to go on is the real clock's")]
fn run(options: &[&str]) -> Outcome {
    let (mut chosen, mut seconds, mut number) = (targets(), 60, 1);
    for option in options.chunks(2) {
        match option {
            ["--target", name] => chosen = vec![named(name)?],
            ["--seconds", text] => seconds = text.parse()?,
            ["--seed", text] => number = text.parse()?,
            other => return Err(format!("{other:?} is no option with a value").into()),
        }
    }
    let inputs = chosen.iter().map(|target| kept(target.name)).collect::<Result<Vec<_>, _>>()?;
    let (end, mut runs) = (Instant::now() + Duration::from_secs(seconds), 0_u64);
    let failing = std::env::temp_dir().join("forebay-fuzz-input");
    while Instant::now() < end {
        for (target, inputs) in chosen.iter().zip(&inputs) {
            for (at, (_, input)) in inputs.iter().enumerate() {
                let other = &inputs[(at + 1) % inputs.len()].1;
                let bytes = mutate(number, input, other);
                // Written first: a panic or an abort leaves it behind.
                std::fs::write(&failing, &bytes)?;
                (target.run)(&bytes).map_err(|what| format!("{}: {what}; see {}", target.name, failing.display()))?;
                (number, runs) = (number.wrapping_add(1), runs + 1);
            }
        }
    }
    println!("{runs} inputs, no failure");
    Ok(())
}
