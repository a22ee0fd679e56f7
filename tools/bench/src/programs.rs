//! The programs that are measured: child processes with the same verbs, arguments and answers.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::args::Args;
use crate::measure::Outcome;

/// Forebay's name among the engines.
pub const FOREBAY: &str = "forebay";
/// The name of the published `paimon` crate.
pub const PAIMON_RUST: &str = "paimon-rust";
/// The name of released Java Paimon.
pub const JAVA: &str = "java";

/// One engine.
pub struct Program {
    /// Its name in the report.
    pub name: &'static str,
    command: Vec<String>,
}

impl Program {
    /// The engines at hand, Forebay first: `--paimon-rust PROGRAM`, `--java-class-path JARS`.
    pub fn at_hand(args: &mut Args, scratch: &str) -> Outcome<Vec<Self>> {
        let myself = std::env::current_exe()?.to_string_lossy().into_owned();
        let mut programs = vec![Self { name: FOREBAY, command: vec![myself] }];
        if let Some(program) = args.take(PAIMON_RUST)? {
            programs.push(Self { name: PAIMON_RUST, command: vec![program] });
        }
        if let Some(jars) = args.take::<String>("java-class-path")? {
            let opens = ["java.lang", "java.nio"].map(|package| format!("--add-opens=java.base/{package}=ALL-UNNAMED"));
            let log = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error".to_string();
            let mut command = vec!["java".to_string(), "-Xmx6g".into(), format!("-Djava.io.tmpdir={scratch}"), log];
            command.extend(opens);
            command.extend(["-cp".into(), jars, "PaimonBench".into()]);
            programs.push(Self { name: JAVA, command });
        }
        Ok(programs)
    }

    /// Runs one verb to its end, and gives the lines it answered with.
    pub fn ask(&self, verb: &str, words: &[String]) -> Outcome<Vec<Value>> {
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).arg(verb).args(words).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", self.command[0]))?;
        let output = child.stdout.take().ok_or("the child has no output")?;
        let mut answers = Vec::new();
        for line in BufReader::new(output).lines() {
            let line = line?;
            // Libraries print to standard output too; an answer is an object on a line of its own.
            if let Ok(value @ Value::Object(_)) = serde_json::from_str(&line) {
                answers.push(value);
            }
        }
        let status = child.wait()?;
        if !status.success() || answers.is_empty() {
            return Err(format!("{} {verb} {}: {status}", self.name, words.join(" ")).into());
        }
        Ok(answers)
    }
}
