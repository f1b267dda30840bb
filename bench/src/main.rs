//! Load and comparison: `weft-bench run` measures Weft beside a direct connection and two yardsticks.
//!
//! `weft-bench fleet` measures the control plane under thousands of proxies, `weft-bench instructions` what a request costs
//! in instructions. The other commands are what `run` is put
//! together from, each of use by itself: a load generator, a server, and the bare pair of proxies. README.md says what is
//! measured and how.

mod bare;
mod fleet;
mod instructions;
mod load;
mod process;
mod run;
mod serve;
mod thread;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "weft-bench", about = "Load and comparison for Weft")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure direct connections, the yardsticks and Weft in namespaces of their own, and print a table.
    Run(run::Options),
    /// Subscribe thousands of simulated proxies to a control plane, roll every endpoint out anew, and hold the bars.
    Fleet(fleet::Options),
    /// Count the instructions that a request costs both proxies, and hold them against those of before.
    Instructions(instructions::Options),
    /// Send load, and print what became of it as one line of JSON.
    Load(load::Options),
    /// Serve HTTP/1.1, gRPC and echo, as fast as is simple.
    Serve(serve::Options),
    /// The bare proxy on the client's side: hyper in front, HTTP/2 over mutual TLS behind.
    BareOutbound(bare::Options),
    /// The bare proxy on the server's side.
    BareInbound(bare::Options),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Run(options) => run::run(&options),
        Command::Fleet(options) => fleet::run(&options),
        Command::Instructions(options) => instructions::run(&options),
        Command::Load(options) => load::run(&options),
        Command::Serve(options) => serve::run(&options),
        Command::BareOutbound(options) => bare::run_outbound(&options),
        Command::BareInbound(options) => bare::run_inbound(&options),
    }
}
