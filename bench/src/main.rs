//! Measures the platform from outside: real processes, real sockets. `bench/run` builds what it needs and starts it.

mod cold;
mod later;
mod load;
mod local;
mod nats;
mod paced;
mod process;
mod proxy;
mod stream;
mod swarm;
mod upstream;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures the platform: start, deploy, the watchdog, streaming.
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
    /// Cold starts through faas-local, and of paused replicas.
    Cold,
    /// Asynchronous calls: stored, made, waiting.
    Later,
    /// The same on NATS: storing beside its client alone, and a gateway and a queue-worker of their own.
    Nats,
    /// A body streamed in and echoed out through gateway and provider: their resident memory.
    Stream {
        /// Size of the body in MiB.
        #[arg(long, default_value_t = 1024)]
        mebibytes: u64,
    },
    /// The watchdog's mode http beside nginx as a bare proxy: rate, added time, memory. Needs nginx and wrk.
    Http {
        /// The watchdog to measure.
        watchdog: PathBuf,
        /// Calls after which its memory is compared.
        #[arg(long, default_value_t = 1_000_000)]
        calls: u64,
    },
    /// provider-swarm: deploying, scaling, cold starts, two hundred functions. Needs the engine and images that `bench/run` sees to.
    Swarm {
        /// Cold starts only.
        #[arg(long)]
        cold: bool,
    },
    /// The function of `http`, in a process of its own.
    #[command(hide = true)]
    Upstream {
        /// Where it listens on loopback.
        port: u16,
    },
    /// The provider of `stream`, in a process of its own, before the echo server at this address.
    #[command(hide = true)]
    Provider {
        /// host:port of the echo server.
        echo: String,
    },
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let What::Upstream { port } = arguments.what {
        return upstream::serve(port);
    }
    tokio::runtime::Runtime::new()?.block_on(measure(arguments))
}

async fn measure(arguments: Arguments) -> anyhow::Result<()> {
    match arguments.what {
        What::Cold => cold::measure(&arguments.programs).await,
        What::Later => later::measure(&arguments.programs).await,
        What::Nats => nats::measure(&arguments.programs).await,
        What::Local => local::measure(&arguments.programs).await,
        What::Stream { mebibytes } => stream::measure(&arguments.programs, mebibytes).await,
        What::Swarm { cold } => swarm::measure(cold).await,
        What::Http { watchdog, calls } => proxy::measure(&watchdog, calls).await,
        What::Upstream { port } => upstream::serve(port),
        What::Provider { echo } => stream::provider(&echo).await,
    }
}
