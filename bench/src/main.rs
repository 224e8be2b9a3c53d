//! Measures the platform from outside: real processes, real sockets. `bench/run` builds what it needs and starts it.

mod local;
mod process;
mod stream;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures the platform: start, deploy, streaming.
#[derive(Parser)]
struct Arguments {
    /// Directory of the programs to measure.
    #[arg(long, default_value = "target/release")]
    programs: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// faas-local: from its start to its first answer, its resident memory, from a deploy's 202 to the first answer.
    Local,
    /// A body streamed in and echoed out through gateway and provider: their resident memory.
    Stream {
        /// Size of the body in MiB.
        #[arg(long, default_value_t = 1024)]
        mebibytes: u64,
    },
    /// The provider of `stream`, in a process of its own, before the echo server at this address.
    #[command(hide = true)]
    Provider {
        /// host:port of the echo server.
        echo: String,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.what {
        What::Local => local::measure(&arguments.programs).await,
        What::Stream { mebibytes } => stream::measure(&arguments.programs, mebibytes).await,
        What::Provider { echo } => stream::provider(&echo).await,
    }
}
