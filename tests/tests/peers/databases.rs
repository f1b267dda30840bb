//! Databases, whose protocols the mesh carries as bytes.

use crate::harness::{CONNECTIONS, crossed, mesh, peers, run};

/// PostgreSQL runs as nobody's root: its own user makes the data and serves it.
const POSTGRESQL: &str = r#"
set -e
chmod 755 .
install -d -o postgres -g postgres data
as_postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups "$@"; }
as_postgres "$1"/initdb --auth=trust --no-sync --encoding=UTF8 --locale=C data
echo 'host all all all trust' >>data/pg_hba.conf
exec setpriv --reuid=postgres --regid=postgres --clear-groups \
    "$1"/postgres -D data -c listen_addresses='*' -c fsync=off -c unix_socket_directories=
"#;

#[tokio::test]
async fn pgbench_sees_no_failed_transaction() {
    let Some([postgres, psql, pgbench, _]) = peers(["postgres", "psql", "pgbench", "initdb"]) else { return };
    let programs = postgres.strip_suffix("/postgres").unwrap();
    let mesh = mesh(&["sh", "-c", POSTGRESQL, "sh", programs], &[5432]).await;
    let to = ["-h", "server", "-U", "postgres"];
    run(&mesh, "client", &[&[&*pgbench, "-i", "-q"], &to[..], &["postgres"]].concat()).await;
    let load = ["--client=8", "--jobs=2", "--time=3", "--connect", "postgres"];
    let report = run(&mesh, "client", &[&[&*pgbench], &to[..], &load].concat()).await;
    assert!(report.contains("number of failed transactions: 0 "), "{report}");
    let large = "select sum(length(x)) from (select repeat('x', 1000000) as x from generate_series(1, 20)) as rows";
    let sum = run(&mesh, "client", &[&[&*psql], &to[..], &["-tAc", large, "postgres"]].concat()).await;
    assert_eq!(sum.trim(), "20000000");
    assert!(crossed(&mesh, CONNECTIONS).await > 10.0, "a connection for each transaction");
}

#[tokio::test]
async fn redis_benchmark_sees_no_error() {
    let Some([redis, benchmark, client]) = peers(["redis-server", "redis-benchmark", "redis-cli"]) else { return };
    let server = [&redis, "--bind", "0.0.0.0", "--protected-mode", "no", "--save", ""];
    let mesh = mesh(&server, &[6379]).await;
    let load = ["-n", "10000", "-c", "32", "-P", "8", "-d", "1000", "--csv", "-t", "set,get,incr,lpush,lrange_100"];
    let report = run(&mesh, "client", &[&[&*benchmark, "-h", "server"], &load[..]].concat()).await;
    for test in ["SET", "GET", "INCR", "LPUSH", "LRANGE_100"] {
        assert!(report.lines().any(|line| line.starts_with(&format!("\"{test}"))), "{test} is not in {report}");
    }
    assert!(!report.to_lowercase().contains("error"), "{report}");
    let length = run(&mesh, "client", &[&client, "-h", "server", "eval", "return string.rep('x', 5000000)", "0"]).await;
    assert_eq!(length.trim().len(), 5_000_000);
    assert!(crossed(&mesh, CONNECTIONS).await >= 32.0);
}
