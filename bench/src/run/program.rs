//! The programs that are measured, copied to where the proxies' user may run them: a home folder often is not.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

const BENCH: &str = "weft-bench";
const WEFT: [&str; 2] = ["weft-proxy", "weft-control-plane"];

/// Copies of the programs, for as long as this lives. A build meanwhile does not change what is measured.
pub struct Programs(tempfile::TempDir);

impl Programs {
    /// This program; and Weft's own, which are beside it or in `folder`, if they are asked for.
    pub fn new(folder: Option<&Path>, with_weft: bool) -> anyhow::Result<Self> {
        let this = std::env::current_exe()?;
        let beside = this.parent().context("this program is in no folder")?;
        let folder = folder.unwrap_or(beside);
        let copies = tempfile::Builder::new().prefix("weft-bench-programs-").tempdir().context("make a folder")?;
        fs::set_permissions(copies.path(), Permissions::from_mode(0o755))?;
        let copy = |from: &Path, name: &str| {
            let to = copies.path().join(name);
            fs::copy(from, &to).with_context(|| format!("copy {}", from.display()))?;
            fs::set_permissions(to, Permissions::from_mode(0o755)).context("let a copy be run")
        };
        copy(&this, BENCH)?;
        for name in WEFT.into_iter().filter(|_| with_weft) {
            let from = folder.join(name);
            ensure!(from.exists(), "no {name} in {}: build it, or say where with --binaries", folder.display());
            copy(&from, name)?;
        }
        Ok(Self(copies))
    }

    /// A command of this program.
    pub fn bench(&self, command: &str) -> Command {
        let mut program = Command::new(self.path(BENCH));
        program.arg(command);
        program
    }

    pub fn control_plane(&self) -> Command {
        Command::new(self.path("weft-control-plane"))
    }

    pub fn proxy(&self) -> Command {
        Command::new(self.path("weft-proxy"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
