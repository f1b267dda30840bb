//! The form of what a subcommand prints: for people or for scripts.

use clap::ValueEnum;

/// What `--output` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Table,
    Json,
}
