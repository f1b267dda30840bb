//! A client of the shop: `RATE` requests a second (100), at most `MOST_IN_FLIGHT` unanswered (256), to `USERS_URL`
//! (`http://users:8080`) and `ORDERS_URL` (`http://orders:8080`). What it saw: `GET /stats` on `PORT` (8080), and one
//! JSON line on standard output when it ends.

use std::io::Write;
use std::sync::Arc;

use axum::routing::get;
use axum::{Json, Router};
use tokio_util::sync::CancellationToken;
use weft_examples::load::{Client, Load, Stats, run};
use weft_examples::{serve, settings};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    serve::log();
    let url = |name, default: &str| settings::parsed(name, default.to_owned(), "a URL");
    let client = Client::new(url("USERS_URL", "http://users:8080")?, url("ORDERS_URL", "http://orders:8080")?);
    let load = Load {
        rate: settings::parsed("RATE", 100, "requests a second")?,
        most_in_flight: settings::parsed("MOST_IN_FLIGHT", 256, "a number of requests")?,
    };
    let listener = serve::listen(serve::port("PORT", 8080)?).await?;

    let (stats, stop) = (Arc::new(Stats::new()), CancellationToken::new());
    let shown = stats.clone();
    let router = serve::with_basics(Router::new().route("/stats", get(async move || Json(shown.report()))));
    let rest = serve::rest(listener, router, stop.clone());
    let load = run(load, Arc::new(client), stats.clone(), stop.clone());
    serve::until_signal(stop, async { tokio::join!(load, rest).1 }).await?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&stats.report())?)?;
    Ok(())
}
