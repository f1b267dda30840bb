//! Databases for tests: a file of SQLite, and a database of a PostgreSQL server that lives as long as the test process.
//!
//! The unit tests have it as `db::testing`; a test of a whole program includes it by `#[path]`.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Executor};

/// Runs `test` with the URL of an empty SQLite database, then with that of an empty PostgreSQL database.
///
/// Where PostgreSQL is not installed, that half fails in continuous integration (`CI=true`) and says elsewhere, even when
/// the test passes, that it did not run.
pub async fn on_each(test: impl AsyncFn(&str)) {
    let folder = tempfile::tempdir().unwrap();
    test(&format!("sqlite://{}/test.db?mode=rwc", folder.path().display())).await;
    if let Some(url) = fresh_postgres().await {
        test(&url).await;
    }
}

/// The URL of an empty PostgreSQL database, where PostgreSQL is installed.
pub async fn fresh_postgres() -> Option<String> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    static CREATED: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(Server::start).as_ref()?;
    let name = format!("test{}", CREATED.fetch_add(1, Ordering::Relaxed));
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(&server.url("postgres")).await.unwrap();
    connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
    connection.close().await.unwrap();
    Some(server.url(&name))
}

/// A server that nobody else can reach: it listens on a socket in its own folder. It ends, and its folder goes, once the
/// test process has ended in whatever way, for it reads a pipe that only that process holds open.
struct Server {
    folder: String,
    _until_dropped: Child,
}

/// Says its folder once the server answers, and ends when its input does. Run by who owns the data.
const SERVE: &str = r#"
bin=$1
trap '' INT
umask 077
folder=$(mktemp -d /tmp/shop-postgres.XXXXXX) || exit 1
chmod 711 "$folder"
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
"$bin"/initdb --auth=trust --username=shop --no-sync --encoding=UTF8 --locale=C data >log 2>&1 || { cat log >&2; exit 1; }
"$bin"/postgres -D data -k "$folder" -h '' -c fsync=off -c max_connections=400 -c max_prepared_transactions=64 \
    -c unix_socket_permissions=0777 >>log 2>&1 </dev/null &
server=$!
until "$bin"/pg_isready --quiet --host "$folder" --username shop --dbname postgres; do
    kill -0 "$server" || { cat log >&2; exit 1; }
    sleep 0.05
done
echo "$folder"
cat >/dev/null
kill -QUIT "$server"
wait "$server"
"#;

impl Server {
    fn start() -> Option<Self> {
        let Some(bin) = installed() else {
            assert!(std::env::var("CI").is_err(), "PostgreSQL is not installed: run .ci/packages");
            let warning = b"!!! PostgreSQL is not installed: this was tested on SQLite alone\n";
            std::io::stderr().write_all(warning).unwrap(); // past the test harness, which keeps what eprintln! says
            return None;
        };
        let mut shell = if is_root() { as_postgres() } else { Command::new("sh") };
        let mut serving = shell
            .args(["-c", SERVE, "serve"])
            .arg(bin)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let mut folder = String::new();
        BufReader::new(serving.stdout.take().unwrap()).read_line(&mut folder).unwrap();
        assert!(!folder.is_empty(), "PostgreSQL did not start; its reason stands above");
        Some(Self { folder: folder.trim().to_owned(), _until_dropped: serving })
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://shop@localhost/{database}?host={}", self.folder)
    }
}

/// PostgreSQL refuses to run as root; Debian's package has made a user for it.
fn as_postgres() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The folder of the newest version's programs.
fn installed() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<_> = versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).collect();
    folders.sort();
    folders.into_iter().rev().find(|folder| folder.join("postgres").exists())
}
