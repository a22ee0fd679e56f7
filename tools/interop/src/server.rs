//! Another engine as a process that takes one JSON command a line and answers one JSON line (see `README.md`).

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::{Value, json};

/// The engines there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Paimon's core classes, 1.x.
    Java1x,
    /// Paimon's core classes, 2.x.
    Java2x,
    /// Flink SQL with Paimon 2.x.
    Flink,
    /// pypaimon.
    Python,
    /// The Rust crate `paimon`.
    Rust,
    /// Spark SQL with Paimon 0.9.
    Spark,
}

impl Engine {
    /// Its name for `serve`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Java1x => "java-1x",
            Self::Java2x => "java-2x",
            Self::Flink => "flink",
            Self::Python => "python",
            Self::Rust => "rust",
            Self::Spark => "spark",
        }
    }
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

type Idle = HashMap<Engine, Vec<Process>>;

fn idle() -> &'static Mutex<Idle> {
    static IDLE: OnceLock<Mutex<Idle>> = OnceLock::new();
    IDLE.get_or_init(Mutex::default)
}

/// A running engine, for one test alone. It is kept for the next test when this handle goes.
pub struct Server {
    engine: Engine,
    process: Option<Process>,
}

impl Server {
    /// An idle process of the engine, or a new one. It ends with this program, because its input ends then.
    pub fn get(engine: Engine) -> Self {
        let waiting = idle().lock().unwrap_or_else(PoisonError::into_inner).get_mut(&engine).and_then(Vec::pop);
        Self { engine, process: Some(waiting.unwrap_or_else(|| start(engine))) }
    }

    /// Which engine it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Sends a command.
    ///
    /// # Errors
    /// The engine's own words.
    pub fn call(&mut self, command: &Value) -> Result<Value, String> {
        let name = self.engine.name();
        let process = self.process.as_mut().expect("a server is there until it is dropped");
        let mut answer = String::new();
        let sent = writeln!(process.input, "{command}").and_then(|()| process.input.flush());
        if let Err(error) = sent.and_then(|()| process.output.read_line(&mut answer).map(drop)) {
            panic!("{name}: {error} at {command}");
        }
        if answer.is_empty() {
            let status = process.child.wait();
            self.process = None;
            panic!("{name} ended ({status:?}); run tools/interop/setup, or set INTEROP_LOG=error to see what it says");
        }
        let answer: Value = serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{name}: {error}: {answer}"));
        match answer.get("error") {
            Some(error) => Err(error.as_str().unwrap_or_default().to_string()),
            None => Ok(answer),
        }
    }

    /// Sends a command that must not fail: its name, the table's place and its arguments.
    pub fn run(&mut self, command: &str, table: &Path, mut arguments: Value) -> Value {
        arguments["command"] = json!(command);
        arguments["table"] = json!(table);
        self.call(&arguments).unwrap_or_else(|error| {
            let mut shown = arguments.to_string();
            shown.truncate(shown.char_indices().nth(2000).map_or(shown.len(), |(at, _)| at));
            panic!("{}: {error}\n  at {shown}", self.engine.name())
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let Some(process) = self.process.take() else { return };
        // A test that failed may have left an answer unread.
        if !std::thread::panicking() {
            idle().lock().unwrap_or_else(PoisonError::into_inner).entry(self.engine).or_default().push(process);
        }
    }
}

fn start(engine: Engine) -> Process {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("serve");
    let errors = || if std::env::var_os("INTEROP_LOG").is_some() { Stdio::inherit() } else { Stdio::null() };
    let child = Command::new(&program)
        .arg(engine.name())
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(errors())
        .spawn();
    let mut child = child.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let input = child.stdin.take().expect("a piped input");
    let output = BufReader::new(child.stdout.take().expect("a piped output"));
    Process { child, input, output }
}
