//! One shell, as a reader has it open: commands go in one by one.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

const END: &str = "@@ end of output @@";
/// How long a command is typed again until it says what is expected: replicas start and leave meanwhile.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Shell {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    pub(crate) fn start(folder: &Path) -> Self {
        let mut process = Command::new("bash")
            .arg("-m")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self {
            process,
            input,
            output,
        }
    }

    /// Types a command; one that only looks is typed again until `enough` likes what it says.
    pub(crate) fn run(&mut self, command: &str, enough: impl Fn(&str) -> bool) -> String {
        let only_looks =
            !command.contains("-d '{") && !command.ends_with('&') && !command.starts_with("kill");
        let began = Instant::now();
        loop {
            let said = self.once(command);
            if enough(&said) || !only_looks || began.elapsed() > PATIENCE {
                return said;
            }
        }
    }

    fn once(&mut self, command: &str) -> String {
        // curl's progress goes to stderr; a newline after the output keeps the mark on a line of its own.
        writeln!(self.input, "{command}\necho; echo '{END}'").unwrap();
        let mut said = String::new();
        loop {
            let mut line = String::new();
            assert!(
                self.output.read_line(&mut line).unwrap() > 0,
                "the shell ended at: {command}"
            );
            if line.trim_end() == END {
                break;
            }
            said.push_str(&line);
        }
        let said = said.trim_end();
        if said.is_empty() {
            String::new()
        } else {
            format!("{said}\n")
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
