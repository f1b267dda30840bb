//! The shop in one program: `shop SERVICE` runs a service of it.

use std::time::Duration;

use clap::{Parser, Subcommand};
use weft_examples::discovery::registered;
use weft_examples::{
    all_in_one, analytics, bff, books, catalog, discovery, edge, functions, inventory, load, notifications, orders,
    payments, serve, users,
};

/// The shop: services that know nothing of the mesh. Each is set by environment variables; see examples/README.md.
#[derive(Debug, Parser)]
#[command(name = "shop", version)]
struct Args {
    #[command(subcommand)]
    service: Service,
}

#[derive(Debug, Subcommand)]
enum Service {
    /// Who buys: REST and gRPC.
    Users,
    /// What was bought: REST, and events and two-phase commit over gRPC.
    Orders,
    /// What users are told of their orders: REST.
    Notifications,
    /// What was sold: REST.
    Analytics,
    /// The way in: routes, logins, limits.
    Edge,
    /// What a browser shows: REST, and pages.
    WebBff,
    /// What a phone shows: REST.
    MobileBff,
    /// Who is there, for clients that choose for themselves: REST.
    Registry,
    /// Starts a program for each event of an order.
    Functions(functions::Arguments),
    /// Such a program: an event on standard input, a receipt on standard output.
    Receipt,
    /// Customers who browse, order and cancel; at the end everything must add up.
    Load(load::Arguments),
    /// What an order costs, wherever it is sent.
    Measure(load::MeasureArguments),
    /// The monolith: all modules in one process, an order in one transaction.
    AllInOne,
    /// Whether money, stock and orders add up.
    Books {
        /// How many seconds the books may take to settle.
        #[arg(long, default_value_t = 60)]
        patience: u64,
    },
    /// What can be bought: REST.
    Catalog,
    /// What lies in the warehouse: gRPC.
    Inventory,
    /// Accounts of users: gRPC.
    Payments,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let service = Args::parse().service;
    serve::log();
    match service {
        Service::Users => registered("users", users::run()).await,
        Service::Orders => registered("orders", orders::run()).await,
        Service::Notifications => registered("notifications", notifications::run()).await,
        Service::Analytics => registered("analytics", analytics::run()).await,
        Service::Edge => registered("edge", edge::run()).await,
        Service::WebBff => registered("web-bff", bff::run_web()).await,
        Service::MobileBff => registered("mobile-bff", bff::run_mobile()).await,
        Service::Registry => discovery::run().await,
        Service::Functions(arguments) => functions::run(arguments).await,
        Service::Receipt => functions::run_receipt(),
        Service::Load(arguments) => load::run(arguments).await,
        Service::Measure(arguments) => load::measure(arguments).await,
        Service::AllInOne => all_in_one::run().await,
        Service::Books { patience } => books::run(Duration::from_secs(patience)).await,
        Service::Catalog => registered("catalog", catalog::run()).await,
        Service::Inventory => inventory::run().await,
        Service::Payments => payments::run().await,
    }
}
